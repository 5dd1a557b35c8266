/** The sheet that tries this phone before the doors open: one line for each thing, in words, never by colour alone. */
import { clockOffset, serverNow } from "./clock.js";
import { formatNumber, text } from "./config.js";
import { armSound, signal, soundState } from "./feedback.js";
import { isOnline } from "./link.js";
import { byId, make, makeButton, makeIcon } from "./page.js";
import { openSheet } from "./sheets.js";
import { describeMoment, isStale } from "./status_line.js";
import { canCheckSignatures } from "./ticket_code.js";
import { canKeepAwake, keepAwake } from "./wake_lock.js";

const GOOD_CLOCK_MS = 30_000;

/** `sync` brings the roster up to date first. */
export function preparePreflight(phone, sync) {
  const draw = async () => byId("preflight-list").replaceChildren(...(await check(phone)).map(makeLine));
  byId("open-preflight").addEventListener("click", async () => {
    openSheet("preflight");
    await draw();
    await sync.beat();
    if (byId("preflight").open) await draw();
  });
  byId("try-signals").replaceChildren(
    makeButton(text("try_sound"), () => {
      armSound();
      signal("practice");
      draw();
    }),
  );
}

/** A list of [what, words, isGood]; isGood null where it is neither good nor bad. */
async function check(phone) {
  const root = document.documentElement.dataset;
  return [
    ["connection", text(isOnline() ? "is_online" : "is_offline"), isOnline()],
    ["camera", text(root.camera === "on" ? "works" : "camera_off"), root.camera === "on"],
    ["sound", text(soundState() === "running" ? "works" : "sound_off"), soundState() === "running"],
    ["vibration", text(navigator.vibrate ? "works" : "not_here"), navigator.vibrate ? true : null],
    checkClock(),
    checkRoster(phone),
    ["signatures", text((await canCheckSignatures()) ? "works" : "signatures_missing"), await canCheckSignatures()],
    ["start", text(root.offline === "ready" ? "start_ready" : "start_missing"), root.offline === "ready"],
    await checkStorage(),
    ["wake_lock", text((await stayAwake()) ? "works" : "not_here"), (await stayAwake()) || null],
  ];
}

function checkClock() {
  const seconds = Math.round(Math.abs(clockOffset()) / 1000);
  const isGood = Math.abs(clockOffset()) < GOOD_CLOCK_MS;
  const words = seconds < 120 ? "clock_seconds" : "clock_minutes";
  const count = formatNumber(seconds < 120 ? seconds : Math.round(seconds / 60));
  return ["clock", text(isGood ? "clock_right" : words, { count }), isGood];
}

function checkRoster(phone) {
  const { roster } = phone;
  if (!roster.isComplete) return ["roster", text("roster_missing"), false];
  const parts = {
    people: formatNumber(roster.count()),
    size: formatNumber(Math.ceil(roster.size() / 1024)),
    time: describeMoment(roster.syncedAt),
  };
  return ["roster", text("roster_state", parts), !isStale(phone, serverNow())];
}

async function checkStorage() {
  const isKept = Boolean(await navigator.storage?.persisted?.().catch(() => false));
  const free = await navigator.storage?.estimate?.().catch(() => null);
  const size = free ? formatNumber(Math.round((free.quota - free.usage) / 1024 / 1024)) : "?";
  return ["storage", text(isKept ? "storage_kept" : "storage_loose", { size }), isKept || null];
}

async function stayAwake() {
  await keepAwake();
  return canKeepAwake();
}

function makeLine([what, words, isGood]) {
  const state = isGood === null ? "unknown" : isGood ? "good" : "bad";
  const row = make("li", "", { class: "check", "data-check": what, "data-good": state });
  const about = make("div", "", { class: "scan-about" });
  about.append(make("span", text(`check_${what}`), { class: "scan-name" }), make("span", words, { class: "scan-detail" }));
  row.append(makeIcon(isGood === null ? "dash" : isGood ? "check" : "cross"), about);
  return row;
}
