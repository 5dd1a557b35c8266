/** The check-in app: joins camera, queue, verdict and sheets, and starts them with the volunteer's first tap. */
import { postScan } from "./api.js";
import { Checks } from "./checks.js";
import { isSupervisor, text } from "./config.js";
import { armSound, signal, wakeSound } from "./feedback.js";
import { keepHeadcountFresh } from "./headcount.js";
import { byId, getState, setHint, setState } from "./page.js";
import { prepareSearch } from "./people_search.js";
import { RecentScans } from "./recent_scans.js";
import { prepareRecent } from "./recent_sheet.js";
import { ScanQueue } from "./scan_queue.js";
import { Scanner } from "./scanner.js";
import { asksForParties, setAsksForParties } from "./settings.js";
import { closeSheets, isSheetOpen, prepareSheets } from "./sheets.js";
import { Sightings } from "./sightings.js";
import { openStores } from "./store.js";
import { cleanCode, prepareTyping } from "./typing.js";
import { VerdictScreen } from "./verdict.js";
import { keepAwake } from "./wake_lock.js";
import { listenForWedge } from "./wedge.js";

const TWO_CODES_MS = 2000;
const sightings = new Sightings();
let isStarted = false;
let twoCodesAt = -Infinity;

function rest(checks) {
  if (getState() === "unpaired") return;
  if (!isStarted) setState("starting");
  else setState(checks.hasWaiting() ? "waiting" : "scanning");
}

function showUnpaired(scanner) {
  scanner.stop();
  closeSheets();
  setState("unpaired");
  byId("unpaired").hidden = false;
  byId("unpaired-heading").focus();
}

function seeCodes(codes, checks) {
  if (!isStarted || isSheetOpen() || getState() === "unpaired") return;
  const now = performance.now();
  const seen = sightings.see(codes, now);
  if (seen.kind === "scan") checks.take({ code: seen.code });
  if (seen.kind === "two") askForOne(now);
}

function askForOne(now) {
  if (now - twoCodesAt > TWO_CODES_MS) signal("ask");
  twoCodesAt = now;
  document.documentElement.dataset.twoCodes = "true";
  setHint(text("two_codes"), TWO_CODES_MS);
  setTimeout(() => {
    if (performance.now() - twoCodesAt >= TWO_CODES_MS) delete document.documentElement.dataset.twoCodes;
  }, TWO_CODES_MS);
}

function showProblem(kind) {
  byId("camera-problem").hidden = false;
  byId("camera-problem-words").textContent = text(`camera_${kind}`);
  document.documentElement.dataset.camera = kind;
}

async function startCamera(scanner) {
  byId("camera-problem").hidden = true;
  document.documentElement.dataset.camera = "asking";
  if (!(await scanner.start())) return;
  document.documentElement.dataset.camera = "on";
  byId("torch").hidden = !scanner.hasTorch();
}

function prepareTorch(scanner) {
  byId("torch").addEventListener("click", async (press) => {
    const button = press.currentTarget;
    const isOn = button.getAttribute("aria-pressed") !== "true";
    if (await scanner.setTorch(isOn)) button.setAttribute("aria-pressed", String(isOn));
  });
}

function prepareSwitches(checks) {
  for (const choice of document.querySelectorAll("input[name=direction]")) {
    choice.addEventListener("change", () => {
      checks.direction = choice.value;
      document.documentElement.dataset.direction = choice.value;
      sightings.forget();
    });
  }
  const asks = byId("asks-for-parties");
  asks.checked = asksForParties();
  asks.addEventListener("change", () => setAsksForParties(asks.checked));
}

function prepareStart(scanner, checks) {
  byId("start-scanning").addEventListener("click", async () => {
    armSound();
    keepAwake();
    isStarted = true;
    byId("start").hidden = true;
    rest(checks);
    await startCamera(scanner);
  });
  byId("camera-again").addEventListener("click", () => startCamera(scanner));
}

/** Phones take camera, sound and screen lock away from a page that is not seen; take them back when it is. */
function resumeWhenSeen(scanner, queue) {
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState !== "visible") return;
    queue.retryNow();
    if (!isStarted || getState() === "unpaired") return;
    wakeSound();
    keepAwake();
    if (!scanner.isLive()) startCamera(scanner);
  });
  window.addEventListener("online", () => queue.retryNow());
}

function prepareEntry(checks, verdict, onUnpaired) {
  const take = (subject) => checks.take(subject);
  prepareSheets(() => verdict.showQueued());
  prepareTyping((code) => take({ code }));
  prepareSearch(() => checks.direction, (person) => take({ registration_id: person.id }), onUnpaired);
  listenForWedge(
    () => isStarted && !isSheetOpen() && getState() !== "unpaired",
    (typed) => take({ code: cleanCode(typed) }),
  );
}

async function main() {
  const stores = await openStores();
  const recent = new RecentScans(stores.recent, isSupervisor);
  await recent.load();
  const onShown = (shown) => {
    setState(shown.outcome);
    signal(shown.tune);
  };
  const verdict = new VerdictScreen(onShown, () => rest(checks));
  const scanner = new Scanner(byId("camera"), (codes) => seeCodes(codes, checks), showProblem);
  const onUnpaired = () => showUnpaired(scanner);
  const checks = new Checks(recent, verdict, onUnpaired);
  const queue = new ScanQueue(stores.scans, postScan, checks);
  checks.useQueue(queue);
  prepareEntry(checks, verdict, onUnpaired);
  prepareRecent(recent, (line) => checks.undo(line));
  prepareSwitches(checks);
  prepareTorch(scanner);
  prepareStart(scanner, checks);
  resumeWhenSeen(scanner, queue);
  keepHeadcountFresh();
  document.documentElement.dataset.ready = "true";
  await queue.retryNow();
}

main();
