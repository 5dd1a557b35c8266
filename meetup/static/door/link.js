/**
 * Whether the server can be reached. Only answers count: what the browser says about its network is a hint to
 * try, no more (facts: do not trust navigator.onLine).
 */
let isUp = true;
let onChange = () => {};

/** `listener(isOnline)` on every change. */
export function listenToLink(listener) {
  onChange = listener;
}

export function isOnline() {
  return isUp;
}

/** A call ended: an answer of any kind is the server's. */
export function noteResult(result) {
  setLink(result.kind !== "unreachable");
}

/** Nobody answered in time: the next scan does not wait for it again. */
export function loseLink() {
  setLink(false);
}

function setLink(isNowUp) {
  if (isNowUp === isUp) return;
  isUp = isNowUp;
  onChange(isUp);
}
