/** The M1 ticket code (contract section 4) on the phone: read, look up by hash, check the signature. */
const PREFIX = "M1:";
const CODE_LENGTH = 138;
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const SHORT_CODE = /^[23456789ACDEFGHJKMNPQRTVWXY]{8}$/;
const HASH_BYTES = 12;
const SIGNED_PREFIX = [0x4d, 0x31];

let canVerify = null;
let imported = { text: null, key: null };

/**
 * What a scanned or typed text sets out to be:
 *   {kind: "ticket", eventNumber, hash, signed, signature}, {kind: "damaged"} (an M1 code no event made),
 *   {kind: "short"} (only the server knows them), {kind: "text"}.
 */
export async function readCode(text) {
  const trimmed = text.trim().toUpperCase();
  if (trimmed.startsWith(PREFIX) && trimmed.length === CODE_LENGTH) return readTicket(trimmed.slice(PREFIX.length));
  return { kind: SHORT_CODE.test(trimmed.replace(/[\s-]/g, "")) ? "short" : "text" };
}

async function readTicket(body) {
  const bytes = decode(body);
  if (bytes === null) return { kind: "damaged" };
  return {
    kind: "ticket",
    eventNumber: new DataView(bytes.buffer).getUint32(0),
    hash: await hashSecret(bytes.subarray(4, 20)),
    signed: Uint8Array.from([...SIGNED_PREFIX, ...bytes.subarray(0, 20)]),
    signature: bytes.slice(20),
  };
}

/** Base32 to bytes; null unless it is the one spelling of them (the last character has three spare bits). */
function decode(body) {
  const bytes = new Uint8Array(Math.floor((body.length * 5) / 8));
  let bits = 0;
  let held = 0;
  let at = 0;
  for (const character of body) {
    const value = ALPHABET.indexOf(character);
    if (value < 0) return null;
    held = ((held << 5) | value) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes[at++] = (held >> bits) & 0xff;
    }
  }
  return (held & ((1 << bits) - 1)) === 0 ? bytes : null;
}

async function hashSecret(secret) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", secret));
  return toBase64Url(digest.subarray(0, HASH_BYTES));
}

function toBase64Url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

function fromBase64Url(text) {
  return Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (character) => character.charCodeAt(0));
}

/** True or false as the event's key says; null where this browser cannot check or no key is known. */
export async function isGenuine(ticket, publicKey) {
  if (!publicKey || !(await canCheckSignatures())) return null;
  if (imported.text !== publicKey) imported = { text: publicKey, key: await importKey(fromBase64Url(publicKey)) };
  return crypto.subtle.verify("Ed25519", imported.key, ticket.signature, ticket.signed);
}

function importKey(bytes) {
  return crypto.subtle.importKey("raw", bytes, "Ed25519", false, ["verify"]);
}

/** True where the browser knows Ed25519 (Chrome 137, Firefox 129, Safari 17); tried out, never guessed by name. */
export async function canCheckSignatures() {
  if (canVerify === null) {
    // The base point of the curve: a key that every implementation takes.
    const point = Uint8Array.from({ length: 32 }, (_, index) => (index === 0 ? 0x58 : 0x66));
    canVerify = await importKey(point).then(() => true, () => false);
  }
  return canVerify;
}
