/** The line over the camera that says how things stand with the server: "Offline, data from 18:02, 14 to send". */
import { countText, text, timeOfDay } from "./config.js";
import { isOnline } from "./link.js";
import { byId } from "./page.js";

const STALE_MS = 60_000;

/** Say how the link, the roster's age and the queue are now. */
export function showStatusLine(phone) {
  const count = phone.queue.list().filter((item) => !item.isSilent).length;
  const words = [isOnline() ? "" : describeOffline(phone), count > 0 ? countText("to_send", count) : ""].filter(Boolean);
  document.documentElement.dataset.link = isOnline() ? "online" : "offline";
  document.documentElement.dataset.toSend = String(count);
  const line = byId("waiting");
  line.hidden = words.length === 0;
  line.textContent = words.join(", ");
}

function describeOffline({ roster }) {
  if (roster.syncedAt === null) return text("offline_no_roster");
  return text("offline_from", { time: describeMoment(roster.syncedAt) });
}

/** "18:02", with the day before it where that is not today. */
export function describeMoment(moment) {
  const isToday = Math.abs(Date.now() - moment) < 12 * 3600_000;
  return isToday ? timeOfDay(moment) : `${new Date(moment).toLocaleDateString(document.documentElement.lang)} ${timeOfDay(moment)}`;
}

/** True when the roster is so old that the preflight warns. */
export function isStale({ roster }, now) {
  return roster.syncedAt === null || now - roster.syncedAt > STALE_MS;
}
