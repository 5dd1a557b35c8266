/** The last scans of this phone with their outcome. Names and times only: no codes are kept here (rules 4.7). */
const KEPT = 20;
const FORGET_AFTER_MS = 12 * 3600 * 1000;
const UNDO_MS = 15 * 60 * 1000;

export class RecentScans {
  #store;
  #mayUndoAlways;
  #lines = [];

  constructor(store, isSupervisor) {
    this.#store = store;
    this.#mayUndoAlways = isSupervisor;
  }

  /** Read what an earlier visit of this page left, newest first; lines of another day go. */
  async load() {
    const lines = (await this.#store.list("recent")).sort((one, other) => other.decided_at - one.decided_at);
    const isOld = (line) => Date.now() - line.decided_at > FORGET_AFTER_MS;
    this.#lines = lines.filter((line) => !isOld(line));
    await this.#store.write(lines.filter(isOld).map((line) => ["recent", null, line.scan_id]));
  }

  /** Keep one decided scan, and let go of what is past the twentieth. */
  async add(scan, answer) {
    const line = {
      scan_id: scan.scan_id,
      scanned_at: scan.scanned_at,
      decided_at: Date.now(),
      direction: scan.direction,
      outcome: answer.outcome,
      reason: answer.reason ?? null,
      name: answer.attendee?.name ?? "",
      is_undone: false,
    };
    this.#lines = [line, ...this.#lines.filter((other) => other.scan_id !== line.scan_id)];
    const gone = this.#lines.splice(KEPT);
    await this.#store.write([["recent", line], ...gone.map((old) => ["recent", null, old.scan_id])]);
  }

  async markUndone(scanId, isUndone = true) {
    const line = this.#lines.find((each) => each.scan_id === scanId);
    if (!line) return;
    line.is_undone = isUndone;
    await this.#store.write([["recent", line]]);
  }

  clear() {
    this.#lines = [];
  }

  /** Newest first, at most twenty. */
  list() {
    return this.#lines;
  }

  canUndo(line) {
    const isFresh = this.#mayUndoAlways || Date.now() - line.decided_at < UNDO_MS;
    return line.outcome === "admitted" && line.direction === "in" && !line.is_undone && isFresh;
  }

  /** The last scan that can still be taken back, or undefined. */
  findLastUndoable() {
    return this.#lines.find((line) => this.canUndo(line));
  }
}
