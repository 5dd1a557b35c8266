// Too much at once: this counts down and sends the form again, or loads the page again where there is none. It sends in
// the background, so that no failure of the network can lose what was typed. Without this script a button does it.
(() => {
  "use strict";
  const JITTER = 0.3;
  const LONGEST_WAIT_S = 60;
  const LATER = [429, 503];
  const box = document.getElementById("come-back");
  const form = box.querySelector("form");
  const says = box.querySelector("[data-says]");
  const bar = box.querySelector("progress");
  const attempt = form?.elements.namedItem("attempt");
  let timer = 0;
  let isSending = false;

  function say(text) {
    if (says.textContent !== text) says.textContent = text;
  }

  // Each try waits longer than the one before, and no two browsers that were refused together come back together.
  function wait(seconds, said) {
    const tries = Number(attempt?.value ?? 1);
    const grown = Math.min(LONGEST_WAIT_S, seconds * 1.5 ** Math.min(tries - 1, 10));
    const total = Math.max(seconds, grown) * (1 + JITTER * Math.random()) * 1000;
    const startedAt = Date.now();
    bar.hidden = false;
    clearInterval(timer);
    const tick = () => {
      const left = total - (Date.now() - startedAt);
      bar.value = Math.min(1, 1 - left / total);
      if (left <= 0) return tryAgain();
      const counted = Math.ceil(left / 1000);
      const text = said ?? box.dataset.counting.replace("{seconds}", counted);
      // Each second on the screen, but not each second into somebody's ear.
      says.setAttribute("aria-live", counted % 10 === 0 || says.textContent === "" ? "polite" : "off");
      say(text);
    };
    timer = setInterval(tick, 200);
    tick();
  }

  async function tryAgain() {
    clearInterval(timer);
    if (isSending) return;
    if (!form) return location.reload();
    isSending = true;
    says.setAttribute("aria-live", "polite");
    say(box.dataset.sending);
    try {
      const answer = await fetch(location.href, { method: "POST", body: new URLSearchParams(new FormData(form)) });
      if (LATER.includes(answer.status) && !(await hasTask(answer))) {
        attempt.value = Number(attempt.value) + 1;
        isSending = false;
        return wait(Number(answer.headers.get("Retry-After")) || 2);
      }
      if (answer.redirected) return location.replace(answer.url);
      // An answer to read, such as an error beside a field: sent once more, it is the page.
      form.submit();
    } catch {
      attempt.value = Number(attempt.value) + 1;
      isSending = false;
      wait(2, box.dataset.away);
    }
  }

  // A page that wants a task solved does so only where it is the page.
  async function hasTask(answer) {
    return answer.status === 429 && (await answer.text()).includes('id="proof-challenge"');
  }

  form?.addEventListener("submit", (event) => {
    event.preventDefault();
    tryAgain();
  });
  wait(Number(box.dataset.wait) || 2);
})();
