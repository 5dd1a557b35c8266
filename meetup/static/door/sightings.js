/**
 * From codes seen in camera frames to scans: one code held before the camera is one scan (rules 4.10),
 * and of two codes in view none is chosen. Pure: the caller gives the time in milliseconds.
 */
const SAME_CODE_MS = 3000;
// Of two codes in view a frame may show one only, so a new code is believed when no other has shown up meanwhile.
export const SETTLE_MS = 80;
const CLEAR_AFTER_TWO_MS = 500;

export class Sightings {
  #lastSeen = new Map();
  #candidate = null;
  #twoSeenAt = -Infinity;

  /** What one decoded frame means: {kind: "nothing"}, {kind: "scan", code, since} or {kind: "two"}. */
  see(codes, now) {
    const different = [...new Set(codes)];
    if (different.length > 1 || this.#contradicts(different[0])) return this.#seeTwo(different, now);
    if (different.length === 0) return this.settle(now);
    return this.#seeOne(different[0], now);
  }

  /** Let the code that is in view be scanned again, as after a change of direction. */
  forget() {
    this.#lastSeen.clear();
    this.#candidate = null;
  }

  #contradicts(code) {
    return code !== undefined && this.#candidate !== null && this.#candidate.code !== code;
  }

  #seeTwo(codes, now) {
    this.#candidate = null;
    this.#twoSeenAt = now;
    for (const code of codes) if (this.#isRepeat(code, now)) this.#lastSeen.set(code, now);
    return { kind: "two" };
  }

  #seeOne(code, now) {
    if (this.#isRepeat(code, now)) {
      this.#lastSeen.set(code, now);
      return { kind: "nothing" };
    }
    if (now - this.#twoSeenAt < CLEAR_AFTER_TWO_MS) return { kind: "nothing" };
    this.#candidate ??= { code, since: now };
    return this.settle(now);
  }

  /** What is due without another frame: a scan of the code that stood alone long enough, or nothing. */
  settle(now) {
    if (this.#candidate === null || now - this.#candidate.since < SETTLE_MS) return { kind: "nothing" };
    const { code, since } = this.#candidate;
    this.#candidate = null;
    this.#prune(now);
    this.#lastSeen.set(code, now);
    return { kind: "scan", code, since };
  }

  #isRepeat(code, now) {
    return now - (this.#lastSeen.get(code) ?? -Infinity) < SAME_CODE_MS;
  }

  #prune(now) {
    for (const [code, seenAt] of this.#lastSeen) {
      if (now - seenAt >= SAME_CODE_MS) this.#lastSeen.delete(code);
    }
  }
}
