/**
 * The door API. Every call resolves, never rejects, to one of
 *   {kind: "answer", status, body}      the server decided; body is null for 204
 *   {kind: "rejected", status, body}    the server will never take this request (4xx)
 *   {kind: "unpaired"}                  401: this phone is unknown or revoked
 *   {kind: "unreachable", retryAfterSeconds}   nobody decided; the same request may be sent again
 */
const TIMEOUT_MS = 8000;
const RETRY_LATER = new Set([408, 425, 429]);

async function ask(method, path, body) {
  let response;
  try {
    response = await fetch(path, {
      method,
      credentials: "same-origin",
      cache: "no-store",
      headers: body ? { "Content-Type": "application/json", Accept: "application/json" } : { Accept: "application/json" },
      body: body ? JSON.stringify(body) : undefined,
      signal: AbortSignal.timeout ? AbortSignal.timeout(TIMEOUT_MS) : undefined,
    });
    return await read(response);
  } catch {
    return { kind: "unreachable", retryAfterSeconds: 0 };
  }
}

async function read(response) {
  if (response.status === 401) return { kind: "unpaired" };
  if (response.status >= 500 || RETRY_LATER.has(response.status)) {
    return { kind: "unreachable", retryAfterSeconds: Number(response.headers.get("Retry-After")) || 0 };
  }
  if (!response.ok) {
    return { kind: "rejected", status: response.status, body: await response.json().catch(() => null) };
  }
  // A captive portal answers 200 with its own page: that does not parse, throws, and counts as no answer.
  const body = response.status === 204 ? null : await response.json();
  return { kind: "answer", status: response.status, body };
}

/** POST one scan as the queue holds it; fields that are null are left to the server's defaults. */
export function postScan(scan) {
  const fields = ["scan_id", "code", "registration_id", "direction", "scanned_at", "people"];
  const given = fields.filter((field) => scan[field] !== null && scan[field] !== undefined);
  return ask("POST", "/api/v1/scans", Object.fromEntries(given.map((field) => [field, scan[field]])));
}

/** Take back one's own check-in; the server allows it for 15 minutes. */
export function undoScan(scanId) {
  return ask("DELETE", `/api/v1/scans/${encodeURIComponent(scanId)}`);
}

/** People by name, e-mail fragment or short code; body {items: [...]}, at most 20. */
export function searchPeople(query) {
  return ask("GET", `/api/v1/door/search?q=${encodeURIComponent(query)}`);
}

/** The event's headcount as it stands. */
export function readHeadcount(slug) {
  return ask("GET", `/api/v1/events/${encodeURIComponent(slug)}/headcount`);
}
