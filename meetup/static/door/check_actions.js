/** The buttons under a verdict: how many of the party, fewer than that, undo, let in anyway. */
import { formatNumber, text } from "./config.js";
import { make, makeButton } from "./page.js";
import { askForReason } from "./override.js";

const MAY_BE_OVERRIDDEN = new Set(["venue_full", "too_early", "closed", "not_confirmed"]);

/** `check` is {item, answer, asks, checks, verdict, isSupervisor}; returns a list of elements. */
export function makeActions(check) {
  const { item, answer } = check;
  if (answer.outcome === "refused") return makeOverride(check);
  if (item.direction === "out") return [];
  return check.asks ? makeChoices(check) : [...makeCorrections(check), makeUndo(check)];
}

/** One person of the party is in already by this scan: the others follow as a scan of their own. */
function makeChoices({ item, answer, checks, verdict }) {
  const most = answer.attendee.party - answer.attendee.admitted + 1;
  return Array.from({ length: most }, (_, index) =>
    makeButton(formatNumber(index + 1), () => {
      if (index === 0) verdict.dismiss();
      else checks.take(subjectOf(item), { people: index });
    }, "button number"),
  );
}

/** "Only 1 came", "Only 2 came"; bare numbers under one question where the party is larger. */
function makeCorrections({ item, answer, checks }) {
  const isWhole = item.kind === "scan" && item.people === null;
  const fewer = isWhole ? Math.max(0, (answer.attendee?.admitted ?? 1) - 1) : 0;
  const isLarge = fewer > 2;
  const correct = async (people) => {
    if (await checks.undo(lineOf(item, answer))) await checks.take(subjectOf(item), { people });
  };
  const buttons = Array.from({ length: fewer }, (_, index) => {
    const words = text("only_came", { count: formatNumber(index + 1) });
    const button = makeButton(isLarge ? formatNumber(index + 1) : words, () => correct(index + 1));
    button.setAttribute("aria-label", words);
    return button;
  });
  return isLarge ? [make("p", text("fewer_came")), ...buttons] : buttons;
}

function makeUndo({ item, answer, checks, verdict }) {
  return makeButton(text("undo"), async () => {
    if (await checks.undo(lineOf(item, answer))) verdict.dismiss();
  });
}

/** A supervisor may let somebody in against the house's limits, and says why. */
function makeOverride({ item, answer, checks, isSupervisor }) {
  const isOpen = isSupervisor && item.kind === "scan" && item.direction === "in" && !item.override;
  if (!isOpen || !MAY_BE_OVERRIDDEN.has(answer.reason)) return [];
  const letIn = (override) => checks.take({ ...subjectOf(item), override }, { people: item.people });
  return [makeButton(text("let_in_anyway"), () => askForReason(answer.attendee?.name ?? "", letIn))];
}

function lineOf(item, answer) {
  return { scan_id: item.scan_id, name: answer.attendee?.name ?? "" };
}

function subjectOf(item) {
  return item.code === null ? { registration_id: item.registration_id } : { code: item.code };
}
