/**
 * Every scan goes to disk first and to the server next, and leaves the disk only when an answer names it.
 * A repeat carries the same scan_id, so that the server can give its first answer again (rules 1.1, 4.2).
 */
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;
const LONGEST_ASKED_WAIT_MS = 30_000;
const SLOW_AFTER_MS = 2500;

/** A new scan of `subject` ({code} or {registration_id}); `people` null means all who are left of the party. */
export function makeScan(subject, direction, people = null) {
  return {
    scan_id: makeUuid(),
    code: subject.code ?? null,
    registration_id: subject.registration_id ?? null,
    direction,
    scanned_at: new Date().toISOString(),
    people,
  };
}

function makeUuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** Milliseconds to wait after `failures` failures in a row: doubling, between half and one and a half of it. */
function waitAfter(failures, retryAfterSeconds) {
  const doubled = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(failures - 1, 10));
  const asked = Math.min(LONGEST_ASKED_WAIT_MS, retryAfterSeconds * 1000);
  return Math.max(asked, doubled * (0.5 + Math.random()));
}

export class ScanQueue {
  #store;
  #send;
  #listener;
  #failures = 0;
  #timer = null;
  #isSending = false;
  #isWanted = false;
  #isStopped = false;

  /**
   * `send(scan)` resolves as api.js says. `listener` is told of each scan:
   * decided(scan, body, wasLate), rejected(scan, result), waiting(scan, how many wait), unpaired().
   */
  constructor(store, send, listener) {
    this.#store = store;
    this.#send = send;
    this.#listener = listener;
  }

  /** Keep the scan on disk, then send it at once. */
  async add(scan) {
    await this.#store.put(scan);
    await this.retryNow();
  }

  /** Send what waits without waiting for the timer: at start, when the network is back, when the page is seen. */
  async retryNow() {
    clearTimeout(this.#timer);
    this.#isWanted = true;
    if (this.#isSending || this.#isStopped) return;
    this.#isSending = true;
    try {
      while (this.#isWanted) {
        this.#isWanted = false;
        await this.#sendAll();
      }
    } finally {
      this.#isSending = false;
    }
  }

  /** How many scans have no answer yet. */
  async countWaiting() {
    return (await this.#store.list()).length;
  }

  async #sendAll() {
    for (;;) {
      const [scan] = await this.#store.list();
      if (!scan || this.#isStopped) return;
      const isDone = await this.#sendOne(scan);
      if (!isDone) return;
    }
  }

  async #sendOne(scan) {
    const tellSlow = () => this.#tellWaiting(scan);
    const slow = setTimeout(tellSlow, SLOW_AFTER_MS);
    const result = await this.#send(scan);
    clearTimeout(slow);
    if (result.kind === "unpaired") {
      this.#isStopped = true;
      this.#listener.unpaired();
      return false;
    }
    if (result.kind === "unreachable" || !isFinal(scan, result)) return this.#waitAndRetry(scan, result);
    await this.#store.remove(scan.scan_id);
    const wasLate = this.#failures > 0;
    this.#failures = 0;
    if (result.kind === "answer") await this.#listener.decided(scan, result.body, wasLate);
    else await this.#listener.rejected(scan, result);
    return true;
  }

  async #waitAndRetry(scan, result) {
    this.#failures += 1;
    await this.#tellWaiting(scan);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.retryNow(), waitAfter(this.#failures, result.retryAfterSeconds ?? 0));
    return false;
  }

  async #tellWaiting(scan) {
    this.#listener.waiting(scan, await this.countWaiting());
  }
}

/** Only an answer that names this scan and decides it lets the scan go; anything else is no answer. */
function isFinal(scan, result) {
  if (result.kind === "rejected") return true;
  return result.body?.scan_id === scan.scan_id && ["admitted", "refused"].includes(result.body.outcome);
}
