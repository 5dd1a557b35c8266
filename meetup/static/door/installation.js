/** The service worker: without it the app works, but does not start without a network. */
const RELOADED = "turnout-door-reloaded";

/**
 * Register it; a new version that waits takes over now if nobody has begun to scan (`isIdle()`), by one reload.
 * Marks the page with data-offline="ready" once it would start without a network.
 */
export async function install(isIdle) {
  if (!navigator.serviceWorker) return;
  try {
    const registration = await navigator.serviceWorker.register("/door/sw.js", { scope: "/door", updateViaCache: "none" });
    if (registration.waiting === null) sessionStorage.removeItem(RELOADED);
    else if (isIdle()) takeOver(registration.waiting);
    await navigator.serviceWorker.ready;
    document.documentElement.dataset.offline = "ready";
  } catch {
    // A private window may refuse, and without a network there is nothing to register; the app goes on.
    if (navigator.serviceWorker.controller) document.documentElement.dataset.offline = "ready";
  }
}

function takeOver(waiting) {
  // Once: should it still wait after that, the app is open in another tab.
  if (sessionStorage.getItem(RELOADED)) return;
  sessionStorage.setItem(RELOADED, "true");
  navigator.serviceWorker.addEventListener("controllerchange", () => location.reload(), { once: true });
  waiting.postMessage("activate");
}

/** Browsers throw away what is stored when the phone is full, unless they agreed not to; some ask the volunteer. */
export async function askToKeep() {
  try {
    await navigator.storage?.persist?.();
  } catch {
    // It is a wish; the preflight sheet shows whether it was granted.
  }
}
