// Looks for the number of a challenge: the one whose SHA-256 after the salt is the hash that was asked for (ALTCHA, version
// 1). It has its own SHA-256, because the browser's is asynchronous, which costs more than the hash, and is missing on
// pages without TLS. The salt and the number fit one block of 64 bytes, or two.
"use strict";

const FRACTIONS = primes(64).map((prime) => fraction(Math.cbrt(prime)));
const START = primes(8).map((prime) => fraction(Math.sqrt(prime)));
const ROUND = Int32Array.from(FRACTIONS);
const schedule = new Int32Array(64);
const REPORT_EVERY = 20000;

function primes(count) {
  const found = [];
  for (let n = 2; found.length < count; n += 1) if (found.every((prime) => n % prime)) found.push(n);
  return found;
}

// The first 32 bits after the point.
function fraction(root) {
  return ((root - Math.floor(root)) * 2 ** 32) | 0;
}

/** Write the SHA-256 of a padded message, given as words, to `state`. */
function hash(words, state) {
  state.set(START);
  for (let at = 0; at < words.length; at += 16) {
    for (let i = 0; i < 16; i += 1) schedule[i] = words[at + i];
    for (let i = 16; i < 64; i += 1) {
      const x = schedule[i - 15];
      const y = schedule[i - 2];
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      schedule[i] = (schedule[i - 16] + s0 + schedule[i - 7] + s1) | 0;
    }
    let a = state[0];
    let b = state[1];
    let c = state[2];
    let d = state[3];
    let e = state[4];
    let f = state[5];
    let g = state[6];
    let h = state[7];
    for (let i = 0; i < 64; i += 1) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + ROUND[i] + schedule[i]) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a = (t1 + t2) | 0;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
  }
}

/** Return the number from `first` in steps of `step` that solves the challenge, or null. */
function solve({ salt, challenge, most, first, step }) {
  const wanted = Int32Array.from({ length: 8 }, (_, i) => parseInt(challenge.slice(8 * i, 8 * i + 8), 16));
  const state = new Int32Array(8);
  const begin = new TextEncoder().encode(salt);
  const bytes = new Uint8Array(128);
  bytes.set(begin);
  const view = new DataView(bytes.buffer);
  let words = new Int32Array(16);
  for (let number = first, done = 0; number <= most; number += step, done += 1) {
    const digits = String(number);
    const length = begin.length + digits.length;
    const blockBytes = length + 9 <= 64 ? 64 : 128;
    for (let i = 0; i < digits.length; i += 1) bytes[begin.length + i] = digits.charCodeAt(i);
    bytes[length] = 0x80;
    bytes.fill(0, length + 1, blockBytes);
    view.setUint32(blockBytes - 4, 8 * length);
    if (words.length !== blockBytes / 4) words = new Int32Array(blockBytes / 4);
    for (let i = 0; i < words.length; i += 1) words[i] = view.getInt32(4 * i);
    hash(words, state);
    if (state[0] === wanted[0] && state.every((word, i) => word === wanted[i])) return number;
    if (done % REPORT_EVERY === REPORT_EVERY - 1) postMessage({ tried: REPORT_EVERY });
  }
  return null;
}

onmessage = ({ data }) => postMessage({ number: solve(data) });
