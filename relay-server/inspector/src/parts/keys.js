// Keys of the whole page. Views lay a map over those below them; the last one laid that knows a key has it. Nothing is
// taken while somebody types, while a dialog is open, or together with Ctrl, Alt or Meta.

import { useEffect, useRef } from "../vendor/preact.js";
import { shortcuts } from "../model/settings.js";

const layers = [];
let isChord = false;
let chordTimer = 0;

/** `{key: action}`; a key of two, such as `g e`, is pressed one after the other. An action that gives false passes. */
export function useKeys(map) {
  const layer = useRef({ map });
  layer.current.map = map;
  useEffect(() => {
    const mine = layer.current;
    layers.push(mine);
    return () => layers.splice(layers.indexOf(mine), 1);
  }, []);
}

const isTyping = (target) => target.matches?.("input:not([type=checkbox]):not([type=radio]), textarea, select");

addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.querySelector("dialog[open]") || isTyping(event.target)) return;
  const isLetter = event.key.length === 1;
  if (isLetter && event.key !== "?" && !shortcuts.value) return;
  // Enter and space belong to the control that has the focus.
  if ((event.key === "Enter" || event.key === " ") && event.target !== document.body) return;
  const key = isChord ? `g ${event.key}` : event.key;
  if (!isChord && key === "g") {
    isChord = true;
    chordTimer = setTimeout(() => (isChord = false), 1500);
    return;
  }
  clearTimeout(chordTimer);
  isChord = false;
  for (const { map } of [...layers].reverse()) {
    const action = map[key];
    if (action && action(event) !== false) {
      event.preventDefault();
      return;
    }
  }
});
