/** One check at the door from the code to the verdict: queue it, show what was decided, take it back. */
import { undoScan } from "./api.js";
import { countText, formatNumber, text } from "./config.js";
import { showHeadcount } from "./headcount.js";
import { byId, getState, make, makeButton, setHint, setState } from "./page.js";
import { makeScan } from "./scan_queue.js";
import { asksForParties } from "./settings.js";
import { describe, describeAttendee } from "./wording.js";

const HINT_MS = 5000;
const LONGEST_CODE = 200;

export class Checks {
  #recent;
  #verdict;
  #onUnpaired;
  #queue = null;
  #waiting = 0;
  direction = "in";

  constructor(recent, verdict, onUnpaired) {
    this.#recent = recent;
    this.#verdict = verdict;
    this.#onUnpaired = onUnpaired;
  }

  /** The queue reports to this object, so each is made before the two are joined. */
  useQueue(queue) {
    this.#queue = queue;
  }

  hasWaiting() {
    return this.#waiting > 0;
  }

  /** Check {code} or {registration_id} in the chosen direction; `people` null means all who are left. */
  async take(subject, people = null) {
    const asks = people === null && this.direction === "in" && asksForParties();
    const cut = subject.code ? { code: subject.code.slice(0, LONGEST_CODE) } : subject;
    const scan = { ...makeScan(cut, this.direction, asks ? 1 : people), asks };
    this.#verdict.clear();
    setState("sending");
    setHint(text("checking"));
    await this.#queue.add(scan);
  }

  /** Take a check-in back; true when the server did. `line` needs scan_id and name. */
  async undo(line) {
    const result = await undoScan(line.scan_id);
    if (result.kind === "unpaired") this.#onUnpaired();
    if (result.kind === "unreachable") setHint(text("undo_no_answer"), HINT_MS);
    if (result.kind === "rejected") setHint(text("undo_refused"), HINT_MS);
    if (result.kind !== "answer") return false;
    showHeadcount(result.body?.headcount);
    await this.#recent.markUndone(line.scan_id);
    setHint(text("undone", { name: line.name }), HINT_MS);
    return true;
  }

  /** The queue's word: the server decided this scan. */
  async decided(scan, answer, wasLate) {
    await this.#setWaiting();
    setHint("");
    showHeadcount(answer.headcount);
    const asks = this.#mustAsk(scan, answer);
    const isParty = answer.outcome === "admitted" && answer.attendee?.party > 1;
    const words = describe(scan, answer);
    this.#verdict.show({
      ...words,
      reason: asks ? text("how_many") : words.reason,
      outcome: answer.outcome,
      reasonCode: answer.reason,
      direction: scan.direction,
      scanId: scan.scan_id,
      name: describeAttendee(answer.attendee),
      actions: asks ? this.#makeChoices(scan, answer) : this.#makeActions(scan, answer),
      stays: isParty ? "party" : answer.outcome,
      isLate: wasLate,
    });
    await this.#recent.add(scan, answer);
  }

  /** The queue's word: the server will never take this scan. */
  async rejected(scan) {
    await this.decided(scan, { outcome: "refused", reason: "other", attendee: null }, false);
  }

  /** The queue's word: nobody has answered yet. Shown over the camera while the person still stands there. */
  async waiting(scan, count) {
    // Counted a moment ago, it may have been decided since.
    if (count === 0) return;
    const isNews = getState() === "sending" || (this.#verdict.getOutcome() === "waiting" && count !== this.#waiting);
    await this.#setWaiting(count);
    if (!isNews) return;
    setHint("");
    this.#verdict.show({
      outcome: "waiting",
      direction: scan.direction,
      scanId: scan.scan_id,
      icon: "wait",
      tune: "waiting",
      word: text("word_waiting"),
      reason: text("reason_waiting"),
      name: countText("waiting", count),
    });
  }

  /** The queue's word: this phone is not paired any more. */
  unpaired() {
    this.#onUnpaired();
  }

  async #setWaiting(count = null) {
    this.#waiting = count ?? (await this.#queue.countWaiting());
    const badge = byId("waiting");
    badge.hidden = this.#waiting === 0;
    badge.textContent = countText("waiting", this.#waiting);
  }

  #mustAsk(scan, answer) {
    const attendee = answer.attendee;
    return Boolean(scan.asks) && answer.outcome === "admitted" && attendee.party > attendee.admitted;
  }

  /** One person of the party is in already by this scan: the others follow as a scan of their own. */
  #makeChoices(scan, answer) {
    const most = answer.attendee.party - answer.attendee.admitted + 1;
    return Array.from({ length: most }, (_, index) =>
      makeButton(formatNumber(index + 1), () => {
        if (index === 0) this.#verdict.dismiss();
        else this.take(subjectOf(scan), index);
      }, "button number"),
    );
  }

  #makeActions(scan, answer) {
    if (answer.outcome !== "admitted" || scan.direction === "out") return [];
    const line = { scan_id: scan.scan_id, name: answer.attendee?.name ?? "" };
    const fewer = scan.people === null ? answer.attendee.admitted - 1 : 0;
    const undo = makeButton(text("undo"), async () => {
      if (await this.undo(line)) this.#verdict.dismiss();
    });
    return [...this.#makeCorrections(scan, line, fewer), undo];
  }

  /** "Only 1 came", "Only 2 came"; bare numbers under one question where the party is larger. */
  #makeCorrections(scan, line, fewer) {
    const isLarge = fewer > 2;
    const buttons = Array.from({ length: fewer }, (_, index) => {
      const words = text("only_came", { count: formatNumber(index + 1) });
      const button = makeButton(isLarge ? formatNumber(index + 1) : words, () => this.#correct(scan, line, index + 1));
      button.setAttribute("aria-label", words);
      return button;
    });
    return isLarge ? [make("p", text("fewer_came")), ...buttons] : buttons;
  }

  async #correct(scan, line, people) {
    if (await this.undo(line)) await this.take(subjectOf(scan), people);
  }
}

function subjectOf(scan) {
  return scan.code === null ? { registration_id: scan.registration_id } : { code: scan.code };
}
