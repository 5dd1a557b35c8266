"""Seats that are given at the door itself."""

from datetime import datetime

from sqlalchemy.orm import Session

from meetup.domain import outbox, roster
from meetup.domain.outbox import MessageKind
from meetup.storage import counters, registrations
from meetup.storage.events import Event
from meetup.storage.registrations import Registration, State

CONFIRMABLE = (State.PENDING, State.WAITLISTED, State.UNVERIFIED)


def confirm_waiting(session: Session, event: Event, registration: Registration, now: datetime) -> bool:
    """Give a seat to somebody who stands at the door without one; False when none is free for the whole party.

    It takes a seat that is free, whoever else waits at home, and never one past the capacity (rules 2.10).
    """
    state = State(registration.state)
    if state not in CONFIRMABLE or not has_room_inside(session, event, registration.people):
        return False
    if not counters.take_seat_at_door(session, event.id, registration.people):
        return False
    values = {"confirmed_at": now}
    if not registrations.change_state(session, registration.id, source=state, target=State.CONFIRMED, values=values):
        counters.move_people(session, event.id, registration.people, source=State.CONFIRMED, target=None)
        return False
    counters.move_people(session, event.id, registration.people, source=state, target=None)
    roster.note_change(session, event.id, [registration.id])
    if registration.email:
        confirmed = registrations.get_registration(session, registration.id)
        outbox.promise(session, [confirmed], MessageKind.CONFIRMED, now)
    return True


def has_room_inside(session: Session, event: Event, people: int) -> bool:
    """Tell whether the venue holds so many more."""
    door = counters.get_door(session, event.id)
    return door.venue_limit is None or door.inside + people <= door.venue_limit
