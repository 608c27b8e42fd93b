// A list of very many rows of one height, of which only those in sight exist. Each stands at its own offset in
// one of a fixed number of slots, counted from the oldest: when rows arrive, or the reader scrolls, those that stay in
// sight stay as they are, and the others give their elements to what comes. `aria-rowindex` tells their true order.

import { html, useEffect, useLayoutEffect, useRef, useState } from "../vendor/preact.js";
import { whenIdle } from "./lazy.js";

/** Rows drawn above and below those in sight, once there is time. */
const OVERSCAN = 6;

/**
 * `size` rows of `height` under a head of `headHeight`; `row(index, top)` draws one, `top` pixels down; `active` is the
 * index of the one the keyboard is on (-1: none). `tall` is how many pixels will be in sight, as far as one can tell
 * before the first layout: with it the first drawing is right, and not drawn again.
 * `onScrolled(isAtTop)`, `onEnd()` near the last row, `onMove(index)`, `onOpen(index)`, `onWidth(pixels)`.
 */
export function Rows({ label, columns, size, height, headHeight, tall, active, rowId, row, head, foot, onScrolled, onEnd, onMove, onOpen, onWidth, onTouch }) {
  const box = useRef(null);
  const [view, setView] = useState({ top: 0, tall, overscan: 0 });
  const asked = useRef(false);
  const place = useRef(0);
  const isHidden = useRef(false);
  useLayoutEffect(() => {
    const element = box.current;
    const measure = new ResizeObserver(() => {
      // On a phone the list is hidden while an event is open, and forgets its place.
      const wasHidden = isHidden.current;
      isHidden.current = element.clientWidth === 0;
      if (isHidden.current) return;
      if (wasHidden) element.scrollTop = place.current;
      setView((was) => (fits(was.tall, element.clientHeight, height) ? was : { ...was, tall: element.clientHeight }));
      onWidth(element.clientWidth);
    });
    measure.observe(element);
    whenIdle(() => setView((was) => ({ ...was, overscan: OVERSCAN })));
    return () => measure.disconnect();
  }, []);
  const first = Math.max(0, Math.floor(view.top / height) - view.overscan);
  const last = Math.min(size, Math.ceil((view.top + view.tall - headHeight) / height) + view.overscan);
  useEffect(() => {
    if (last > size - 20) onEnd();
  }, [last, size]);
  // Brings the active row into sight when it moved, and only then.
  useLayoutEffect(() => {
    if (active < 0) return;
    const element = box.current;
    if (isHidden.current) return;
    const top = active * height;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + height > element.scrollTop + element.clientHeight - 8) element.scrollTop = top + height - element.clientHeight + 8;
  }, [rowId(active)]);
  const onScroll = () => {
    if (asked.current) return;
    asked.current = true;
    requestAnimationFrame(() => {
      asked.current = false;
      if (!box.current || isHidden.current) return;
      const top = box.current.scrollTop;
      place.current = top;
      setView((was) => ({ ...was, top, overscan: OVERSCAN }));
      onScrolled(top < 2);
    });
  };
  const onKeyDown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(box.current.clientHeight / height) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -size, End: size };
    if (event.key in steps) onMove(Math.max(0, Math.min(size - 1, active + steps[event.key])));
    else if (event.key === "Enter" && active >= 0) onOpen(active, event);
    else return;
    event.preventDefault();
  };
  const slots = Math.ceil(view.tall / height) + 2 * OVERSCAN + 2;
  const shown = new Array(slots).fill(null);
  for (let index = first; index < last; index += 1) shown[(size - 1 - index) % slots] = row(index, index * height);
  return html`<div class="rows" role="grid" aria-label=${label} aria-rowcount=${size + 1} aria-colcount=${columns} tabindex="0" data-home ref=${box}
      aria-activedescendant=${active >= first && active < last ? rowId(active) : undefined} onScroll=${onScroll} onKeyDown=${onKeyDown} onPointerMove=${onTouch}>
    ${head}
    <div class="rows-space" role="rowgroup" style=${{ height: `${size * height}px` }}>${shown}</div>
    ${foot}
  </div>`;
}

/** Whether as many rows as are drawn for `guess` pixels do for `real` ones: none too few, and few too many. */
const fits = (guess, real, height) => guess >= real && guess < real + 4 * height;
