/**
 * Keeps the check-in app ready for a start without a network: its files, and the page itself. Never anything of
 * /api/, never a scan, never a name. The server puts TURNOUT = {version, files} before these lines.
 *
 * One cache for each version holds the files and a page that belongs to them, so that a start from it is whole.
 */
"use strict";

const PREFIX = "turnout-door-";
const CACHE = PREFIX + self.TURNOUT.version;
const SHELL = "/door";
const VERSION_HEADER = "Turnout-Door-Version";
const PATIENCE_MS = 2000;

self.addEventListener("install", (event) => event.waitUntil(install()));
self.addEventListener("activate", (event) => event.waitUntil(activate()));
self.addEventListener("message", (event) => {
  if (event.data === "activate") self.skipWaiting();
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== self.location.origin) return;
  if (request.mode === "navigate" && url.pathname === SHELL) event.respondWith(openShell(event));
  else if (url.pathname.startsWith("/door/app/")) event.respondWith(openFile(request));
});

async function install() {
  const cache = await caches.open(CACHE);
  await cache.addAll(self.TURNOUT.files);
  await fetchShell();
}

/** Versions before this one go; the app was asked first (see installation.js). */
async function activate() {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name.startsWith(PREFIX) && name !== CACHE).map((name) => caches.delete(name)));
  await self.clients.claim();
}

async function openFile(request) {
  const cache = await caches.open(CACHE);
  return (await cache.match(request.url)) ?? fetch(request);
}

/**
 * The page from the network when it comes in time, so that a new pairing counts at once; else the kept one.
 * A refusal (401) gives the kept one too: it is the app that hands in its queue and wipes this phone.
 */
async function openShell(event) {
  const asked = fetchShell(event.request);
  event.waitUntil(asked.catch(() => {}));
  const kept = await (await caches.open(CACHE)).match(SHELL);
  if (!kept) return asked;
  const fresh = await Promise.race([asked.catch(() => null), pause(PATIENCE_MS)]);
  return fresh && isShell(fresh) ? fresh : kept;
}

async function fetchShell(request = new Request(SHELL, { credentials: "same-origin" })) {
  const response = await fetch(request);
  if (isShell(response) && response.headers.get(VERSION_HEADER) === self.TURNOUT.version) {
    const cache = await caches.open(CACHE);
    await cache.put(SHELL, response.clone());
  }
  return response;
}

/** A network that wants a sign-in of its own answers with its own page. */
function isShell(response) {
  return response.ok && response.headers.has(VERSION_HEADER);
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(() => resolve(null), milliseconds));
}
