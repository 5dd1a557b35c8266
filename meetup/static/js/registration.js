// One press of the button is one registration. The page is cached and shared, so each browser makes its own form
// key; the server answers a repeated key with the first registration. Without this script the form still works.
(() => {
  "use strict";
  const form = document.getElementById("registration-form");
  if (!form) return;
  const key = form.elements.namedItem("form_key");
  const button = form.querySelector("button[type=submit]");
  const label = button.textContent;
  const RELEASE_AFTER_MS = 20000;
  let sent = false;

  // randomUUID exists in secure contexts only, and a trial on a local network may have no TLS.
  function makeKey() {
    if (crypto.randomUUID) return crypto.randomUUID();
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  function release() {
    button.disabled = false;
    button.textContent = label;
  }

  function startAfresh() {
    key.value = makeKey();
    sent = false;
    release();
  }

  form.addEventListener("submit", (event) => {
    if (button.disabled) return event.preventDefault();
    sent = true;
    button.disabled = true;
    button.textContent = button.dataset.sending;
    // An answer that never comes must not lock the form; the key is kept, so trying again is harmless.
    setTimeout(release, RELEASE_AFTER_MS);
  });

  // Other words after a submit are another registration.
  form.addEventListener("input", () => {
    if (sent) startAfresh();
  });

  window.addEventListener("pageshow", (event) => {
    if (event.persisted) startAfresh();
  });

  startAfresh();
})();
