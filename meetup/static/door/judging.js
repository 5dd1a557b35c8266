/** This phone's own decision about an item of the queue, for when nobody answers. */
import { serverNow } from "./clock.js";
import { askHours, hasRoom, judge } from "./judge.js";
import { isGenuine, readCode } from "./ticket_code.js";

/** What judge() gives for a scan, a walk-in or a click; null where only the server can decide. */
export async function judgeItem(item, phone) {
  const known = {
    event: phone.roster.event,
    roster: phone.roster,
    entered: phone.entered,
    inside: phone.inside(),
    now: serverNow(),
    isGenuine: null,
  };
  if (known.event === null || phone.isExpired() || item.admit_waiting) return null;
  if (item.kind === "walk_in") return judgeWalkIn(item, known);
  if (item.kind === "click") return judgeClick(item, known);
  if (item.code === null) return judge({ kind: "known", hash: phone.roster.findHash(item.registration_id) }, item, known);
  const reading = await readCode(item.code);
  if (reading.kind === "ticket") known.isGenuine = await isGenuine(reading, known.event.public_key);
  return judge(reading, item, known);
}

function judgeWalkIn(item, known) {
  const attendee = { id: null, name: item.name, party: 1, admitted: 1, ticket_type: null, note: null };
  const reason = askHours(known) ?? (hasRoom(known, 1) ? null : "venue_full");
  return decideFor(reason, 1, attendee);
}

function judgeClick(item, known) {
  const isTooMany = item.people > 0 && !hasRoom(known, item.people);
  const isTooFew = item.people < 0 && known.inside !== null && known.inside + item.people < 0;
  const reason = isTooMany ? "venue_full" : isTooFew ? "not_inside" : null;
  return decideFor(reason, item.people, null);
}

function decideFor(reason, people, attendee) {
  const outcome = reason ? "refused" : "admitted";
  return { outcome, reason, hash: null, people: reason ? 0 : people, first: null, attendee };
}
