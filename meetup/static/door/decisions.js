/**
 * From an item to a decision: the server's where it comes within two seconds, else this phone's own, under the same
 * scan_id. What is decided here is on disk, with who went in, before anybody sees green.
 */
import * as api from "./api.js";
import { judgeItem } from "./judging.js";
import { isOnline, loseLink } from "./link.js";
import { makeItem } from "./scan_queue.js";
import { readCode } from "./ticket_code.js";

const PATIENCE_MS = 2000;

/** How each kind of item is sent by itself. */
export const SENDERS = {
  scan: api.postScan,
  walk_in: api.postWalkIn,
  click: api.postClick,
  undo: (item) => api.undoScan(item.undoes),
};

/** True for an answer that names this item and decides it; anything else is no answer. */
export function isDecided(item, body) {
  if (item.kind === "undo") return true;
  return (body?.scan_id ?? body?.click_id) === item.scan_id && ["admitted", "refused"].includes(body.outcome);
}

export class Decisions {
  #phone;
  #onUnpaired;
  #onConflict;
  #underway = new Set();
  #judging = Promise.resolve();

  /** `onUnpaired(result)` on 401; `onConflict(conflict)` when server and phone decided differently. */
  constructor(phone, onUnpaired, onConflict) {
    this.#phone = phone;
    this.#onUnpaired = onUnpaired;
    this.#onConflict = onConflict;
  }

  /** True while a first sending of this item has no answer: it is not sent a second time beside it. */
  isUnderway(scanId) {
    return this.#underway.has(scanId);
  }

  /**
   * Decide a new item. Resolves to {answer, isLocal}, to {rejected: result} where the server will never take it, or
   * to null where nobody can decide now; the item then stays in the queue.
   */
  async decide(item) {
    if (!isOnline()) return (await this.#judge(item)) ?? this.#leave(item);
    await this.#phone.queue.keep(item);
    const sending = this.#send(item);
    const result = await Promise.race([sending, pause(PATIENCE_MS)]);
    if (result === null) loseLink();
    if (result !== null && result.kind !== "unreachable") return this.take(item, result);
    const local = await this.#judge(item);
    if (result === null) sending.then((late) => this.#takeLate(item, late));
    return local;
  }

  /** The server's word on an item that nobody has decided yet. */
  async take(item, result) {
    if (result.kind === "unpaired") {
      this.#onUnpaired(result);
      return null;
    }
    if (result.kind === "rejected") return this.#reject(item, result);
    if (result.kind !== "answer" || !isDecided(item, result.body)) return null;
    const changes = [...(await this.#enter(item, result.body)), ...this.takeHeadcount(result.body)];
    await this.#phone.queue.release(item.scan_id, changes);
    return { answer: result.body, isLocal: false };
  }

  /** The server's word on an item that this phone judged: `isFinal` when the server heard what was judged. */
  async takeJudged(item, answer, isFinal) {
    const { queue, entered } = this.#phone;
    const differs = answer.outcome !== item.judged;
    if (differs) await this.#onConflict(describeConflict(item, answer));
    // The server is yet to hear that somebody went in whom it refused.
    if (differs && item.judged === "admitted" && !isFinal) return;
    const people = differs && item.judged === "admitted" ? 0 : null;
    const missing = differs && item.judged === "refused" ? await this.#enter(item, answer) : [];
    const changes = [...missing, ...entered.answer(item.scan_id, people), ...this.takeHeadcount(answer)];
    await queue.release(item.scan_id, changes);
  }

  /**
   * Take a check-in back: at once on this phone, and at the server as soon as it answers. Resolves to false where the
   * server refuses.
   */
  async undo(scanId) {
    const item = makeItem("undo", { undoes: scanId });
    const { entered, queue } = this.#phone;
    const undone = entered.find(scanId);
    const changes = undone ? this.#phone.enter(item, { hash: undone.hash, people: -undone.people, undoes: scanId }) : [];
    await queue.keep(item, [...changes, ...entered.markUndone(scanId, true)]);
    if (!isOnline() || queue.find(scanId)) return true;
    const result = await Promise.race([this.#send(item), pause(PATIENCE_MS)]);
    if (result === null) loseLink();
    if (result?.kind === "unpaired") this.#onUnpaired(result);
    return this.takeUndo(item, result);
  }

  /** The server's word on an undo; without one it waits in the queue. False where the server refuses. */
  async takeUndo(item, result) {
    const { entered, queue } = this.#phone;
    if (result?.kind === "answer") {
      await queue.release(item.scan_id, [...entered.answer(item.scan_id), ...this.takeHeadcount(result.body)]);
    }
    if (result?.kind !== "rejected") return true;
    await queue.release(item.scan_id, [...entered.drop(item.scan_id), ...entered.markUndone(item.undoes, false)]);
    return item.isSilent === true;
  }

  /** Give up a scan that nobody could decide; should the server have let it in after all, that is taken back. */
  async abandon(scanId) {
    const item = this.#phone.queue.find(scanId);
    if (!item || item.judged || item.parked) return;
    await this.#phone.queue.keep(makeItem("undo", { undoes: scanId, isSilent: true }));
    await this.#phone.queue.release(scanId);
  }

  /** What to write for the headcount of an answer, if it has one. */
  takeHeadcount(answer) {
    return answer?.headcount ? this.#phone.roster.takeHeadcount(answer.headcount) : [];
  }

  async #send(item) {
    this.#underway.add(item.scan_id);
    try {
      return await SENDERS[item.kind](item);
    } finally {
      this.#underway.delete(item.scan_id);
    }
  }

  /** One after the other: the second of two scans of one ticket has to see that the first went in. */
  #judge(item) {
    this.#judging = this.#judging.catch(() => {}).then(() => this.#judgeNext(item));
    return this.#judging;
  }

  async #judgeNext(item) {
    const verdict = await judgeItem(item, this.#phone);
    if (verdict === null) return null;
    const { hash, people, ...answer } = verdict;
    const entry = people === 0 ? [] : this.#phone.enter(item, { hash, people });
    // A walk-in or a click that did not happen is nothing to tell.
    if (item.kind !== "scan" && answer.outcome === "refused") {
      await this.#phone.queue.release(item.scan_id);
      return { answer, isLocal: true };
    }
    const judged = { ...item, judged: answer.outcome, reason: answer.reason, name: item.name ?? answer.attendee?.name ?? null };
    await this.#phone.queue.keep(judged, entry);
    return { answer: { ...answer, scan_id: item.scan_id }, isLocal: true };
  }

  async #leave(item) {
    await this.#phone.queue.keep(item);
    return null;
  }

  async #reject(item, result) {
    await this.#phone.queue.release(item.scan_id);
    return { rejected: result };
  }

  async #takeLate(item, result) {
    const judged = this.#phone.queue.find(item.scan_id);
    // Sent again by the queue in the meantime, or never judged: the queue sees to it.
    if (!judged?.judged || result.kind !== "answer" || !isDecided(item, result.body)) return;
    await this.takeJudged(judged, result.body, false);
  }

  /** Who is inside by the server's word, as a change to what this phone knew. */
  async #enter(item, answer) {
    if (answer.outcome !== "admitted") return [];
    if (item.kind !== "scan") return this.#phone.enter(item, { hash: null, people: item.people ?? 1, isAnswered: true });
    const hash = this.#phone.roster.findHash(answer.attendee?.id) ?? (item.code ? await hashOf(item.code) : null);
    const people = hash === null ? 0 : (answer.attendee?.admitted ?? 1) - this.#phone.insideOf(hash);
    return this.#phone.enter(item, { hash, people, isAnswered: true });
  }
}

async function hashOf(code) {
  return (await readCode(code)).hash ?? null;
}

function describeConflict(item, answer) {
  return {
    scan_id: item.scan_id,
    reason: answer.outcome === "admitted" ? "counted" : answer.reason,
    name: answer.attendee?.name ?? item.name ?? "",
    scanned_at: item.scanned_at,
    other: answer.first ?? null,
  };
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(() => resolve(null), milliseconds));
}
