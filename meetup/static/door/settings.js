/** What the volunteer chose on this phone; kept in localStorage, lost without harm. */
const KEY = "turnout-door-settings";
const DEFAULTS = { asksForParties: false };

function read() {
  try {
    return { ...DEFAULTS, ...JSON.parse(localStorage.getItem(KEY) ?? "{}") };
  } catch {
    return { ...DEFAULTS };
  }
}

const chosen = read();

/** Ask "how many came in?" for every party instead of letting in all who are left. */
export function asksForParties() {
  return chosen.asksForParties;
}

export function setAsksForParties(isOn) {
  chosen.asksForParties = isOn;
  try {
    localStorage.setItem(KEY, JSON.stringify(chosen));
  } catch {
    // A private window may refuse; the choice then lasts as long as the page.
  }
}
