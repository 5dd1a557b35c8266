/**
 * What this phone keeps on disk (IndexedDB "turnout-door"):
 *   scans   the queue: each scan until the server's answer names it
 *   recent  the last scans with their outcome, for the list and for undo
 * Where the browser gives no IndexedDB (some private windows) both live in memory until the page goes.
 */
const NAME = "turnout-door";
const VERSION = 1;
const STORES = ["scans", "recent"];

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
  constructor(database, name) {
    this.database = database;
    this.name = name;
  }

  async #write(act) {
    const transaction = this.database.transaction(this.name, "readwrite", { durability: "strict" });
    act(transaction.objectStore(this.name));
    await committed(transaction);
  }

  put(record) {
    return this.#write((store) => store.put(record));
  }

  remove(scanId) {
    return this.#write((store) => store.delete(scanId));
  }

  async list() {
    const store = this.database.transaction(this.name).objectStore(this.name);
    return settled(store.index("scanned_at").getAll());
  }
}

class MemoryStore {
  #records = new Map();

  async put(record) {
    this.#records.set(record.scan_id, record);
  }

  async remove(scanId) {
    this.#records.delete(scanId);
  }

  async list() {
    return [...this.#records.values()].sort((one, other) => (one.scanned_at < other.scanned_at ? -1 : 1));
  }
}

function openDatabase() {
  const opening = indexedDB.open(NAME, VERSION);
  opening.onupgradeneeded = () => {
    for (const name of STORES) {
      const store = opening.result.createObjectStore(name, { keyPath: "scan_id" });
      store.createIndex("scanned_at", "scanned_at");
    }
  };
  return settled(opening);
}

/** {scans, recent}; each has put(record), remove(scanId) and list() (oldest first by scanned_at). */
export async function openStores() {
  try {
    const database = await openDatabase();
    return { scans: new DiskStore(database, "scans"), recent: new DiskStore(database, "recent") };
  } catch {
    return { scans: new MemoryStore(), recent: new MemoryStore() };
  }
}
