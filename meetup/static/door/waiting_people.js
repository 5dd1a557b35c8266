/** Those who filled the poster's form and wait at the door: one tap confirms and admits. */
import { listWaitingPeople } from "./api.js";
import { countText, text, timeOfDay } from "./config.js";
import { byId, make, makeButton } from "./page.js";
import { closeSheets } from "./sheets.js";

/** Read the list anew and draw it; `checks` admits, `onUnpaired(result)` on 401, `onCount(n)` how many wait. */
export async function showWaitingPeople({ checks, onUnpaired, onCount }) {
  const result = await listWaitingPeople();
  if (result.kind === "unpaired") return onUnpaired(result);
  const isAnswer = result.kind === "answer";
  const people = isAnswer ? result.body.items : [];
  byId("waiting-words").textContent = isAnswer ? (people.length === 0 ? text("nobody_waits") : "") : text("search_no_answer");
  byId("waiting-people").replaceChildren(...people.map((person) => makeRow(person, checks)));
  return isAnswer ? onCount(people.length) : undefined;
}

function makeRow(person, checks) {
  const row = make("li", "", { class: "scan" });
  const about = make("div", "", { class: "scan-about" });
  const party = person.party > 1 ? countText("party_of", person.party) : "";
  const detail = [timeOfDay(person.registered_at), party].filter(Boolean).join(" · ");
  about.append(make("span", person.name, { class: "scan-name", dir: "auto" }), make("span", detail, { class: "scan-detail" }));
  const admit = makeButton(text("admit"), () => {
    closeSheets();
    checks.take({ registration_id: person.id, admit_waiting: true });
  }, "button button-small");
  admit.setAttribute("aria-label", text("admit_name", { name: person.name }));
  row.append(about, admit);
  return row;
}
