// Somebody waits at the door: this looks every five seconds whether the team has let them in, and then loads the page
// again, which is the ticket by then. Without this script the page loads itself again and again.
(() => {
  "use strict";
  const EVERY_MS = 5000;
  const url = document.getElementById("at-door").dataset.ticket;
  let timer = 0;

  async function look() {
    clearTimeout(timer);
    if (document.hidden) return;
    try {
      const answer = await fetch(url, { cache: "no-store" });
      if (answer.ok && (await answer.json()).state !== "pending") return location.reload();
    } catch {
      // No network right now: the next look may have one.
    }
    timer = setTimeout(look, EVERY_MS);
  }

  document.addEventListener("visibilitychange", look);
  timer = setTimeout(look, EVERY_MS);
})();
