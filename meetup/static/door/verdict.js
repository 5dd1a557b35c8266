/** The full-screen outcome of one scan: colour, symbol, word, reason, name. Goes by itself, or with a tap. */
import { byId, make, makeIcon } from "./page.js";
import { isSheetOpen } from "./sheets.js";

const STAYS_MS = { admitted: 4000, refused: 9000, party: 9000 };
const LATE_STAYS_MS = 2500;

export class VerdictScreen {
  #box = byId("verdict");
  #timer = null;
  #shownAt = 0;
  #isLateShown = false;
  #queued = [];
  #onShown;
  #onGone;

  /** `onShown(verdict)` as each verdict comes up; `onGone()` after the last one went, by itself or by a tap. */
  constructor(onShown, onGone) {
    this.#onShown = onShown;
    this.#onGone = onGone;
    this.#box.addEventListener("click", () => this.dismiss());
    document.addEventListener("keydown", (press) => {
      if (press.key === "Escape" && !isSheetOpen()) this.dismiss();
    });
  }

  /**
   * Show {outcome, reasonCode, direction, scanId, icon, tune, word, reason, name, note, footnote, actions, stays,
   * isLate, decodedAt}. data-decoded-ms says how long after `decodedAt` it came up.
   * `stays` is admitted, refused, party, or null for as long as nothing else comes. Late answers, which may
   * come in a row, wait for one another, and all wait for an open sheet, which would hide them; all else
   * takes the screen at once.
   */
  show(verdict) {
    // What waited before its answer came is news no more once the answer is there.
    this.#queued = this.#queued.filter((earlier) => earlier.scanId !== verdict.scanId);
    if (isSheetOpen()) {
      this.#queued.push(verdict);
      return;
    }
    const isBusy = this.#isLateShown && performance.now() - this.#shownAt < LATE_STAYS_MS;
    if (verdict.isLate && isBusy) {
      this.#queued.push(verdict);
      this.#hurry();
      return;
    }
    this.#draw(verdict);
    this.#onShown(verdict);
    clearTimeout(this.#timer);
    if (this.#queued.length > 0) this.#hurry();
    else if (verdict.stays) this.#timer = setTimeout(() => this.dismiss(), STAYS_MS[verdict.stays]);
  }

  /** A sheet was closed: show what waited behind it. */
  showQueued() {
    if (isSheetOpen() || this.getOutcome() !== "none") return;
    const next = this.#queued.shift();
    if (next) this.show(next);
  }

  /** Take the verdict off the screen without telling anybody: the next code is here. */
  clear() {
    clearTimeout(this.#timer);
    this.#isLateShown = false;
    this.#box.dataset.outcome = "none";
    this.#box.dataset.reason = "";
    this.#box.replaceChildren();
  }

  /** admitted, refused, waiting, practice, or none. */
  getOutcome() {
    return this.#box.dataset.outcome;
  }

  /** Take the verdict off as a tap does; a late one that waits comes next. */
  dismiss() {
    if (this.getOutcome() === "none") return;
    this.clear();
    this.showQueued();
    if (this.getOutcome() === "none") this.#onGone();
  }

  /** Nothing came of it: back to scanning. */
  rest() {
    this.clear();
    this.#onGone();
  }

  #hurry() {
    clearTimeout(this.#timer);
    const left = this.#shownAt + LATE_STAYS_MS - performance.now();
    this.#timer = setTimeout(() => this.dismiss(), Math.max(0, left));
  }

  #draw(verdict) {
    this.#shownAt = performance.now();
    this.#isLateShown = Boolean(verdict.isLate);
    Object.assign(this.#box.dataset, {
      outcome: verdict.outcome,
      reason: verdict.reasonCode ?? "",
      direction: verdict.direction ?? "",
      scanId: verdict.scanId ?? "",
      decodedMs: verdict.decodedAt === undefined ? "" : String(Math.round(performance.now() - verdict.decodedAt)),
    });
    const lines = [make("p", verdict.word, { class: "verdict-word" })];
    if (verdict.name) lines.push(make("p", verdict.name, { class: "verdict-name", dir: "auto" }));
    if (verdict.reason) lines.push(make("p", verdict.reason, { class: "verdict-reason" }));
    if (verdict.note) lines.push(make("p", verdict.note, { class: "verdict-note", dir: "auto" }));
    if (verdict.footnote) lines.push(make("p", verdict.footnote, { class: "verdict-footnote" }));
    const actions = make("div", "", { class: "verdict-actions" });
    actions.append(...(verdict.actions ?? []));
    this.#box.replaceChildren(makeIcon(verdict.icon, "verdict-icon"), ...lines, actions);
  }
}
