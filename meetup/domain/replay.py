"""Counting a party again from its scans in the order in which they happened (rules 4.5, 4.8). Pure but for apply().

Scans of phones that were offline arrive late and in any order. So nothing is added up as they come: the party's
admitted scans are put in the order of their corrected times and gone through from the first, and what changed
against the last time is brought into the counters. Any order of upload leads to the same numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from meetup.domain.minutes import minute_of
from meetup.storage import arrivals, counters, parties, scans
from meetup.storage.events import Event
from meetup.storage.registrations import Registration
from meetup.storage.scans import Direction, Reason, Scan


@dataclass(frozen=True)
class Passage:
    """One admitted scan: through the door inwards or outwards; `claimed` None means all that are left."""

    id: int
    direction: Direction
    claimed: int | None


@dataclass(frozen=True)
class Counted:
    """What a passage adds: people moved, first entries among them, people of the party inside after it.

    `conflict` says why it moved nobody, `other_id` which passage it met.
    """

    people: int
    arrivals: int
    party_inside: int
    conflict: Reason | None = None
    other_id: int | None = None


def replay(passages: Sequence[Passage], party: int, *, has_re_entry: bool = True) -> dict[int, Counted]:
    """Go through a party's passages, earliest first, and return what each of them counts, by id."""
    inside = arrived = 0
    entry_id = None
    counted = {}
    for passage in passages:
        is_in = passage.direction is Direction.IN
        room = inside if not is_in else party - (inside if has_re_entry else arrived)
        people = room if passage.claimed is None else min(room, passage.claimed)
        if people == 0:
            reason = Reason.ALREADY_IN if is_in else Reason.NOT_INSIDE
            counted[passage.id] = Counted(0, 0, inside, reason, entry_id if is_in else None)
            continue
        entry_id = passage.id if is_in and inside == 0 else entry_id
        inside += people if is_in else -people
        arrivals = count_arrivals(people if is_in else 0, inside, arrived, has_re_entry=has_re_entry)
        counted[passage.id] = Counted(people, arrivals, inside)
        arrived += arrivals
    return counted


def count_arrivals(entering: int, inside: int, arrived: int, *, has_re_entry: bool) -> int:
    """Return how many of those who enter come for the first time; `inside` counts them already.

    Nobody can tell the people of a party apart. Where they may come back, only more than were ever in before are
    new; where nobody may, everybody who enters is.
    """
    return max(0, inside - arrived) if has_re_entry else entering


def find_entry(session: Session, registration_id: int) -> int | None:
    """Return the id of the check-in that began a party's present stay, or its last one; None when it never came."""
    entry_id = None
    was_inside = 0
    for scan in scans.list_admitted(session, registration_id):
        if scan.undone_at is None and scan.people > 0:
            if scan.direction == Direction.IN and was_inside == 0:
                entry_id = scan.id
            was_inside = scan.party_inside
    return entry_id


def apply(session: Session, event: Event, registration_id: int, revision: int) -> None:
    """Count a party again and bring what changed into its scans, the registration and the counters.

    `revision` is the roster's number of this change; conflicts that are new are marked with it.
    """
    party = parties.lock_party(session, registration_id)
    stored = scans.list_admitted(session, registration_id)
    standing = [scan for scan in stored if scan.undone_at is None]
    passages = [_passage(scan) for scan in standing]
    counted = replay(passages, party.people, has_re_entry=event.has_re_entry)
    inside = arrived = 0
    for scan in stored:
        new = counted.get(scan.id, Counted(0, 0, scan.party_inside))
        sign = 1 if scan.direction == Direction.IN else -1
        inside += sign * (new.people - scan.people)
        arrived += new.arrivals - scan.arrivals
        if new.arrivals != scan.arrivals:
            minute = minute_of(scan.counted_at)
            arrivals.add_arrivals(session, event.id, scan.gate_id, minute, new.arrivals - scan.arrivals)
        _write(session, scan, new, revision)
    _settle(session, party, standing, counted)
    if inside or arrived:
        counters.shift_door(session, event.id, inside=inside, arrived=arrived)


def _passage(scan: Scan) -> Passage:
    return Passage(scan.id, Direction(scan.direction), scan.claimed_people)


def _write(session: Session, scan: Scan, new: Counted, revision: int) -> None:
    conflict, other_id = _conflict(scan, new)
    is_news = conflict is not None and (conflict, other_id) != (scan.conflict, scan.conflict_scan_id)
    values = {
        "people": new.people,
        "arrivals": new.arrivals,
        "party_inside": new.party_inside,
        "conflict": conflict,
        "conflict_scan_id": other_id,
        "conflict_revision": revision if is_news else scan.conflict_revision,
    }
    if any(getattr(scan, name) != value for name, value in values.items()):
        scans.change_scan(session, scan.id, values)


def _conflict(scan: Scan, new: Counted) -> tuple[str | None, int | None]:
    """Return a scan's conflict and whom it met: a replay sets and clears only its own two reasons.

    What was found with the ticket stays, whoever came in before: a cancelled ticket is cancelled either way.
    """
    is_own = scan.conflict in (None, Reason.ALREADY_IN, Reason.NOT_INSIDE)
    return new.conflict if is_own else scan.conflict, new.other_id


def _settle(session: Session, party: Registration, standing: list[Scan], counted: dict[int, Counted]) -> None:
    last = counted[standing[-1].id].party_inside if standing else 0
    arrived = sum(each.arrivals for each in counted.values())
    first_at: datetime | None = next((scan.counted_at for scan in standing if counted[scan.id].arrivals), None)
    parties.set_party(session, party.id, inside=last, arrived=arrived, arrived_at=first_at)
