/** The number inside, in the header. */
import { formatNumber, text } from "./config.js";
import { byId } from "./page.js";

/** Show how many are inside as far as this phone knows; nothing happens before it heard of any. */
export function showHeadcount(phone) {
  const inside = phone.inside();
  if (inside === null) return;
  const limit = phone.roster.event?.venue_limit ?? phone.roster.headcount.venue_limit;
  byId("inside").textContent = formatNumber(inside);
  byId("limit").textContent = limit ? text("of_limit", { limit: formatNumber(limit) }) : "";
  byId("headcount").dataset.full = String(Boolean(limit) && inside >= limit);
}
