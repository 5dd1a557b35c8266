/**
 * The server's clock as this phone knows it. A phone may be hours wrong; what it decides by itself and what it
 * shows goes by the server's time. What it sends is its own time: the server corrects that by `sent_at`.
 */
const KEY = "turnout-door-clock";
let offset = read();

function read() {
  try {
    return Number(localStorage.getItem(KEY)) || 0;
  } catch {
    return 0;
  }
}

/** Milliseconds since 1970 by the server's clock, as well as it is known. */
export function serverNow() {
  return Date.now() + offset;
}

/** How far the server's clock is ahead of this phone's, in milliseconds. */
export function clockOffset() {
  return offset;
}

/** Take the server's time `now` (RFC 3339) from an answer asked for at `sentAt` on this phone's clock. */
export function setClock(now, sentAt) {
  const serverTime = Date.parse(now);
  if (Number.isNaN(serverTime)) return;
  offset = Math.round(serverTime - (sentAt + Date.now()) / 2);
  try {
    localStorage.setItem(KEY, String(offset));
  } catch {
    // A private window may refuse; the next answer tells again.
  }
}
