/** The sheet in which a supervisor says why somebody is let in all the same; the reason is kept with the scan. */
import { text } from "./config.js";
import { byId } from "./page.js";
import { closeSheets, openSheet } from "./sheets.js";

let onReason = () => {};

/** Joins the sheet's form; once, at the start. */
export function prepareOverride() {
  byId("override-form").addEventListener("submit", (submit) => {
    submit.preventDefault();
    const reason = byId("override-reason").value.trim();
    byId("override-error").textContent = reason ? "" : text("reason_needed");
    if (!reason) return;
    closeSheets();
    onReason(reason);
  });
}

/** Ask why `name` is let in; `act(reason)` once it was said. */
export function askForReason(name, act) {
  onReason = act;
  byId("override-reason").value = "";
  byId("override-error").textContent = "";
  byId("override-name").textContent = name;
  openSheet("override");
  byId("override-reason").focus();
}
