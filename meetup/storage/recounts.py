"""The same numbers as the counters, counted from the rows; slow, for doctor and tests."""

from collections.abc import Iterator, Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from meetup.storage.arrivals import GateArrival
from meetup.storage.clicks import Click
from meetup.storage.counters import DoorCounter, SeatCounter
from meetup.storage.outbox import OutboxMessage
from meetup.storage.registrations import Registration, State
from meetup.storage.scans import Direction, Outcome, Scan
from meetup.storage.tickets import Ticket

Difference = tuple[int, str, int, int]


def compare_seats(session: Session) -> Iterator[Difference]:
    """Yield (event id, state, counted people, recounted people) for every event and state."""
    rows = session.execute(
        select(Registration.event_id, Registration.state, func.sum(Registration.people)).group_by(
            Registration.event_id, Registration.state
        )
    )
    found = {(event_id, state): people for event_id, state, people in rows}
    for seats in session.scalars(select(SeatCounter).execution_options(populate_existing=True)):
        for state in State:
            yield seats.event_id, state.value, getattr(seats, state.value), found.get((seats.event_id, state), 0)


def compare_door(session: Session) -> Iterator[Difference]:
    """Yield (event id, what, counted, recounted from the scans) for every event's door."""
    is_done = (Scan.outcome == Outcome.ADMITTED) & Scan.undone_at.is_(None)
    entered = func.coalesce(func.sum(Scan.people).filter(is_done, Scan.direction == Direction.IN), 0)
    left = func.coalesce(func.sum(Scan.people).filter(is_done, Scan.direction == Direction.OUT), 0)
    arrived = func.coalesce(func.sum(Scan.arrivals).filter(is_done), 0)
    refused = func.count().filter(Scan.outcome == Outcome.REFUSED)
    rows = session.execute(select(Scan.event_id, entered - left, arrived, refused).group_by(Scan.event_id))
    scanned = {event_id: (inside, came, refusals) for event_id, inside, came, refusals in rows}
    minutes = session.execute(
        select(GateArrival.event_id, func.sum(GateArrival.arrived)).group_by(GateArrival.event_id)
    )
    by_minute = {event_id: people for event_id, people in minutes}
    parties = session.execute(
        select(Registration.event_id, func.sum(Registration.inside)).group_by(Registration.event_id)
    )
    by_party = {event_id: people for event_id, people in parties}
    clicks = session.execute(
        select(Click.event_id, func.sum(Click.people)).where(Click.reason.is_(None)).group_by(Click.event_id)
    )
    by_click = {event_id: people for event_id, people in clicks}
    for door in session.scalars(select(DoorCounter).execution_options(populate_existing=True)):
        inside, came, refusals = scanned.get(door.event_id, (0, 0, 0))
        clicked = by_click.get(door.event_id, 0)
        yield door.event_id, "without a ticket", door.unticketed, clicked
        yield door.event_id, "inside by scans", door.inside, inside + clicked
        yield door.event_id, "inside by parties", door.inside, by_party.get(door.event_id, 0) + clicked
        yield door.event_id, "arrived by scans", door.arrived, came
        yield door.event_id, "arrived by minutes", door.arrived, by_minute.get(door.event_id, 0)
        yield door.event_id, "refused", door.refused, refusals


def list_overfull(session: Session) -> Sequence[int]:
    """Return the ids of registrations with more people inside than their party, or fewer than none."""
    is_wrong = (Registration.inside > Registration.people) | (Registration.inside < 0)
    return session.scalars(select(Registration.id).where(is_wrong)).all()


def list_without_one_ticket(session: Session) -> Sequence[int]:
    """Return the ids of registrations that do not have exactly one valid ticket."""
    valid = Ticket.revoked_at.is_(None)
    statement = (
        select(Registration.id)
        .outerjoin(Ticket, (Ticket.registration_id == Registration.id) & valid)
        .group_by(Registration.id)
        .having(func.count(Ticket.id) != 1)
    )
    return session.scalars(statement).all()


def list_without_mail(session: Session) -> Sequence[int]:
    """Return the ids of registrations with an address to whom nothing was promised by mail.

    Somebody who waits at the door is promised theirs when they are admitted.
    """
    statement = (
        select(Registration.id)
        .outerjoin(OutboxMessage, OutboxMessage.registration_id == Registration.id)
        .where(Registration.email != "", ~(Registration.is_at_door & (Registration.state == State.PENDING)))
        .group_by(Registration.id)
        .having(func.count(OutboxMessage.id) == 0)
    )
    return session.scalars(statement).all()
