/** One check at the door from the code to the verdict: have it decided, show what was decided, take it back. */
import { countText, isSupervisor, text } from "./config.js";
import { makeActions } from "./check_actions.js";
import { getState, setHint, setState } from "./page.js";
import { isPractice, practiceVerdict } from "./practice.js";
import { makeItem, makeScan } from "./scan_queue.js";
import { asksForParties } from "./settings.js";
import { describe, describeAttendee, describeRejection } from "./wording.js";

const HINT_MS = 5000;
const LONGEST_CODE = 200;

export class Checks {
  #phone;
  #decisions;
  #verdict;
  #onWaiting;
  #abandoned = null;
  direction = "in";

  /** `onWaiting()` after something was left for the queue to send. */
  constructor(phone, decisions, verdict, onWaiting) {
    this.#phone = phone;
    this.#decisions = decisions;
    this.#verdict = verdict;
    this.#onWaiting = onWaiting;
  }

  /** True while a scan has no decision at all, neither the server's nor this phone's. */
  hasUndecided() {
    return this.#phone.queue.list().some((item) => item.kind === "scan" && !item.judged);
  }

  /**
   * Check {code} or {registration_id, …} in the chosen direction; `people` null means all who are left. `decodedAt` is
   * when the camera first showed the code (performance.now()).
   */
  async take(subject, { people = null, decodedAt = performance.now() } = {}) {
    this.dropUndecided();
    if (isPractice(subject.code)) return this.#verdict.show({ ...practiceVerdict(), decodedAt });
    const asks = people === null && this.direction === "in" && asksForParties();
    const cut = subject.code ? { ...subject, code: subject.code.slice(0, LONGEST_CODE) } : subject;
    const scan = { ...makeScan(cut, this.direction, asks ? 1 : people), asks };
    return this.#decide(scan, decodedAt);
  }

  /** Register somebody at the door and let them in. Resolves to {errors} where a field is wrong, else to null. */
  async takeWalkIn(walkIn) {
    this.dropUndecided();
    return this.#decide(makeItem("walk_in", { ...walkIn, direction: "in" }), performance.now());
  }

  /** Count somebody without a ticket in (1) or out (-1). */
  async takeClick(people) {
    const item = makeItem("click", { people });
    const decision = await this.#decisions.decide(item);
    if (decision?.isLocal) this.#onWaiting();
    const isIn = decision?.answer?.outcome === "admitted";
    const refusal = decision?.answer ? text(`word_${decision.answer.reason}`) : text("search_no_answer");
    if (decision === null && this.#phone.queue.find(item.scan_id)) await this.#phone.queue.release(item.scan_id);
    return isIn ? "" : refusal;
  }

  /** Take a check-in back; true when it is. `line` needs scan_id and name. */
  async undo(line) {
    const isUndone = await this.#decisions.undo(line.scan_id);
    if (isUndone) await this.#phone.recent.markUndone(line.scan_id);
    setHint(isUndone ? text("undone", { name: line.name }) : text("undo_refused"), HINT_MS);
    this.#onWaiting();
    return isUndone;
  }

  /** A form has a wrong field: there is nothing to show but the form. */
  refuse() {
    setHint("");
    this.#verdict.rest();
  }

  /** The queue's word: the server refused an undo that this phone had promised. */
  async undoRefused(item) {
    await this.#phone.recent.markUndone(item.undoes, false);
    setHint(text("undo_refused"), HINT_MS);
  }

  /** A short code that nobody could decide leaves with its verdict: the person has gone or shows the QR code. */
  dropUndecided() {
    if (this.#abandoned) this.#decisions.abandon(this.#abandoned);
    this.#abandoned = null;
  }

  /** Show what was decided about an item; `isLate` when the person has gone on meanwhile. */
  async show(item, decision, { isLate = false, decodedAt } = {}) {
    if (this.#abandoned === item.scan_id) this.#abandoned = null;
    const answer = decision.answer ?? { outcome: "refused", reason: "other", attendee: null };
    setHint("");
    const words = decision.rejected ? describeRejection(decision.rejected) : describe(item, answer);
    const asks = mustAsk(item, answer);
    const isParty = answer.outcome === "admitted" && answer.attendee?.party > 1;
    this.#verdict.show({
      ...words,
      reason: asks ? text("how_many") : words.reason,
      outcome: answer.outcome,
      reasonCode: answer.reason,
      direction: item.direction,
      scanId: item.scan_id,
      name: describeAttendee(answer.attendee),
      note: answer.outcome === "admitted" ? answer.attendee?.note : null,
      footnote: decision.isLocal ? text("decided_here") : "",
      actions: makeActions({ item, answer, asks, checks: this, verdict: this.#verdict, isSupervisor }),
      stays: isParty || answer.attendee?.note ? "party" : answer.outcome,
      isLate,
      decodedAt,
    });
    await this.#phone.recent.add(item, answer);
  }

  async #decide(item, decodedAt) {
    this.#verdict.clear();
    setState("sending");
    setHint(text("checking"));
    // A full disk is the one thing that fails here: then nothing is decided, and nothing turns green.
    const decision = await this.#decisions.decide(item).catch(() => null);
    if (getState() === "unpaired") return null;
    if (decision?.rejected?.body.errors && item.kind === "walk_in") return decision.rejected.body;
    if (decision === null) this.#showWaiting(item, decodedAt);
    else await this.show(item, decision, { decodedAt });
    if (decision === null || decision.isLocal) this.#onWaiting();
    return null;
  }

  /** Nobody can decide. Shown over the camera while the person still stands there. */
  #showWaiting(item, decodedAt) {
    const isShort = item.kind === "scan" && item.code !== null && !item.code.startsWith("M1:");
    if (isShort) this.#abandoned = item.scan_id;
    setHint("");
    this.#verdict.show({
      outcome: "waiting",
      direction: item.direction,
      scanId: item.scan_id,
      icon: "wait",
      tune: "waiting",
      word: text("word_waiting"),
      reason: text(isShort ? "reason_short_offline" : "reason_waiting"),
      name: countText("waiting", this.#phone.queue.list().filter((each) => !each.judged).length),
      decodedAt,
    });
  }
}

function mustAsk(item, answer) {
  const attendee = answer.attendee;
  return Boolean(item.asks) && answer.outcome === "admitted" && attendee?.party > attendee?.admitted;
}
