/** The live page: numbers by server-sent events, by asking where those cannot be had, and the chart drawn again. */

const POLL_MS = 3_000;
const STREAM_AGAIN_MS = 10_000;
const CHART_MS = 15_000;
const CHART_AT_MOST_MS = 3_000;
// A stream that ends on schedule is back before anybody needs to know.
const PATIENCE_MS = 2_500;
const HIGHLIGHT_MS = 700;

const config = JSON.parse(document.getElementById("live-config").textContent);
const locale = document.documentElement.lang;
const numbers = new Intl.NumberFormat(locale);
const timeFormat = { hour: "2-digit", minute: "2-digit", second: "2-digit", timeZone: config.timezone };
const times = new Intl.DateTimeFormat(locale, { ...timeFormat, hourCycle: "h23" });
const byId = (id) => document.getElementById(id);

let shown = null;
let shownAt = new Date();
let stream = null;
let pollTimer = null;
let patienceTimer = null;
let chartTimer = null;
let chartAt = Date.now();
let heardAt = Date.now();

/* Numbers ------------------------------------------------------------------------------------------------------- */

/** Show a headcount; return whether any number of it is another one than before. */
function show(headcount) {
  const { at, per_minute: _minutes, ...counts } = headcount;
  const before = shown;
  shown = counts;
  shownAt = new Date(at);
  for (const element of document.querySelectorAll("[data-count]")) {
    showNumber(element, headcount[element.dataset.count]);
  }
  showGauge(headcount);
  showGates(headcount.per_gate);
  if (before && before.arrived !== headcount.arrived) refreshChartSoon();
  return JSON.stringify(before) !== JSON.stringify(counts);
}

function showNumber(element, value) {
  const tile = element.closest(".stat");
  if (tile) tile.hidden = value === null;
  const text = value === null ? "" : numbers.format(value);
  if (element.textContent === text) return;
  element.textContent = text;
  element.classList.add("is-changed");
  setTimeout(() => element.classList.remove("is-changed"), HIGHLIGHT_MS);
}

function showGauge({ inside, venue_limit: venueLimit, capacity }) {
  const limit = venueLimit ?? capacity;
  const gauge = byId("gauge");
  gauge.hidden = limit === null;
  gauge.max = limit || 1;
  gauge.value = Math.min(inside, gauge.max);
  gauge.classList.toggle("gauge-full", limit !== null && inside >= limit);
  const words = venueLimit === null ? config.words.of_capacity : config.words.of_venue_limit;
  byId("inside-note").textContent = limit === null ? "" : words.replace("{limit}", numbers.format(limit));
}

function showGates(gates) {
  if (gates.length === 0) return;
  byId("gates").replaceChildren(...gates.map(gateRow));
}

function gateRow({ gate, arrived, last_5_min: recent }) {
  const row = document.createElement("tr");
  row.insertCell().textContent = gate;
  for (const [label, value] of [[config.words.arrived, arrived], [config.words.last_5_min, recent]]) {
    const cell = row.insertCell();
    cell.className = "number";
    cell.dataset.label = label;
    cell.textContent = numbers.format(value);
  }
  return row;
}

/* Connection ---------------------------------------------------------------------------------------------------- */

function openStream() {
  stream?.close();
  stream = new EventSource(config.stream_url);
  stream.addEventListener("headcount", (event) => {
    heardAt = Date.now();
    stopPolling();
    show(JSON.parse(event.data));
    sayLive();
  });
  stream.addEventListener("error", () => {
    sayReconnectingSoon();
    startPolling();
    // The browser tries again by itself, unless the answer was no stream at all.
    if (stream.readyState === EventSource.CLOSED) setTimeout(openClosedStream, STREAM_AGAIN_MS);
  });
}

function openClosedStream() {
  if (stream.readyState === EventSource.CLOSED) openStream();
}

function startPolling() {
  pollTimer ??= setInterval(poll, POLL_MS);
}

function stopPolling() {
  clearInterval(pollTimer);
  pollTimer = null;
}

/** Ask for the numbers once; return whether they were others than the page showed. */
async function poll() {
  try {
    const response = await fetch(config.headcount_url, { cache: "no-store" });
    if (response.status === 401 || response.status === 404) location.reload();
    if (!response.ok) throw new Error(String(response.status));
    const isNews = show(await response.json());
    sayLive();
    return isNews;
  } catch {
    sayReconnectingSoon();
    return false;
  }
}

function sayLive() {
  clearTimeout(patienceTimer);
  patienceTimer = null;
  say("open", config.words.live);
}

function sayReconnectingSoon() {
  patienceTimer ??= setTimeout(() => {
    say("lost", config.words.reconnecting.replace("{time}", times.format(shownAt)));
  }, PATIENCE_MS);
}

function say(state, words) {
  const element = byId("connection");
  element.dataset.connection = state;
  element.hidden = false;
  // Screen readers would say the same words again.
  if (element.textContent !== words) element.textContent = words;
}

/* Chart --------------------------------------------------------------------------------------------------------- */

function refreshChartSoon() {
  chartTimer ??= setTimeout(refreshChart, Math.max(0, chartAt + CHART_AT_MOST_MS - Date.now()));
}

async function refreshChart() {
  chartAt = Date.now();
  chartTimer = null;
  try {
    const response = await fetch(config.chart_url, { cache: "no-store" });
    // Signed out meanwhile: the page itself leads to the sign-in form.
    if (response.redirected) location.reload();
    else if (response.ok) byId("chart").innerHTML = await response.text();
  } catch {
    // The next round draws it; what the connection does is said beside the title.
  }
}

/** Draw the chart anew, and ask once whether a silent stream has only nothing to say. */
async function tick() {
  if (Date.now() - chartAt >= CHART_MS - 1_000) refreshChart();
  const isSilent = pollTimer === null && Date.now() - heardAt >= CHART_MS;
  if (isSilent && (await poll())) openStream();
}

/* Full screen --------------------------------------------------------------------------------------------------- */

function offerFullScreen() {
  const button = byId("full-screen");
  const board = byId("main");
  if (!board.requestFullscreen) return;
  button.hidden = false;
  button.addEventListener("click", () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else board.requestFullscreen().then(keepAwake, () => {});
  });
  document.addEventListener("fullscreenchange", () => {
    button.textContent = document.fullscreenElement ? config.words.leave_full_screen : config.words.full_screen;
  });
}

/** A big screen must not go to sleep; browsers that cannot promise it are left alone. */
function keepAwake() {
  navigator.wakeLock?.request("screen").catch(() => {});
}

// On a phone the tabs are wider than the screen.
document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
addEventListener("online", openStream);
offerFullScreen();
openStream();
setInterval(tick, CHART_MS);
