/**
 * The door API. Every call resolves, never rejects, to one of
 *   {kind: "answer", status, body}      the server decided; body is null for 204
 *   {kind: "rejected", status, body}    the server will never take this request (4xx)
 *   {kind: "unpaired", code, quarantined}   401: this phone is unknown, or revoked; how many items were kept
 *   {kind: "unreachable", retryAfterSeconds}   nobody decided; the same request may be sent again
 */
const TIMEOUT_MS = 8000;
const LONG_TIMEOUT_MS = 30_000;
const RETRY_LATER = new Set([408, 425, 429]);
const SCAN_FIELDS = ["scan_id", "code", "registration_id", "direction", "scanned_at", "people", "override", "admit_waiting"];
const WALK_IN_FIELDS = ["scan_id", "name", "email", "scanned_at", "judged"];

let onResult = () => {};

/** `listener(result)` hears of every call's end: whether the server can be reached shows there, and only there. */
export function listenToResults(listener) {
  onResult = listener;
}

async function ask(method, path, body = null, timeout = TIMEOUT_MS) {
  const result = await attempt(method, path, body, timeout);
  onResult(result);
  return result;
}

async function attempt(method, path, body, timeout) {
  const headers = { Accept: "application/json" };
  if (body) headers["Content-Type"] = "application/json";
  // The whole answer has to come in time, not its first byte.
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), timeout);
  try {
    const response = await fetch(path, {
      method,
      credentials: "same-origin",
      cache: "no-store",
      headers,
      body: body ? JSON.stringify(body) : undefined,
      signal: stop.signal,
    });
    return await read(response);
  } catch {
    return { kind: "unreachable", retryAfterSeconds: 0 };
  } finally {
    clearTimeout(timer);
  }
}

/** A network that wants a sign-in of its own answers with its own page: it does not parse, throws, and is no answer. */
async function read(response) {
  if (response.status >= 500 || RETRY_LATER.has(response.status)) {
    return { kind: "unreachable", retryAfterSeconds: Number(response.headers.get("Retry-After")) || 0 };
  }
  const body = response.status === 204 ? null : await response.json();
  if (response.ok) return { kind: "answer", status: response.status, body };
  if (typeof body?.code !== "string") return { kind: "unreachable", retryAfterSeconds: 0 };
  if (response.status === 401) return { kind: "unpaired", code: body.code, quarantined: body.quarantined ?? 0 };
  return { kind: "rejected", status: response.status, body };
}

function pick(item, fields) {
  const given = fields.filter((field) => item[field] !== null && item[field] !== undefined);
  return Object.fromEntries(given.map((field) => [field, item[field]]));
}

function sentAt() {
  return new Date().toISOString();
}

/** POST one scan as the queue holds it; fields that are null are left to the server's defaults. */
export function postScan(scan) {
  return ask("POST", "/api/v1/scans", pick(scan, SCAN_FIELDS));
}

/** POST up to 500 scans that this phone judged while nobody answered. */
export function postBatch(scans) {
  const items = scans.map((scan) => pick(scan, [...SCAN_FIELDS, "judged", "reason"]));
  return ask("POST", "/api/v1/scans/batch", { sent_at: sentAt(), scans: items }, LONG_TIMEOUT_MS);
}

/** Register somebody at the door and let them in. */
export function postWalkIn(walkIn) {
  return ask("POST", "/api/v1/door/walk-ins", { ...pick(walkIn, WALK_IN_FIELDS), sent_at: sentAt() });
}

/** Count one person without a ticket in (+1) or out (-1). */
export function postClick(click) {
  const { scan_id: click_id, people, scanned_at: clicked_at } = click;
  return ask("POST", "/api/v1/door/clicks", { click_id, people, clicked_at, sent_at: sentAt(), ...pick(click, ["judged"]) });
}

/** Take back one's own check-in; the server allows it for 15 minutes. */
export function undoScan(scanId) {
  return ask("DELETE", `/api/v1/scans/${encodeURIComponent(scanId)}`);
}

/** People by name, e-mail fragment or short code; body {items: [...]}, at most 20. */
export function searchPeople(query) {
  return ask("GET", `/api/v1/door/search?q=${encodeURIComponent(query)}`);
}

/** A new ticket; the old code is dead at once. */
export function reissueTicket(registrationId) {
  return ask("POST", `/api/v1/door/registrations/${encodeURIComponent(registrationId)}/reissue`, {});
}

/** People who filled the poster's form and wait at the door; body {items: [...]}. */
export function listWaitingPeople() {
  return ask("GET", "/api/v1/door/waiting");
}

/** What changed on the roster since `cursor`, everything without one. */
export function readRoster(cursor, limit) {
  const since = cursor ? `since=${encodeURIComponent(cursor)}&` : "";
  return ask("GET", `/api/v1/door/roster?${since}limit=${limit}`, null, LONG_TIMEOUT_MS);
}

/** Say how this phone is; `state` is what the heartbeat carries. */
export function postHeartbeat(state) {
  return ask("POST", "/api/v1/door/heartbeat", { sent_at: sentAt(), ...state });
}
