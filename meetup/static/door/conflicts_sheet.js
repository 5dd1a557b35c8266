/** The list of what went differently: both gates, both devices, both times; and what the server never took. */
import { device, gate, text } from "./config.js";
import { byId, make, makeIcon } from "./page.js";
import { openSheet } from "./sheets.js";
import { describeMoment } from "./status_line.js";

/** `onSeen()` when the list was looked at. */
export function prepareConflicts(phone, onSeen) {
  byId("open-conflicts").addEventListener("click", () => {
    drawConflicts(phone);
    openSheet("conflicts");
    onSeen();
  });
}

/** Draw the list as it is now. */
export function drawConflicts(phone) {
  const conflicts = phone.conflicts.list();
  const parked = phone.queue.listParked();
  byId("conflict-list").replaceChildren(...conflicts.map(makeConflict), ...parked.map(makeParked));
  byId("conflict-words").textContent = conflicts.length + parked.length === 0 ? text("no_conflicts") : "";
}

function makeConflict(conflict) {
  const here = { scanned_at: conflict.scanned_at, gate: conflict.gate ?? gate, device: conflict.device ?? device };
  const lines = [text(`conflict_${conflict.reason}`) || text(`word_${conflict.reason}`) || text("conflict_other"), describePlace(here)];
  if (conflict.other) lines.push(describePlace(conflict.other));
  return makeRow(conflict.name || text("no_name"), lines, "warn");
}

function makeParked(item) {
  const errors = Object.entries(item.parked.errors).map(([field, words]) => `${field}: ${[words].flat().join(", ")}`);
  return makeRow(item.name || text("no_name"), [text("not_taken"), describeTime(item.scanned_at), ...errors], "cross");
}

function describePlace(place) {
  const parts = { time: describeTime(place.scanned_at), gate: place.gate ?? "", device: place.device ?? "" };
  return text("at_gate_by_device", parts);
}

function describeTime(moment) {
  return describeMoment(Date.parse(moment));
}

function makeRow(name, lines, icon) {
  const row = make("li", "", { class: "scan", "data-outcome": icon === "cross" ? "refused" : "conflict" });
  const about = make("div", "", { class: "scan-about" });
  about.append(make("span", name, { class: "scan-name", dir: "auto" }));
  about.append(...lines.map((line) => make("span", line, { class: "scan-detail" })));
  row.append(makeIcon(icon), about);
  return row;
}
