/**
 * The roster as this phone holds it: hashes of tickets, names as the door may see them, states, who is inside.
 *
 * On disk it is one record of bytes, because fifty thousand rows take seconds to write one by one, and a small record
 * of what changed since, so that a change of three people does not rewrite the whole. Looked up in a Map.
 */
const MOST_CHANGES = 1000;
const HASH = 0;
const FIELDS = ["hash", "name", "state", "inside", "ticketType", "party", "insideCount", "registrationId", "note"];

export class Roster {
  #rows = new Map();
  #removed = new Set();
  #changes = { tickets: [], removed: [] };
  #byRegistration = null;
  #listBytes = 0;
  cursor = null;
  event = null;
  headcount = null;
  syncedAt = null;
  isComplete = false;

  /** Take what an earlier visit left on disk: the records of the store "roster". */
  load(records) {
    const parts = Object.fromEntries(records.map((record) => [record.part, record]));
    if (parts.list) {
      this.#listBytes = parts.list.bytes.length;
      this.#merge(JSON.parse(new TextDecoder().decode(parts.list.bytes)));
    }
    if (parts.changes) {
      const { tickets, removed, cursor, event, syncedAt, isComplete } = parts.changes;
      this.#changes = { tickets, removed };
      Object.assign(this, { cursor, event, syncedAt, isComplete });
      this.#merge(this.#changes);
    }
    this.headcount = parts.headcount?.headcount ?? this.event?.headcount ?? null;
  }

  /** Take a page of the server's answer, asked for at the server's time `askedAt`; returns what to write to disk. */
  take(page, askedAt) {
    const { removed = [] } = page;
    const tickets = (page.tickets ?? []).map((row, place) => [...row, ...(page.details?.[place] ?? [])]);
    this.#merge({ tickets, removed });
    this.#changes.tickets.push(...tickets);
    this.#changes.removed.push(...removed);
    this.cursor = page.cursor;
    this.event = page.event;
    this.isComplete ||= !page.more;
    if (!page.more) this.syncedAt = askedAt;
    const isMany = this.#changes.tickets.length + this.#changes.removed.length > MOST_CHANGES;
    return isMany ? [this.#packList(), this.#packChanges()] : [this.#packChanges()];
  }

  /** Remember a headcount from any answer; returns what to write to disk. */
  takeHeadcount(headcount) {
    this.headcount = headcount;
    return [["roster", { part: "headcount", headcount }]];
  }

  /** Forget everything, as for a new download or after the event. */
  clear() {
    this.#rows.clear();
    this.#removed.clear();
    this.#changes = { tickets: [], removed: [] };
    this.#byRegistration = null;
    this.#listBytes = 0;
    Object.assign(this, { cursor: null, event: null, headcount: null, syncedAt: null, isComplete: false });
  }

  /** {hash, name, state, inside, ticketType, party, insideCount, registrationId, note}, or null. */
  find(hash) {
    const row = this.#rows.get(hash);
    return row ? Object.fromEntries(FIELDS.map((field, index) => [field, row[index] ?? null])) : null;
  }

  /** True for the hash of a ticket that was replaced by a newer one. */
  isRemoved(hash) {
    return this.#removed.has(hash);
  }

  /** The hash of the ticket of a registration, or null. */
  findHash(registrationId) {
    if (this.#byRegistration === null) {
      const place = FIELDS.indexOf("registrationId");
      this.#byRegistration = new Map(Array.from(this.#rows.values(), (row) => [row[place], row[HASH]]));
    }
    return this.#byRegistration.get(registrationId) ?? null;
  }

  /** At most `most` people whose name has every word of `query`; accents and capitals do not matter. */
  search(query, most = 20) {
    const words = plain(query).split(/\s+/).filter(Boolean);
    const found = [];
    for (const row of this.#rows.values()) {
      const name = plain(row[1] ?? "");
      if (words.every((word) => name.includes(word)) && found.push(this.find(row[HASH])) >= most) break;
    }
    return found;
  }

  count() {
    return this.#rows.size;
  }

  /** Bytes of the list on disk, roughly. */
  size() {
    return this.#listBytes || this.#encode().length;
  }

  #merge({ tickets, removed }) {
    if (tickets.length + removed.length === 0) return;
    for (const hash of removed) {
      this.#rows.delete(hash);
      this.#removed.add(hash);
    }
    for (const row of tickets) {
      this.#rows.set(row[HASH], row);
      this.#removed.delete(row[HASH]);
    }
    this.#byRegistration = null;
  }

  #encode() {
    const whole = { tickets: [...this.#rows.values()], removed: [...this.#removed] };
    return new TextEncoder().encode(JSON.stringify(whole));
  }

  #packList() {
    const bytes = this.#encode();
    this.#listBytes = bytes.length;
    this.#changes = { tickets: [], removed: [] };
    return ["roster", { part: "list", bytes }];
  }

  #packChanges() {
    const { cursor, event, syncedAt, isComplete } = this;
    return ["roster", { part: "changes", ...this.#changes, cursor, event, syncedAt, isComplete }];
  }
}

function plain(text) {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}
