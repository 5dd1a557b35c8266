/** What the server counted differently from what this phone, or the other one, let happen (rules 4.5). */
export class Conflicts {
  #store;
  #known = new Map();
  #onChange = () => {};

  constructor(store) {
    this.#store = store;
  }

  /** `listener(conflicts that are new)` whenever some came or all went. */
  listen(listener) {
    this.#onChange = listener;
  }

  async load() {
    for (const conflict of await this.#store.list("conflicts")) this.#known.set(conflict.scan_id, conflict);
  }

  /** Take conflicts {scan_id, reason, name, scanned_at?, gate?, device?, other}; those that are known gain what is new. */
  async add(conflicts) {
    const isNews = conflicts.filter(({ scan_id }) => !this.#known.has(scan_id));
    const merged = conflicts.map((conflict) => merge(this.#known.get(conflict.scan_id), conflict));
    for (const conflict of merged) this.#known.set(conflict.scan_id, conflict);
    await this.#store.write(merged.map((conflict) => ["conflicts", conflict]));
    if (isNews.length > 0) this.#onChange(isNews);
  }

  /** Newest first. */
  list() {
    return [...this.#known.values()].sort((one, other) => (one.scanned_at < other.scanned_at ? 1 : -1));
  }

  clear() {
    this.#known.clear();
    this.#onChange([]);
  }
}

function merge(known = {}, conflict) {
  const given = Object.entries(conflict).filter(([, value]) => value !== null && value !== undefined);
  return { scanned_at: new Date().toISOString(), other: null, ...known, ...Object.fromEntries(given) };
}
