/** The check-in app: joins camera, decisions, queue and sheets, and starts them with the volunteer's first tap. */
import { listenToResults } from "./api.js";
import { Checks } from "./checks.js";
import { text } from "./config.js";
import { drawConflicts, prepareConflicts } from "./conflicts_sheet.js";
import { Decisions } from "./decisions.js";
import { prepareDesk, showDeskBadge } from "./desk.js";
import { armSound, signal, wakeSound } from "./feedback.js";
import { showHeadcount } from "./headcount.js";
import { askToKeep, install } from "./installation.js";
import { leave } from "./leaving.js";
import { listenToLink, noteResult } from "./link.js";
import { prepareOverride } from "./override.js";
import { byId, getState, setHint, setState } from "./page.js";
import { prepareSearch } from "./people_search.js";
import { Phone } from "./phone.js";
import { preparePreflight } from "./preflight.js";
import { prepareRecent } from "./recent_sheet.js";
import { Scanner } from "./scanner.js";
import { prepareCamera, startCamera } from "./camera_controls.js";
import { asksForParties, setAsksForParties } from "./settings.js";
import { closeSheets, isSheetOpen, prepareSheets } from "./sheets.js";
import { SETTLE_MS, Sightings } from "./sightings.js";
import { showStatusLine } from "./status_line.js";
import { openStore } from "./store.js";
import { Sync } from "./sync.js";
import { cleanCode, prepareTyping } from "./typing.js";
import { VerdictScreen } from "./verdict.js";
import { showWaitingPeople } from "./waiting_people.js";
import { keepAwake } from "./wake_lock.js";
import { prepareWalkIn } from "./walk_in.js";
import { listenForWedge } from "./wedge.js";

const TWO_CODES_MS = 2000;
const HINT_MS = 6000;
const LOOK_AGAIN_MS = 30_000;

class DoorApp {
  #sightings = new Sightings();
  #isStarted = false;
  #twoCodesAt = -Infinity;
  #waitingPeople = 0;
  #newConflicts = 0;

  constructor(phone) {
    this.phone = phone;
    this.verdict = new VerdictScreen((shown) => this.#onShown(shown), () => this.#onVerdictGone());
    this.scanner = new Scanner(byId("camera"), (codes) => this.#seeCodes(codes));
    const onUnpaired = (result) => this.#unpair(result);
    this.decisions = new Decisions(phone, onUnpaired, (conflict) => phone.conflicts.add([conflict]));
    this.checks = new Checks(phone, this.decisions, this.verdict, () => this.sync.nudge());
    this.sync = new Sync(phone, this.decisions, {
      decided: (item, decision) => this.checks.show(item, decision, { isLate: true }),
      undoRefused: (item) => this.checks.undoRefused(item),
      synced: () => this.#onSynced(),
      waiting: (count) => this.#setWaitingPeople(count),
      unpaired: onUnpaired,
    });
    this.onUnpaired = onUnpaired;
  }

  /** Join everything and begin to talk with the server; the camera waits for the first tap. */
  start() {
    listenToResults((result) => noteResult(result));
    listenToLink((isUp) => this.#onLink(isUp));
    this.phone.queue.listen(() => this.refresh());
    this.phone.conflicts.listen((news) => this.#showConflicts(news));
    this.#prepareEntry();
    this.#prepareSwitches();
    this.#prepareDesk();
    prepareCamera(this.scanner, () => this.#begin());
    this.#resumeWhenSeen();
    setInterval(() => this.#lookAgain(), LOOK_AGAIN_MS);
    this.refresh();
    document.documentElement.dataset.ready = "true";
    install(() => !this.#isStarted);
    this.sync.run();
  }

  /** Show how things stand now. */
  refresh() {
    showStatusLine(this.phone);
    showHeadcount(this.phone);
    showDeskBadge(this.#waitingPeople + this.#newConflicts + this.phone.queue.listParked().length);
    document.documentElement.dataset.roster = this.phone.roster.isComplete ? String(this.phone.roster.count()) : "none";
    if (byId("conflicts").open) drawConflicts(this.phone);
  }

  #begin() {
    armSound();
    keepAwake();
    askToKeep();
    this.#isStarted = true;
    byId("start").hidden = true;
    this.#rest();
  }

  #isActive() {
    return this.#isStarted && getState() !== "unpaired";
  }

  #rest() {
    if (getState() === "unpaired") return;
    if (!this.#isStarted) setState("starting");
    else setState(this.checks.hasUndecided() ? "waiting" : "scanning");
  }

  #onShown(shown) {
    setState(shown.outcome);
    signal(shown.tune);
  }

  #onVerdictGone() {
    this.checks.dropUndecided();
    this.#rest();
  }

  #seeCodes(codes) {
    if (!this.#isActive() || isSheetOpen()) return;
    const now = performance.now();
    this.#act(this.#sightings.see(codes, now), now);
    // The next frame may be late; the code has been alone long enough by then.
    setTimeout(() => this.#act(this.#sightings.settle(performance.now()), performance.now()), SETTLE_MS + 1);
  }

  #act(seen, now) {
    if (seen.kind === "scan" && this.#isActive() && !isSheetOpen()) this.checks.take({ code: seen.code }, { decodedAt: seen.since });
    if (seen.kind === "two") this.#askForOne(now);
  }

  #askForOne(now) {
    if (now - this.#twoCodesAt > TWO_CODES_MS) signal("ask");
    this.#twoCodesAt = now;
    document.documentElement.dataset.twoCodes = "true";
    setHint(text("two_codes"), TWO_CODES_MS);
    setTimeout(() => {
      if (performance.now() - this.#twoCodesAt >= TWO_CODES_MS) delete document.documentElement.dataset.twoCodes;
    }, TWO_CODES_MS);
  }

  /** Back: send what waits. Away: the first failure starts the tries, each later one comes by its own timer. */
  #onLink(isUp) {
    this.refresh();
    if (isUp) this.sync.run();
    else this.sync.nudge();
  }

  #onSynced() {
    document.documentElement.dataset.rounds = String(Number(document.documentElement.dataset.rounds ?? 0) + 1);
    this.refresh();
  }

  #showConflicts(news) {
    this.#newConflicts = news.length === 0 ? 0 : this.#newConflicts + news.length;
    if (news.length > 0) setHint(text("conflict_news", { name: news[0].name || text("no_name") }), HINT_MS);
    this.refresh();
  }

  #setWaitingPeople(count) {
    this.#waitingPeople = count;
    this.refresh();
  }

  async #unpair(result) {
    if (getState() === "unpaired") return;
    this.sync.stop();
    this.scanner.stop();
    closeSheets();
    this.verdict.clear();
    setState("unpaired");
    byId("unpaired").hidden = false;
    byId("unpaired-heading").focus();
    const isWiped = await leave(result, this.phone);
    for (const id of ["search-results", "recent-list", "waiting-people", "conflict-list"]) byId(id).replaceChildren();
    if (isWiped) document.documentElement.dataset.wiped = "true";
  }

  /** Time passes without an answer as well: the status line, and the end of the event. */
  async #lookAgain() {
    if (this.phone.isExpired()) await this.phone.endEvent();
    this.refresh();
  }

  #prepareSwitches() {
    for (const choice of document.querySelectorAll("input[name=direction]")) {
      choice.addEventListener("change", () => {
        this.checks.direction = choice.value;
        document.documentElement.dataset.direction = choice.value;
        this.#sightings.forget();
      });
    }
    const asks = byId("asks-for-parties");
    asks.checked = asksForParties();
    asks.addEventListener("change", () => setAsksForParties(asks.checked));
  }

  #prepareEntry() {
    const { checks, phone, onUnpaired } = this;
    prepareSheets(() => this.verdict.showQueued());
    prepareTyping((code) => checks.take({ code }));
    const onPerson = (person) => checks.take({ registration_id: person.id });
    prepareSearch(phone, { getDirection: () => checks.direction, onPerson, onUnpaired });
    prepareRecent(phone.recent, (line) => checks.undo(line));
    prepareOverride();
    listenForWedge(() => this.#isActive() && !isSheetOpen(), (typed) => checks.take({ code: cleanCode(typed) }));
  }

  #prepareDesk() {
    const { checks, phone, onUnpaired } = this;
    prepareDesk(checks, () => showWaitingPeople({ checks, onUnpaired, onCount: (count) => this.#setWaitingPeople(count) }));
    prepareWalkIn(checks);
    prepareConflicts(phone, () => {
      this.#newConflicts = 0;
      this.refresh();
    });
    preparePreflight(phone, this.sync);
  }

  /** Phones take camera, sound and screen lock away from a page that is not seen; take them back when it is. */
  #resumeWhenSeen() {
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState !== "visible") return;
      this.sync.beat();
      if (!this.#isActive()) return;
      wakeSound();
      keepAwake();
      if (!this.scanner.isLive()) startCamera(this.scanner);
    });
    window.addEventListener("online", () => this.sync.beat());
    window.addEventListener("offline", () => this.sync.run());
  }
}

async function main() {
  const phone = new Phone(await openStore());
  await phone.load();
  new DoorApp(phone).start();
}

main();
