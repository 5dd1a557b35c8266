/**
 * Everything that this phone has to tell the server goes to disk first and leaves it only when an answer names it.
 * A repeat carries the same scan_id, so that the server can give its first answer again (rules 1.1, 4.2).
 *
 * An item has a `kind`: scan, walk_in, click or undo; `judged` once this phone decided it by itself; `parked` with the
 * server's reasons when the server will never take it.
 */
export class ScanQueue {
  #store;
  #items = new Map();
  #lastPlace = 0;
  #onChange = () => {};

  constructor(store) {
    this.#store = store;
  }

  /** `listener()` whenever something was added, taken off or parked. */
  listen(listener) {
    this.#onChange = listener;
  }

  async load() {
    const items = await this.#store.list("scans");
    for (const item of items.sort(byPlace)) this.#items.set(item.scan_id, { kind: "scan", ...item });
    this.#lastPlace = Math.max(0, ...items.map((item) => item.place ?? 0));
  }

  /** Put a new or changed item on disk, in one piece with `changes` to other stores. */
  async keep(item, changes = []) {
    // The phone's clock may jump back; the order of the queue does not.
    this.#lastPlace = Math.max(this.#lastPlace + 1, Date.now());
    const kept = { place: this.#lastPlace, ...item };
    this.#items.set(kept.scan_id, kept);
    await this.#store.write([["scans", kept], ...changes]);
    this.#onChange();
    return kept;
  }

  /** The server has answered: let the item go, in one piece with `changes`. */
  async release(scanId, changes = []) {
    await this.#store.write([["scans", null, scanId], ...changes]);
    this.#items.delete(scanId);
    this.#onChange();
  }

  find(scanId) {
    return this.#items.get(scanId) ?? null;
  }

  /** What is to be sent, in the order in which it happened. */
  list() {
    return [...this.#items.values()].filter((item) => !item.parked).sort(byPlace);
  }

  /** What the server will never take. */
  listParked() {
    return [...this.#items.values()].filter((item) => item.parked).sort(byPlace);
  }

  /** The wipe took the disk; take the memory too. */
  forget() {
    this.#items.clear();
    this.#onChange();
  }
}

function byPlace(one, other) {
  return (one.place ?? 0) - (other.place ?? 0);
}

/** A new item; `what` holds the fields of its kind. */
export function makeItem(kind, what) {
  return { scan_id: makeUuid(), kind, scanned_at: new Date().toISOString(), ...what };
}

/** A new scan of `subject` ({code} or {registration_id}); `people` null means all who are left of the party. */
export function makeScan(subject, direction, people = null) {
  const { code = null, registration_id = null, ...more } = subject;
  return makeItem("scan", { code, registration_id, direction, people, ...more });
}

function makeUuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
