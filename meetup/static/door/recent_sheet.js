/** The sheet with the last twenty scans, and the question before the last one is taken back. */
import { text, timeOfDay } from "./config.js";
import { byId, make, makeButton, makeIcon, setHint } from "./page.js";
import { confirmFirst, openSheet } from "./sheets.js";

const HINT_MS = 4000;

/** `recent` is the RecentScans shown; `onUndo(line)` after the volunteer confirmed. */
export function prepareRecent(recent, onUndo) {
  const ask = (line) =>
    confirmFirst(text("undo_question", { name: line.name }), text("undo"), () => onUndo(line));
  byId("open-recent").addEventListener("click", () => {
    draw(recent, ask);
    openSheet("recent");
  });
  byId("undo-last").addEventListener("click", () => {
    const line = recent.findLastUndoable();
    if (line) ask(line);
    else setHint(text("nothing_to_undo"), HINT_MS);
  });
}

function draw(recent, ask) {
  const lines = recent.list();
  byId("recent-list").replaceChildren(...lines.map((line) => makeLine(line, recent.canUndo(line), ask)));
  byId("recent-words").textContent = lines.length === 0 ? text("no_scans_yet") : "";
}

function makeLine(line, canUndo, ask) {
  const row = make("li", "", { class: "scan", "data-outcome": line.outcome });
  const isOut = line.direction === "out";
  const icon = line.outcome === "refused" ? "cross" : isOut ? "out" : "check";
  const about = make("div", "", { class: "scan-about" });
  about.append(
    make("span", line.name || text("no_name"), { class: "scan-name", dir: "auto" }),
    make("span", [timeOfDay(line.scanned_at), wordFor(line, isOut)].join(" · "), { class: "scan-detail" }),
  );
  row.append(makeIcon(icon), about);
  if (canUndo) row.append(makeButton(text("undo"), () => ask(line), "button button-small"));
  return row;
}

function wordFor(line, isOut) {
  if (line.is_undone) return text("word_undone");
  if (line.outcome === "admitted") return text(isOut ? "admitted_out" : "admitted_in");
  return text(`word_${line.reason}`) || text("word_other");
}
