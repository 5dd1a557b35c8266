/**
 * The end of a pairing. A revoked phone hands in its queue, which the server keeps apart, and then forgets everything:
 * disk, caches, settings and what is on the screen. A phone that is merely unknown keeps its queue for a new pairing.
 */
import { postBatch } from "./api.js";
import { SENDERS } from "./decisions.js";

const BATCH = 500;
const TRY_AGAIN_MS = 10_000;

/** End the pairing as the 401 `result` says; true once nothing is left on this phone. */
export async function leave(result, phone) {
  if (result.code !== "device_revoked") return false;
  await phone.forgetEvent();
  while (!(await handIn(phone.queue.list()))) await new Promise((resolve) => setTimeout(resolve, TRY_AGAIN_MS));
  await wipe(phone);
  return true;
}

/** True when the server has kept every scan, walk-in and click; it says so in its refusal. */
async function handIn(items) {
  // A scan that nobody decided let nobody in.
  const scans = items.filter((item) => item.kind === "scan").map((item) => ({ judged: "refused", ...item }));
  for (let at = 0; at < scans.length; at += BATCH) {
    const batch = scans.slice(at, at + BATCH);
    if (!isKept(await postBatch(batch), batch.length)) return false;
  }
  for (const item of items.filter(({ kind }) => kind === "walk_in" || kind === "click")) {
    if (!isKept(await SENDERS[item.kind](item), 1)) return false;
  }
  return true;
}

function isKept(result, count) {
  return result.kind === "unpaired" && result.quarantined >= count;
}

async function wipe(phone) {
  await phone.store.destroy();
  phone.queue.forget();
  for (const part of [phone.roster, phone.entered, phone.conflicts, phone.recent]) part.clear();
  localStorage.clear();
  sessionStorage.clear();
  if (!globalThis.caches) return;
  for (const name of await caches.keys()) await caches.delete(name);
  const registration = await navigator.serviceWorker?.getRegistration("/door");
  await registration?.unregister();
}
