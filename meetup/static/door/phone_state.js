/** How this phone is: what its heartbeat tells the organiser, and what the preflight sheet shows. */
import { appVersion } from "./config.js";

/** Battery (0 to 1, null where the browser does not tell), queue and version, as the heartbeat carries them. */
export async function describePhone(phone) {
  const items = phone.queue.list();
  const battery = await readBattery();
  const state = { battery: battery?.level ?? null, app_version: appVersion, queue_length: items.length };
  if (battery) state.is_charging = battery.charging;
  if (items.length > 0) state.oldest_queued_at = items[0].scanned_at;
  return state;
}

async function readBattery() {
  try {
    return (await navigator.getBattery?.()) ?? null;
  } catch {
    return null;
  }
}
