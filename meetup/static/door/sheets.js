/** The sheets that slide over the camera: typing a code, searching a name, the last scans, a question. */
import { byId, makeButton } from "./page.js";
import { text } from "./config.js";

/** True while any sheet is open; the camera then reads nothing. */
export function isSheetOpen() {
  return document.querySelector("dialog[open]") !== null;
}

export function openSheet(id) {
  if (!byId(id).open) byId(id).showModal();
}

export function closeSheets() {
  for (const sheet of document.querySelectorAll("dialog[open]")) sheet.close();
}

/** A tap beside a sheet, or on its close button, closes it; `onClosed()` whenever one was closed. */
export function prepareSheets(onClosed) {
  for (const sheet of document.querySelectorAll("dialog")) {
    sheet.addEventListener("click", (press) => {
      if (press.target === sheet || press.target.closest("[data-close]")) sheet.close();
    });
    sheet.addEventListener("close", onClosed);
  }
}

/**
 * Ask before something is done: `question` in words, `yes` on the button, `act` when it is pressed; `more` are further
 * buttons below it.
 */
export function confirmFirst(question, yes, act, more = []) {
  const confirm = makeButton(yes, () => {
    closeSheets();
    act();
  }, "button button-main");
  const back = makeButton(text("back"), () => byId("confirm").close());
  byId("confirm-question").textContent = question;
  byId("confirm-actions").replaceChildren(confirm, ...more, back);
  openSheet("confirm");
  confirm.focus();
}
