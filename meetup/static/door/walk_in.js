/** The form of the side desk for somebody who has no ticket: name, an address if they want the ticket, in. */
import { text } from "./config.js";
import { byId } from "./page.js";
import { closeSheets, openSheet } from "./sheets.js";

const FIELDS = ["name", "email"];

/** `checks` registers and admits. */
export function prepareWalkIn(checks) {
  byId("open-walk-in").addEventListener("click", () => {
    byId("walk-in-form").reset();
    showErrors({});
    openSheet("walk-in");
    byId("walk-in-name").focus();
  });
  byId("walk-in-form").addEventListener("submit", async (submit) => {
    submit.preventDefault();
    const button = byId("walk-in-submit");
    if (button.disabled) return;
    button.disabled = true;
    try {
      await register(checks);
    } finally {
      button.disabled = false;
    }
  });
}

async function register(checks) {
  const name = byId("walk-in-name").value.trim();
  const email = byId("walk-in-email").value.trim();
  const errors = { ...(name ? {} : { name: ["missing"] }), ...(byId("walk-in-email").validity.valid ? {} : { email: ["bad_email"] }) };
  showErrors(errors);
  if (Object.keys(errors).length > 0) return;
  const refused = await checks.takeWalkIn({ name, email: email || null });
  if (refused === null) return closeSheets();
  checks.refuse();
  showErrors(refused.errors);
}

function showErrors(errors) {
  for (const field of FIELDS) {
    const isWrong = Object.hasOwn(errors, field);
    byId(`walk-in-${field}-error`).textContent = isWrong ? text(`walk_in_${field}_wrong`) : "";
    byId(`walk-in-${field}`).setAttribute("aria-invalid", String(isWrong));
  }
  const first = FIELDS.find((field) => Object.hasOwn(errors, field));
  if (first) byId(`walk-in-${first}`).focus();
}
