// Many register from one address: this solves the challenge of the page on some of the phone's cores and sends the form
// again with the proof. Without this script, or where it fails, a button confirms by e-mail.
(() => {
  "use strict";
  const MOST_WORKERS = 4;
  // A page that comes back again and again has another trouble than a task to solve: then a person decides.
  const MOST_ATTEMPTS = 8;
  const challenge = JSON.parse(document.getElementById("proof-challenge").textContent);
  const box = document.getElementById("proof");
  const form = box.querySelector("form");
  const says = box.querySelector("[data-says]");
  const bar = box.querySelector("progress");
  const count = Math.max(1, Math.min(MOST_WORKERS, navigator.hardwareConcurrency || 1));
  const workers = [];
  let tried = 0;
  let exhausted = 0;

  function stop() {
    for (const worker of workers) worker.terminate();
  }

  function fail() {
    stop();
    bar.hidden = true;
    says.textContent = box.dataset.failed;
  }

  function send(number) {
    stop();
    bar.value = 1;
    says.textContent = box.dataset.sending;
    const { algorithm, challenge: hash, salt, signature } = challenge;
    form.elements.namedItem("proof").value = btoa(
      JSON.stringify({ algorithm, challenge: hash, number, salt, signature }),
    );
    form.submit();
  }

  function listen({ data }) {
    if (data.tried) {
      tried += data.tried;
      bar.value = Math.min(0.99, tried / challenge.maxNumber);
      return;
    }
    if (data.number !== null) return send(data.number);
    exhausted += 1;
    if (exhausted === count) fail();
  }

  box.querySelector("[data-scripted]").hidden = false;
  if (Number(form.elements.namedItem("attempt").value) > MOST_ATTEMPTS) return fail();
  // Said after the region is there, or nobody hears it.
  setTimeout(() => { if (!tried) says.textContent = box.dataset.working; }, 100);
  // Whoever chooses the mail needs no proof any more.
  form.addEventListener("submit", stop);
  try {
    for (let first = 0; first < count; first += 1) {
      const worker = new Worker(box.dataset.worker);
      worker.onmessage = listen;
      worker.onerror = fail;
      const { salt, challenge: hash, maxNumber: most } = challenge;
      worker.postMessage({ salt, challenge: hash, most, first, step: count });
      workers.push(worker);
    }
  } catch {
    fail();
  }
})();
