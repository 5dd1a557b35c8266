/**
 * What this phone keeps on disk (IndexedDB "turnout-door"):
 *   scans      the queue: each scan, walk-in, click and undo until the server's answer names it
 *   entered    who went in and out by this phone, by scan
 *   roster     three records by `part`: the list, its latest changes, the last headcount
 *   recent     the last scans with their outcome, for the list and for undo
 *   conflicts  what the server counted differently
 * Where the browser gives no IndexedDB (some private windows) all of it lives in memory until the page goes.
 */
const NAME = "turnout-door";
const VERSION = 2;
const KEYS = { scans: "scan_id", entered: "scan_id", roster: "part", recent: "scan_id", conflicts: "scan_id" };

function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function committed(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = transaction.onerror = () => reject(transaction.error);
  });
}

class DiskStore {
  #database;

  constructor(database) {
    this.#database = database;
    database.onversionchange = () => database.close();
  }

  /** Do all of `changes` or none: a list of [store, record to put] and [store, null, key to delete]. */
  async write(changes) {
    if (changes.length === 0) return;
    const names = [...new Set(changes.map(([name]) => name))];
    const transaction = this.#database.transaction(names, "readwrite", { durability: "strict" });
    for (const [name, record, key] of changes) {
      if (record === null) transaction.objectStore(name).delete(key);
      else transaction.objectStore(name).put(record);
    }
    await committed(transaction);
  }

  list(name) {
    return settled(this.#database.transaction(name).objectStore(name).getAll());
  }

  /** Empty the named stores, all of them by default. */
  async clear(names = Object.keys(KEYS)) {
    const transaction = this.#database.transaction(names, "readwrite", { durability: "strict" });
    for (const name of names) transaction.objectStore(name).clear();
    await committed(transaction);
  }

  /** Nothing stays, not even empty stores. */
  async destroy() {
    await this.clear();
    this.#database.close();
    indexedDB.deleteDatabase(NAME);
  }
}

class MemoryStore {
  #records = new Map(Object.keys(KEYS).map((name) => [name, new Map()]));

  async write(changes) {
    for (const [name, record, key] of changes) {
      if (record === null) this.#records.get(name).delete(key);
      else this.#records.get(name).set(record[KEYS[name]], record);
    }
  }

  async list(name) {
    return [...this.#records.get(name).values()];
  }

  async clear(names = Object.keys(KEYS)) {
    for (const name of names) this.#records.get(name).clear();
  }

  destroy() {
    return this.clear();
  }
}

function openDatabase() {
  const opening = indexedDB.open(NAME, VERSION);
  opening.onupgradeneeded = () => {
    for (const [name, keyPath] of Object.entries(KEYS)) {
      if (!opening.result.objectStoreNames.contains(name)) opening.result.createObjectStore(name, { keyPath });
    }
  };
  return settled(opening);
}

/** The store; it has write(changes), list(name), clear(names) and destroy(). */
export async function openStore() {
  try {
    return new DiskStore(await openDatabase());
  } catch {
    return new MemoryStore();
  }
}
