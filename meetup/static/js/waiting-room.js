/** The waiting page: asks how the line stands, less often the longer the wait, and loads the form when it is time. */

const SOONEST_MS = 2_000;
const LATEST_MS = 30_000;
const FIRST_MS = 5_000;
const JITTER = 0.2;
// When nobody has to wait any more, everybody leaves at once: over so long.
const LEAVING_MS = 8_000;
const DRAW_MS = 2_500;
const SPEAK_EVERY_MS = 20_000;
const ALMOST_THERE = 3;
const LONG_NUMBER = 5;

const config = JSON.parse(document.getElementById("waiting-config").textContent);
const own = JSON.parse(document.getElementById("waiting-own").textContent);
const { words } = config;
const numbers = new Intl.NumberFormat(document.documentElement.lang);
const byId = (id) => document.getElementById(id);
const title = document.title.split(" · ").slice(1).join(" · ");
// A phone's clock may be wrong; the server's moment of this page is not.
const clockAheadMs = Date.now() - Date.parse(own.now);

let state = config.state;
let place = own.place;
let ahead = own.ahead;
let pollTimer = null;
let polledAt = Date.now();
let spokenAt = 0;
let spoken = "";
let isLeaving = false;

/* Words --------------------------------------------------------------------------------------------------------- */

function fill(sentence, count) {
  return sentence.replace("{count}", numbers.format(count));
}

function estimateWords(seconds) {
  if (seconds === null) return words.unknown;
  if (seconds < 50) return words.less;
  if (seconds < 90) return words.minute;
  let minutes = Math.ceil(seconds / 60);
  if (minutes > 10) minutes = Math.ceil(minutes / 5) * 5;
  if (minutes < 60) return fill(words.minutes, minutes);
  const hours = Math.ceil(minutes / 60);
  return hours === 1 ? words.hour : fill(words.hours, hours);
}

function aheadWords(count) {
  if (count === 0) return words.nobody_ahead;
  return count === 1 ? words.one_ahead : fill(words.many_ahead, count);
}

function clock(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/* What is shown -------------------------------------------------------------------------------------------------- */

function put(id, text) {
  const element = byId(id);
  if (element.textContent !== text) element.textContent = text;
}

function showNumber(text) {
  put("waiting-number", text);
  byId("waiting-number").classList.toggle("is-long", text.length > LONG_NUMBER);
  document.title = `${text} · ${title}`;
}

function showDone(share) {
  const percent = Math.round(100 * Math.min(1, Math.max(0, share)));
  byId("waiting-done").setAttribute("stroke-dasharray", `${percent} 200`);
}

/** Say it to those who listen: when the estimate changes, not at every step, and each step at the very end. */
function speak(text, isNear) {
  if (text === spoken || (!isNear && Date.now() - spokenAt < SPEAK_EVERY_MS)) return;
  spoken = text;
  spokenAt = Date.now();
  put("waiting-live", text);
}

function secondsToOpening() {
  return (Date.parse(state.opens_at) - (Date.now() - clockAheadMs)) / 1000;
}

function secondsToTurn() {
  if (place <= state.admitted) return 0;
  return state.per_minute > 0 ? ((place - state.admitted) * 60) / state.per_minute : null;
}

function showLobby() {
  const seconds = secondsToOpening();
  showNumber(clock(seconds));
  showDone(1 - seconds / config.lobby_seconds);
  put("waiting-estimate", seconds > 0 ? estimateWords(seconds) : words.drawing);
  put("waiting-detail", state.waiting < 2 ? words.one_here : fill(words.many_here, state.waiting));
  speak(byId("waiting-estimate").textContent, false);
}

function showLine() {
  const before = Math.max(0, place - state.admitted - 1);
  ahead ||= before;
  put("waiting-heading", words.in_line);
  put("waiting-unit", words.your_place);
  showNumber(numbers.format(before + 1));
  showDone(1 - (before + 1) / (ahead + 1));
  put("waiting-estimate", estimateWords(secondsToTurn()));
  put("waiting-detail", aheadWords(before));
  speak(`${byId("waiting-estimate").textContent}. ${aheadWords(before)}`, before < ALMOST_THERE);
}

function show() {
  if (state.phase === "lobby") showLobby();
  else if (place !== null) showLine();
  else put("waiting-estimate", words.drawing);
}

/* Asking --------------------------------------------------------------------------------------------------------- */

function jittered(milliseconds) {
  return milliseconds * (1 - JITTER + 2 * JITTER * Math.random());
}

function nextPollMs() {
  if (state.phase === "lobby") {
    const leftMs = secondsToOpening() * 1000;
    const nextMs = jittered(Math.min(Math.max(leftMs / 4, SOONEST_MS), LATEST_MS));
    // Everybody hears of the opening soon after it, and not all in the same instant.
    return leftMs > 0 && nextMs > leftMs ? leftMs + DRAW_MS * Math.random() : nextMs;
  }
  const seconds = place === null ? 0 : secondsToTurn();
  if (seconds === null) return jittered(LATEST_MS);
  return jittered(Math.min(Math.max(seconds * 250, SOONEST_MS), LATEST_MS));
}

function pollIn(milliseconds) {
  clearTimeout(pollTimer);
  pollTimer = setTimeout(poll, milliseconds);
}

async function getJson(url, options) {
  const response = await fetch(url, options);
  if (!response.ok) throw new Error(String(response.status));
  return response.json();
}

async function poll() {
  polledAt = Date.now();
  try {
    state = await getJson(config.state_url, { cache: "no-cache" });
    if (state.phase === "line" && place === null) {
      place = (await getJson(config.place_url, { cache: "no-store" })).place;
    }
  } catch {
    // Away for a moment: the place is kept, so nothing is said and it is asked again.
    return pollIn(jittered(FIRST_MS * 2));
  }
  if (state.phase === "open") return leave(LEAVING_MS * Math.random());
  if (state.phase === "line" && (place === null || place <= state.admitted)) return leave(0);
  show();
  pollIn(nextPollMs());
}

/** The same address shows the form now. */
function leave(milliseconds) {
  if (isLeaving) return;
  isLeaving = true;
  put("waiting-estimate", words.turn);
  showDone(1);
  setTimeout(() => location.reload(), milliseconds);
}

// A phone that was locked has slept; what it shows is as old as that.
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && !isLeaving && Date.now() - polledAt > SOONEST_MS) pollIn(0);
});
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

show();
setInterval(() => {
  if (state.phase === "lobby" && !isLeaving) showLobby();
}, 1_000);
pollIn(Math.min(Math.max(nextPollMs(), FIRST_MS), LATEST_MS));
