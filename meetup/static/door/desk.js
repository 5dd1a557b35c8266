/** The side desk: people without a ticket, those who wait at the door, conflicts, and this phone's own health. */
import { formatNumber } from "./config.js";
import { byId } from "./page.js";
import { openSheet } from "./sheets.js";

/** `checks` decides; `onOpen()` as the sheet opens. */
export function prepareDesk(checks, onOpen) {
  byId("open-desk").addEventListener("click", () => {
    byId("click-words").textContent = "";
    openSheet("desk");
    onOpen();
  });
  for (const [id, people] of [["click-in", 1], ["click-out", -1]]) {
    byId(id).addEventListener("click", () => click(checks, people));
  }
}

async function click(checks, people) {
  const buttons = [byId("click-in"), byId("click-out")];
  for (const button of buttons) button.disabled = true;
  const refusal = await checks.takeClick(people);
  const sign = people > 0 ? "+" : "−";
  byId("click-words").textContent = refusal || `${sign}${formatNumber(Math.abs(people))}`;
  navigator.vibrate?.(refusal ? [180, 80, 180] : [40]);
  for (const button of buttons) button.disabled = false;
}

/** The number on the desk's button: people who wait, conflicts not looked at, items that were not taken. */
export function showDeskBadge(count) {
  const badge = byId("desk-count");
  badge.hidden = count === 0;
  badge.textContent = formatNumber(count);
}
