/** Find somebody by name when the ticket will not scan, and check them in or out after a question. */
import { reissueTicket, searchPeople } from "./api.js";
import { formatNumber, hasText, text } from "./config.js";
import { byId, make, makeButton } from "./page.js";
import { confirmFirst, openSheet } from "./sheets.js";
import { describeShortCode } from "./wording.js";

const PAUSE_MS = 250;
const SHORTEST = 2;
let asked = 0;

/**
 * `getDirection()` is in or out; `onPerson(person)` after the volunteer confirmed; `onUnpaired(result)` on 401. Without
 * an answer the names of this phone's roster are searched.
 */
export function prepareSearch(phone, { getDirection, onPerson, onUnpaired }) {
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
    const more = person.id ? [makeReissue(person)] : [];
    confirmFirst(text(key, { name: person.name }), text(`${key}_yes`), () => onPerson(person), more);
  };
  const search = () => look(phone, field.value.trim(), choose, onUnpaired);
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(search, PAUSE_MS);
  });
  byId("search-form").addEventListener("submit", (submit) => {
    submit.preventDefault();
    clearTimeout(timer);
    search();
  });
}

async function look(phone, query, choose, onUnpaired) {
  asked += 1;
  const mine = asked;
  if (query.length < SHORTEST) return show([], "");
  const result = await searchPeople(query);
  // An earlier question may be answered after a later one.
  if (mine !== asked) return undefined;
  if (result.kind === "unpaired") return onUnpaired(result);
  const isHere = result.kind !== "answer";
  if (isHere && phone.roster.count() === 0) return show([], text("search_no_answer"));
  const people = isHere ? searchRoster(phone, query) : result.body.items;
  const words = people.length === 0 ? text("search_nobody") : isHere ? text("search_here") : "";
  return show(people.map((person) => makeRow(person, choose)), words);
}

/** The roster's people as the server's search would give them; it has no addresses. */
function searchRoster(phone, query) {
  return phone.roster.search(query).map((person) => ({
    id: person.registrationId,
    name: person.name,
    state: person.state,
    inside: phone.insideOf(person.hash),
    party: person.party,
    ticket_type: person.ticketType,
  }));
}

/** A lost ticket: the old code is dead at once, the new one is read out or sent by mail. */
function makeReissue(person) {
  const button = makeButton(text("reissue"), async () => {
    button.disabled = true;
    const result = await reissueTicket(person.id);
    const isDone = result.kind === "answer";
    const code = isDone ? describeShortCode(result.body.short_code) : "";
    byId("confirm-question").textContent = isDone ? text("reissued", { name: person.name, code }) : text("reissue_failed");
    button.hidden = isDone;
    button.disabled = false;
  });
  return button;
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
