/** The number inside, in the header. */
import { event, formatNumber, text } from "./config.js";
import { readHeadcount } from "./api.js";
import { byId } from "./page.js";

const REFRESH_MS = 30_000;

/** Show `headcount` as an answer carries it; nothing happens without one. */
export function showHeadcount(headcount) {
  if (!headcount || typeof headcount.inside !== "number") return;
  const limit = headcount.venue_limit;
  byId("inside").textContent = formatNumber(headcount.inside);
  byId("limit").textContent = limit ? text("of_limit", { limit: formatNumber(limit) }) : "";
  byId("headcount").dataset.full = String(Boolean(limit) && headcount.inside >= limit);
}

/** Other gates let people in too, so ask now and then while the page is seen. */
export function keepHeadcountFresh() {
  const refresh = async () => {
    if (document.visibilityState !== "visible") return;
    const result = await readHeadcount(event.slug);
    if (result.kind === "answer") showHeadcount(result.body);
  };
  refresh();
  setInterval(refresh, REFRESH_MS);
}
