/**
 * What the server would say, as far as this phone can know it: the same questions in the same order, the same
 * reasons (contract section 5). Pure.
 */

/**
 * Decide about `reading` (as readCode() gives it, or {kind: "known", hash} after a search) for
 * `request` {direction, people, override} from `known` {event, roster, entered, inside, now, isGenuine}.
 * Returns {outcome, reason, attendee, first, hash, people}, where `people` went in (out: less than 0), or null
 * where only the server can tell.
 */
export function judge(reading, request, known) {
  if (!known.event) return null;
  const reason = findFault(reading, known);
  if (reason === null) return null;
  if (reason) return refuse(reason, reading.hash);
  const party = findParty(reading.hash, known);
  if (party === null) return refuse("unknown", reading.hash);
  return request.direction === "out" ? checkOut(party, request) : checkIn(party, request, known);
}

/** Why a code stands for nobody: a reason, "" where it stands for somebody, null where it cannot be told here. */
function findFault(reading, known) {
  if (reading.kind === "short") return null;
  if (reading.kind === "text") return "unknown";
  if (reading.kind === "known") return reading.hash ? "" : null;
  if (reading.kind === "damaged") return "bad_signature";
  if (reading.eventNumber !== known.event.event_number) return "wrong_event";
  if (known.isGenuine === false) return "bad_signature";
  return known.roster.isRemoved(reading.hash) ? "revoked" : "";
}

/** The roster's row with who is inside by now; for a signed ticket that is too new for it, a party of one. */
function findParty(hash, known) {
  const row = known.roster.find(hash);
  if (row === null && known.isGenuine !== true) return null;
  const unlisted = { hash, name: "", state: "confirmed", party: 1, insideCount: 0, registrationId: null };
  const party = row ?? unlisted;
  const inside = Math.max(0, Math.min(party.party, party.insideCount + known.entered.changeOf(hash)));
  return { ...party, inside };
}

function checkOut(party, request) {
  const leaving = Math.min(request.people ?? party.inside, party.inside);
  return leaving === 0 ? refuse("not_inside", party.hash, party) : admit(party, -leaving);
}

function checkIn(party, request, known) {
  if (party.state === "cancelled") return refuse("cancelled", party.hash, party);
  if (party.state !== "confirmed") return refuse("not_confirmed", party.hash, party);
  const shut = request.override ? null : askHours(known);
  if (shut) return refuse(shut, party.hash, party);
  const left = party.party - usedPlaces(party, known);
  if (left <= 0) return { ...refuse("already_in", party.hash, party), first: known.entered.firstOf(party.hash) };
  const entering = Math.min(request.people ?? left, left);
  const isFull = !request.override && !hasRoom(known, entering);
  return isFull ? refuse("venue_full", party.hash, party) : admit(party, entering);
}

/** Where the event allows no second entry, who has left has used the place as well. */
function usedPlaces(party, known) {
  const hasLeft = known.event.re_entry === false;
  return hasLeft ? Math.max(party.inside, known.entered.arrivalsOf(party.hash)) : party.inside;
}

/** too_early or closed outside the doors' times, else null. */
export function askHours({ event, now }) {
  if (event.doors_open_at && now < Date.parse(event.doors_open_at)) return "too_early";
  if (event.doors_close_at && now >= Date.parse(event.doors_close_at)) return "closed";
  return null;
}

/** True when so many more people may be inside. */
export function hasRoom({ event, inside }, people) {
  const limit = event.venue_limit;
  return limit === null || limit === undefined || inside === null || inside + people <= limit;
}

function refuse(reason, hash = null, party = null) {
  return { outcome: "refused", reason, hash, people: 0, first: null, attendee: party ? describe(party, party.inside) : null };
}

function admit(party, people) {
  const attendee = describe(party, party.inside + people);
  return { outcome: "admitted", reason: null, hash: party.hash, people, first: null, attendee };
}

function describe(party, inside) {
  return {
    id: party.registrationId,
    name: party.name,
    party: party.party,
    admitted: inside,
    ticket_type: party.ticketType ?? null,
    note: party.note ?? null,
  };
}
