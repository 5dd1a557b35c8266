/** What this phone knows and keeps, in one place: roster, who went in and out, the queue, conflicts, recent scans. */
import { device, event, gate, isSupervisor } from "./config.js";
import { serverNow } from "./clock.js";
import { Conflicts } from "./conflicts.js";
import { Entered } from "./entered.js";
import { RecentScans } from "./recent_scans.js";
import { Roster } from "./roster.js";
import { ScanQueue } from "./scan_queue.js";

export class Phone {
  /** True once the event is so long past that its people were forgotten, and are not to be read again. */
  isOver = false;

  constructor(store) {
    this.store = store;
    this.roster = new Roster();
    this.entered = new Entered();
    this.queue = new ScanQueue(store);
    this.conflicts = new Conflicts(store);
    this.recent = new RecentScans(store, isSupervisor);
  }

  /** Read what an earlier visit left; what belongs to another event goes, but for the queue. */
  async load() {
    this.roster.load(await this.store.list("roster"));
    if (this.isExpired()) await this.endEvent();
    if (this.isStrange()) await this.forgetEvent();
    this.entered.load(await this.store.list("entered"));
    await Promise.all([this.queue.load(), this.conflicts.load(), this.recent.load()]);
  }

  /** True where the roster on disk is of another event than the one this phone is paired for. */
  isStrange() {
    return this.roster.event !== null && this.roster.event.slug !== event.slug;
  }

  /** True when nothing about this event may stay on a phone any more (rules 4.7). */
  isExpired() {
    const expiresAt = this.roster.event?.expires_at;
    return Boolean(expiresAt) && serverNow() >= Date.parse(expiresAt);
  }

  /** The event is long past: its people are forgotten for good. */
  endEvent() {
    this.isOver = true;
    return this.forgetEvent();
  }

  /** Forget the people of the event; the queue stays until the server has it. */
  async forgetEvent() {
    await this.store.clear(["roster", "entered", "conflicts", "recent"]);
    for (const part of [this.roster, this.entered, this.conflicts, this.recent]) part.clear();
  }

  /** How many are inside, as far as this phone knows; null where it never heard. */
  inside() {
    const counted = this.roster.headcount?.inside;
    return typeof counted === "number" ? Math.max(0, counted + this.entered.uncounted()) : null;
  }

  /** How many of a ticket's party are inside. */
  insideOf(hash) {
    return (this.roster.find(hash)?.insideCount ?? 0) + this.entered.changeOf(hash);
  }

  /** What to write when a check-in or check-out by this phone changes who is inside. */
  enter(item, { hash, people, isAnswered = false, undoes = null }) {
    const direction = item.direction ?? (people < 0 ? "out" : "in");
    const at = serverNow();
    const record = { scan_id: item.scan_id, hash: hash ?? null, direction, people, at, gate, device, isAnswered, undoes };
    return this.entered.put({ ...record, isSettled: false, isUndone: false });
  }
}
