/**
 * One round after another with the server: send the queue, read the roster's changes, say how this phone is. Rounds
 * come every 10 to 15 seconds while the server answers, and back off with jitter while it does not.
 */
import { postBatch, postHeartbeat, readRoster } from "./api.js";
import { serverNow, setClock } from "./clock.js";
import { SENDERS } from "./decisions.js";
import { describePhone } from "./phone_state.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;
const LONGEST_ASKED_WAIT_MS = 30_000;
const ROUND_MS = 10_000;
const HEARTBEAT_MS = 28_000;
const MOST_SCANS = 500;
const PAGE = 5000;

/** Milliseconds to wait after `failures` failures in a row: doubling, between half and one and a half of it. */
function waitAfter(failures, retryAfterSeconds) {
  const doubled = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(failures - 1, 10));
  return Math.max(Math.min(LONGEST_ASKED_WAIT_MS, retryAfterSeconds * 1000), doubled * (0.5 + Math.random()));
}

/** Ends a round: the result says that the server cannot be reached, or does not know this phone. */
class Stopped extends Error {
  constructor(result) {
    super(result.kind);
    this.result = result;
  }
}

export class Sync {
  #phone;
  #decisions;
  #listener;
  #failures = 0;
  #timer = null;
  #isRunning = false;
  #isWanted = false;
  #isStopped = false;
  #beatAt = -Infinity;

  /** `listener` has decided(item, decision), undoRefused(item), synced(), unpaired(result), waiting(number of people). */
  constructor(phone, decisions, listener) {
    this.#phone = phone;
    this.#decisions = decisions;
    this.#listener = listener;
  }

  /** A round now: at start, after a scan, when the network is said to be back, when the page is seen. */
  async run() {
    clearTimeout(this.#timer);
    this.#isWanted = true;
    if (this.#isRunning || this.#isStopped) return;
    this.#isRunning = true;
    while (this.#isWanted && !this.#isStopped) {
      this.#isWanted = false;
      await this.#tryRound();
    }
    this.#isRunning = false;
  }

  /** There is something new to send: a round now, unless the server is known to be away and the next try is set. */
  nudge() {
    return this.#failures === 0 ? this.run() : undefined;
  }

  /** As run(), with a heartbeat in it. */
  beat() {
    this.#beatAt = -Infinity;
    return this.run();
  }

  /** No more rounds: the phone is not paired any more. */
  stop() {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  async #tryRound() {
    try {
      await this.#round();
      this.#failures = 0;
      this.#wait(ROUND_MS * (1 + Math.random() / 2));
    } catch (error) {
      if (!(error instanceof Stopped)) throw error;
      if (error.result.kind === "unpaired") return this.#listener.unpaired(error.result);
      this.#failures += 1;
      this.#wait(waitAfter(this.#failures, error.result.retryAfterSeconds ?? 0));
    }
  }

  #wait(milliseconds) {
    clearTimeout(this.#timer);
    if (!this.#isStopped) this.#timer = setTimeout(() => this.run(), milliseconds);
  }

  async #round() {
    await this.#sendQueue();
    if (performance.now() - this.#beatAt >= HEARTBEAT_MS) await this.#heartbeat();
    await this.#readRoster();
    this.#listener.synced();
  }

  async #sendQueue() {
    for (;;) {
      const items = this.#phone.queue.list();
      const first = items.findIndex((item) => !this.#decisions.isUnderway(item.scan_id) && !this.#waitsForOther(item));
      if (first < 0) return;
      const batch = isJudgedScan(items[first]) ? this.#takeBatch(items.slice(first)) : [];
      if (batch.length > 0) await this.#sendBatch(batch);
      else await this.#sendOne(items[first]);
    }
  }

  /** An undo goes after the scan that it undoes. */
  #waitsForOther(item) {
    return item.kind === "undo" && this.#isToBeSent(item.undoes);
  }

  #isToBeSent(scanId) {
    const item = this.#phone.queue.find(scanId);
    return item !== null && !item.parked;
  }

  #takeBatch(items) {
    const isOther = (item) => !isJudgedScan(item) || this.#decisions.isUnderway(item.scan_id);
    const end = items.findIndex(isOther);
    return items.slice(0, Math.min(MOST_SCANS, end < 0 ? items.length : end));
  }

  async #sendBatch(items) {
    const result = await postBatch(items);
    if (result.kind === "rejected") return this.#sendHalves(items, result);
    const { results = [], conflicts = [], headcount } = expectAnswer(result);
    const byId = new Map(items.map((item) => [item.scan_id, item]));
    const named = results.filter((answer) => byId.has(answer.scan_id));
    // An answer that names none of them would be asked for again at once, for ever.
    if (named.length === 0) throw new Stopped({ kind: "unreachable" });
    await this.#phone.conflicts.add(conflicts);
    for (const answer of named) await this.#takeResult(byId.get(answer.scan_id), answer);
    await this.#phone.store.write(this.#decisions.takeHeadcount({ headcount }));
  }

  async #takeResult(item, answer) {
    if (answer.reason === "malformed") return this.#park(item, answer.errors ?? {});
    // Of a party, what the others let in is not this phone's conflict: only outcomes are compared.
    return this.#decisions.takeJudged(item, answer, true);
  }

  /** One bad item must not hold the others: halve until it stands alone, then put it aside. */
  async #sendHalves(items, result) {
    if (items.length === 1) return this.#park(items[0], result.body.errors ?? { scan: [result.body.code] });
    const middle = Math.ceil(items.length / 2);
    await this.#sendBatch(items.slice(0, middle));
    await this.#sendBatch(items.slice(middle));
  }

  async #park(item, errors) {
    await this.#phone.queue.keep({ ...item, parked: { errors } });
  }

  async #sendOne(item) {
    const result = await SENDERS[item.kind](item);
    if (result.kind === "unreachable" || result.kind === "unpaired") throw new Stopped(result);
    if (item.kind === "undo") return (await this.#decisions.takeUndo(item, result)) || this.#listener.undoRefused(item);
    if (item.judged) return this.#takeJudgedOne(item, result);
    const decision = await this.#decisions.take(item, result);
    if (decision === null) throw new Stopped({ kind: "unreachable" });
    return this.#listener.decided(item, decision);
  }

  async #takeJudgedOne(item, result) {
    if (result.kind === "rejected") return this.#park(item, result.body.errors ?? { [item.kind]: [result.body.code] });
    if (result.body.conflict) await this.#phone.conflicts.add([describe(item, result.body)]);
    return this.#decisions.takeJudged(item, { ...result.body, outcome: result.body.outcome ?? item.judged }, true);
  }

  async #readRoster() {
    if (this.#phone.isOver) return;
    for (let more = true; more; ) {
      const answered = this.#phone.entered.listAnswered();
      const result = await readRoster(this.#phone.roster.cursor, PAGE);
      if (result.kind === "rejected") return this.#startAfresh();
      const page = expectAnswer(result);
      if (isPast(page.event.expires_at)) return this.#phone.endEvent();
      more = page.more;
      const changes = this.#phone.roster.take(page, serverNow());
      const settled = more ? [] : this.#phone.entered.settle(answered);
      const counted = this.#decisions.takeHeadcount(page.event);
      await this.#phone.store.write([...changes, ...settled, ...counted]);
      if (page.conflicts?.length > 0) await this.#phone.conflicts.add(page.conflicts);
    }
  }

  /** The server knows this phone's cursor no more, as after a restore: everything is read again. */
  async #startAfresh() {
    if (this.#phone.roster.cursor === null) return;
    await this.#phone.store.clear(["roster"]);
    this.#phone.roster.clear();
    await this.#readRoster();
  }

  async #heartbeat() {
    const asked = Date.now();
    const result = await postHeartbeat(await describePhone(this.#phone));
    this.#beatAt = performance.now();
    if (result.kind === "rejected") return;
    const answer = expectAnswer(result);
    setClock(answer.now, asked);
    await this.#phone.store.write(this.#decisions.takeHeadcount(answer));
    this.#listener.waiting(answer.waiting ?? 0);
  }
}

function isJudgedScan(item) {
  return item.kind === "scan" && Boolean(item.judged);
}

function expectAnswer(result) {
  if (result.kind !== "answer") throw new Stopped(result);
  return result.body;
}

function describe(item, answer) {
  return { scan_id: item.scan_id, reason: answer.conflict, name: answer.attendee?.name ?? item.name, scanned_at: item.scanned_at };
}

function isPast(moment) {
  return Boolean(moment) && serverNow() >= Date.parse(moment);
}
