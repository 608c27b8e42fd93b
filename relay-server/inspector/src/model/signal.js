// A value that views can watch. The smallest thing that lets state live outside the tree of views: one owner calls
// `set`, everybody else reads `value` and is drawn again.

import { useLayoutEffect, useState } from "../vendor/preact.js";

export class Signal {
  #watchers = new Set();

  constructor(value) {
    this.value = value;
  }

  set(value) {
    if (Object.is(value, this.value)) return;
    this.value = value;
    this.touch();
  }

  /** Tells the watchers although the value is the same object as before. */
  touch() {
    for (const watcher of [...this.#watchers]) watcher(this.value);
  }

  watch(watcher) {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }
}

/** The value of a signal; the view is drawn again whenever it changes. */
export function useSignal(signal) {
  const [, draw] = useState(0);
  useLayoutEffect(() => {
    const again = () => draw((n) => n + 1);
    return signal.watch(again);
  }, [signal]);
  return signal.value;
}
