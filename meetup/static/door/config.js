/** What the page was served with: words, event, gate and device. Read once from #door-config. */
const served = JSON.parse(document.getElementById("door-config").textContent);
const pluralRules = new Intl.PluralRules(served.locale);
const numberFormat = new Intl.NumberFormat(served.locale);
const timeFormat = new Intl.DateTimeFormat(served.locale, {
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});

export const event = served.event;
export const gate = served.gate;
export const device = served.device;
export const appVersion = served.app_version;
export const isSupervisor = Boolean(served.is_supervisor);

/** The sentence for `key` in the page's language, its %(name)s places filled from `values`. */
export function text(key, values = {}) {
  const sentence = served.strings[key] ?? "";
  return sentence.replace(/%\((\w+)\)s/g, (_, name) => String(values[name] ?? ""));
}

/** As text(), from `key_one` or `key_many` by the language's own plural rule; fills %(count)s. */
export function countText(key, count) {
  const form = pluralRules.select(count) === "one" ? "one" : "many";
  return text(`${key}_${form}`, { count: formatNumber(count) });
}

/** True where a sentence is written for `key`. */
export function hasText(key) {
  return Object.hasOwn(served.strings, key);
}

/** A whole number grouped as the language does. */
export function formatNumber(value) {
  return numberFormat.format(value);
}

/** "18:05" on this phone's clock for an RFC 3339 time or milliseconds; "" where there is none. */
export function timeOfDay(moment) {
  const date = new Date(moment ?? NaN);
  return Number.isNaN(date.getTime()) ? "" : timeFormat.format(date);
}
