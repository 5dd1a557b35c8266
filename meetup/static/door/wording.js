/** From an answer to what the volunteer reads. */
import { countText, formatNumber, hasText, text, timeOfDay } from "./config.js";

/** {word, reason, icon, tune} of a decided scan. */
export function describe(scan, answer) {
  if (answer.outcome === "refused") return describeRefusal(answer);
  const isOut = scan.direction === "out";
  return {
    word: text(isOut ? "admitted_out" : "admitted_in"),
    reason: [describeParty(answer.attendee, isOut), describeTicket(answer)].filter(Boolean).join(" · "),
    icon: isOut ? "out" : "check",
    tune: isOut ? "out" : "admitted",
  };
}

/** "Ada L. · General", or "" where the code belongs to nobody we know. */
export function describeAttendee(attendee) {
  return [attendee?.name, attendee?.ticket_type].filter(Boolean).join(" · ");
}

function describeParty(attendee, isOut) {
  if (!attendee || attendee.party <= 1) return "";
  if (isOut) return countText("party_of", attendee.party);
  if (attendee.admitted < attendee.party) {
    return text("party_part", { admitted: formatNumber(attendee.admitted), party: formatNumber(attendee.party) });
  }
  return countText("people_in", attendee.party);
}

/** The short code of the ticket that a walk-in has just got, to be written down for them. */
function describeTicket({ registration }) {
  return registration?.short_code ? text("new_ticket", { code: describeShortCode(registration.short_code) }) : "";
}

/** ABCD-EFGH, however it came. */
export function describeShortCode(code) {
  const bare = code.replace(/-/g, "");
  return `${bare.slice(0, 4)}-${bare.slice(4)}`;
}

/** {word, reason, icon, tune} of an item that the server will never take. */
export function describeRejection({ body }) {
  const known = hasText(`word_${body.code}`) ? body.code : "other";
  return { word: text(`word_${known}`), reason: text(`reason_${known}`), icon: "cross", tune: "refused" };
}

function describeRefusal(answer) {
  const known = hasText(`word_${answer.reason}`) ? answer.reason : "other";
  return {
    word: text(`word_${known}`),
    reason: known === "already_in" ? describeFirst(answer.first) : text(`reason_${known}`),
    icon: "cross",
    tune: "refused",
  };
}

function describeFirst(first) {
  if (!first) return text("reason_already_in");
  const parts = { time: timeOfDay(first.scanned_at), gate: first.gate ?? "", device: first.device ?? "" };
  return text(first.device ? "first_at_gate_by_device" : "first_at_gate", parts);
}
