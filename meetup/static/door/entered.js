/**
 * Who went in and out by this phone. A queue that was sent is empty, and the roster hears of a scan only some seconds
 * later, so this is what keeps a ticket from being let in twice in between, and after a reload.
 *
 * A record: {scan_id, hash, direction, people (by how many it changes who is inside), at (server's time), gate, device,
 * isAnswered, isSettled, isUndone, undoes}. Answered: the server has counted it. Settled: the roster here was asked for
 * after that. An undo is a record of its own that takes away what the undone one brought.
 */
export class Entered {
  #records = new Map();
  #byHash = new Map();

  load(records) {
    for (const record of records) this.#keep(record);
  }

  /** Keep a record, or a changed one; returns what to write to disk, with the queue's own change. */
  put(record) {
    this.#keep(record);
    return [["entered", record]];
  }

  find(scanId) {
    return this.#records.get(scanId) ?? null;
  }

  /** Take a record back altogether: the server says that it never was. */
  drop(scanId) {
    const record = this.#records.get(scanId);
    if (!record) return [];
    this.#records.delete(scanId);
    this.#byHash.get(record.hash)?.delete(scanId);
    return [["entered", null, scanId]];
  }

  /** The server has counted this scan, as `people` where it says so. */
  answer(scanId, people = null) {
    const record = this.#records.get(scanId);
    return record ? this.put({ ...record, people: people ?? record.people, isAnswered: true }) : [];
  }

  /** Note that a check-in was undone, or is not after all. */
  markUndone(scanId, isUndone) {
    const record = this.#records.get(scanId);
    return record ? this.put({ ...record, isUndone }) : [];
  }

  /** How many people of a ticket are inside beyond what the roster says. */
  changeOf(hash) {
    return this.#sum(this.#of(hash), (record) => !record.isSettled);
  }

  /** How many people are inside beyond what the server counted. */
  uncounted() {
    return this.#sum(this.#records.values(), (record) => !record.isAnswered);
  }

  /** How many people of a ticket ever came in by this phone. */
  arrivalsOf(hash) {
    return this.#sum(this.#of(hash).filter(isEntry), (record) => record.people > 0);
  }

  /** {scanned_at, gate, device} of the last check-in of a ticket that stands, or null. */
  firstOf(hash) {
    const last = this.#of(hash).filter(isEntry).reduce((one, other) => (one && one.at > other.at ? one : other), null);
    return last ? { scanned_at: new Date(last.at).toISOString(), gate: last.gate, device: last.device } : null;
  }

  /** The scans that the server has counted by now: a roster asked for from here on knows of them. */
  listAnswered() {
    return [...this.#records.values()].filter(({ isAnswered, isSettled }) => isAnswered && !isSettled).map((record) => record.scan_id);
  }

  /** The roster knows of these scans; returns what to write to disk. */
  settle(scanIds) {
    const known = scanIds.map((scanId) => this.#records.get(scanId)).filter(Boolean);
    return known.flatMap((record) => {
      const isSpent = record.hash === null || record.undoes;
      return isSpent ? this.drop(record.scan_id) : this.put({ ...record, isSettled: true });
    });
  }

  clear() {
    this.#records.clear();
    this.#byHash.clear();
  }

  #of(hash) {
    return [...(this.#byHash.get(hash)?.values() ?? [])];
  }

  #keep(record) {
    this.#records.set(record.scan_id, record);
    if (record.hash === null) return;
    if (!this.#byHash.has(record.hash)) this.#byHash.set(record.hash, new Map());
    this.#byHash.get(record.hash).set(record.scan_id, record);
  }

  #sum(records, isCounted) {
    let sum = 0;
    for (const record of records) if (isCounted(record)) sum += record.people;
    return sum;
  }
}

function isEntry(record) {
  return record.direction === "in" && !record.isUndone && !record.undoes;
}
