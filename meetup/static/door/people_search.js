/** Find somebody by name when the ticket will not scan, and check them in or out after a question. */
import { searchPeople } from "./api.js";
import { formatNumber, hasText, text } from "./config.js";
import { byId, make } from "./page.js";
import { confirmFirst, openSheet } from "./sheets.js";

const PAUSE_MS = 250;
const SHORTEST = 2;
let asked = 0;

/** `getDirection()` is in or out; `onPerson(person)` after the volunteer confirmed; `onUnpaired()` on 401. */
export function prepareSearch(getDirection, onPerson, onUnpaired) {
  const field = byId("search-query");
  let timer = null;
  byId("open-search").addEventListener("click", () => {
    field.value = "";
    show([], "");
    openSheet("search");
    field.focus();
  });
  const choose = (person) => {
    const key = getDirection() === "out" ? "confirm_out" : "confirm_in";
    confirmFirst(text(key, { name: person.name }), text(`${key}_yes`), () => onPerson(person));
  };
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => look(field.value.trim(), choose, onUnpaired), PAUSE_MS);
  });
  byId("search-form").addEventListener("submit", (submit) => {
    submit.preventDefault();
    clearTimeout(timer);
    look(field.value.trim(), choose, onUnpaired);
  });
}

async function look(query, choose, onUnpaired) {
  asked += 1;
  const mine = asked;
  if (query.length < SHORTEST) return show([], "");
  const result = await searchPeople(query);
  // An earlier question may be answered after a later one.
  if (mine !== asked) return undefined;
  if (result.kind === "unpaired") return onUnpaired();
  if (result.kind !== "answer") return show([], text("search_no_answer"));
  const people = result.body.items;
  return show(people.map((person) => makeRow(person, choose)), people.length === 0 ? text("search_nobody") : "");
}

function show(rows, words) {
  byId("search-results").replaceChildren(...rows);
  byId("search-words").textContent = words;
}

function describeState(person, state) {
  const isPartly = person.inside > 0 && person.inside < person.party;
  if (isPartly) return text("party_part", { admitted: formatNumber(person.inside), party: formatNumber(person.party) });
  return hasText(`state_${state}`) ? text(`state_${state}`) : state;
}

function makeRow(person, choose) {
  const row = make("li");
  const button = make("button", "", { type: "button", class: "person" });
  const state = person.inside ? "inside" : person.state;
  button.append(
    make("span", person.name, { class: "person-name", dir: "auto" }),
    make("span", [person.email, person.ticket_type].filter(Boolean).join(" · "), { class: "person-detail" }),
    make("span", describeState(person, state), { class: "person-state", "data-state": state }),
  );
  button.addEventListener("click", () => choose(person));
  row.append(button);
  return row;
}
