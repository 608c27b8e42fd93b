// Reading from the API inside a view: the value, the error, whether it is on its way, and asking again on a beat.

import { useCallback, useEffect, useRef, useState } from "../vendor/preact.js";

/**
 * `load(signal)` is asked when `keys` change, and every `every` milliseconds while the page is seen. `here()` gives the
 * first value where it has come already.
 */
export function useAnswer(load, keys, { every = 0, here } = {}) {
  const [state, setState] = useState(() => {
    const value = here?.() ?? null;
    return { value, error: null, isLoading: value === null };
  });
  const isFirst = useRef(true);
  const latest = useRef(load);
  latest.current = load;
  const controller = useRef(null);
  const again = useCallback(async () => {
    controller.current?.abort();
    const mine = new AbortController();
    controller.current = mine;
    try {
      const value = await latest.current(mine.signal);
      if (!mine.signal.aborted) setState({ value, error: null, isLoading: false });
    } catch (error) {
      // What was shown stays: old figures under an error are more use than none.
      if (!mine.signal.aborted) setState(({ value }) => ({ value, error, isLoading: false }));
    }
  }, []);
  useEffect(() => {
    if (!isFirst.current) setState({ value: null, error: null, isLoading: true });
    if (!isFirst.current || state.value === null) again();
    isFirst.current = false;
    return () => controller.current?.abort();
  }, keys);
  useEffect(() => {
    if (!every) return undefined;
    const timer = setInterval(() => document.hidden || again(), every);
    const seen = () => document.hidden || again();
    document.addEventListener("visibilitychange", seen);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", seen);
    };
  }, [every]);
  return { ...state, again };
}
