/** Hand-held scanners that type the code and press Enter, like a keyboard. */
const FORGET_AFTER_MS = 1000;
const SHORTEST = 6;

/** Calls `onCode(text)` for what is typed and ended by Enter while `isListening()` and no field has the focus. */
export function listenForWedge(isListening, onCode) {
  let typed = "";
  let typedAt = 0;
  document.addEventListener("keydown", (press) => {
    if (!isListening() || isField(press.target) || press.ctrlKey || press.metaKey || press.altKey) return;
    if (press.timeStamp - typedAt > FORGET_AFTER_MS) typed = "";
    typedAt = press.timeStamp;
    if (press.key === "Enter" && typed.length >= SHORTEST) {
      // Enter would also press the button that happens to have the focus.
      press.preventDefault();
      onCode(typed);
      typed = "";
    } else if (press.key.length === 1) {
      typed += press.key;
    }
  });
}

function isField(target) {
  return target instanceof Element && target.closest("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]") !== null;
}
