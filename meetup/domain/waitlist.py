"""The waitlist: freed and added seats go to the first that fits, in order, at once (rules 2.4 to 2.7)."""

from datetime import datetime

from sqlalchemy.orm import Session

from meetup.domain import audit, outbox, roster
from meetup.domain.outbox import MessageKind
from meetup.domain.schedule import Window, registration_window
from meetup.storage import counters, registrations
from meetup.storage.events import Event
from meetup.storage.registrations import Registration, State

BATCH = 200


def seat_waiting(session: Session, event: Event, now: datetime, limit: int = BATCH) -> int:
    """Seat the first in line that fit, at most `limit` registrations, and promise their tickets by mail.

    Return how many registrations were seated: `limit` means that there may be more for another transaction.
    """
    if not is_seating(event, now):
        return 0
    seats = counters.lock_seats(session, event.id)
    if seats.waitlisted == 0 or seats.free == 0:
        return 0
    largest = seats.free if event.is_passing_over else None
    waiting = registrations.list_waiting(session, event.id, limit, largest)
    chosen = _first_that_fit(waiting, seats.free, event.is_passing_over)
    if not chosen:
        return 0
    counters.hold_door(session, event.id)
    registrations.confirm_all(session, [each.id for each in chosen], now)
    people = sum(each.people for each in chosen)
    counters.move_people(session, event.id, people, source=State.WAITLISTED, target=State.CONFIRMED)
    roster.note_change(session, event.id, [each.id for each in chosen])
    outbox.promise(session, chosen, MessageKind.PROMOTED, now)
    changes = [audit.Change("registration.promoted", "registration", each.id) for each in chosen]
    audit.record_all(session, audit.SYSTEM, event.id, changes, now)
    return len(chosen)


def is_seating(event: Event, now: datetime) -> bool:
    """Tell whether the waitlist still moves: not after closing or the end, unless late promotion is on."""
    return event.has_late_promotion or registration_window(event, now) in (Window.OPEN, Window.NOT_YET_OPEN)


def get_position(session: Session, registration: Registration) -> int | None:
    """Return the place in line, 1 for the first; None for somebody who is not waiting."""
    if registration.state != State.WAITLISTED:
        return None
    return registrations.count_waiting_before(session, registration) + 1


def _first_that_fit(waiting: list[Registration], free: int | None, is_passing_over: bool) -> list[Registration]:
    if free is None:
        return waiting
    chosen = []
    for registration in waiting:
        if registration.people <= free:
            chosen.append(registration)
            free -= registration.people
        elif not is_passing_over:
            break
    return chosen
