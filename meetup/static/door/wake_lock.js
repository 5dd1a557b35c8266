/** Keeps the screen on while scanning, where the browser can. Failing to is no reason to stop. */
let lock = null;

/** Ask, or ask again: the browser lets go whenever the page is hidden. */
export async function keepAwake() {
  if (!navigator.wakeLock || document.visibilityState !== "visible" || (lock && !lock.released)) return;
  try {
    lock = await navigator.wakeLock.request("screen");
  } catch {
    lock = null;
  }
}

/** True while the screen is kept on. */
export function canKeepAwake() {
  return lock !== null && !lock.released;
}
