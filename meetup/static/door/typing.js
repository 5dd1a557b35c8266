/** The short code by hand: small letters, dashes and spaces do not matter. */
import { text } from "./config.js";
import { byId } from "./page.js";
import { isPractice } from "./practice.js";
import { closeSheets, openSheet } from "./sheets.js";

const SHORT_CODE_LENGTH = 8;

/** "abcd-efgh" or "ABCD EFGH" to "ABCDEFGH"; a whole ticket code, as a wedge types it, stays whole. */
export function cleanCode(typed) {
  return typed.replace(/[\s\-‐‑–—]/g, "").toUpperCase();
}

/** `onCode(code)` when a code of the right length was typed. */
export function prepareTyping(onCode) {
  const field = byId("typed-code");
  const error = byId("typed-code-error");
  byId("open-typing").addEventListener("click", () => {
    field.value = "";
    error.textContent = "";
    openSheet("typing");
    field.focus();
  });
  byId("typing-form").addEventListener("submit", (submit) => {
    submit.preventDefault();
    const code = cleanCode(field.value);
    if (code.length !== SHORT_CODE_LENGTH && !code.startsWith("M1:") && !isPractice(code)) {
      error.textContent = text("short_code_length");
      field.focus();
      return;
    }
    closeSheets();
    onCode(code);
  });
}
