"""Registrations that wait for their mail to be answered: they hold an address and no seat (rules 2.2)."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from meetup.domain import audit
from meetup.storage import counters, registrations
from meetup.storage.registrations import Holder, State


def give_way(session: Session, event_id: int, holders: Sequence[Holder], now: datetime) -> None:
    """Cancel the unverified registrations of addresses for which somebody registers who needs no mail.

    Else a stranger could keep an address from its owner by typing it. The caller holds the seats and the door.
    """
    for holder in holders:
        registration = registrations.get_registration(session, holder.id)
        values = {"cancelled_at": now}
        registrations.change_state(session, holder.id, source=State.UNVERIFIED, target=State.CANCELLED, values=values)
        people = registration.people
        counters.move_people(session, event_id, people, source=State.UNVERIFIED, target=State.CANCELLED)
        change = audit.Change("registration.gave_way", "registration", holder.id)
        audit.record(session, audit.SYSTEM, event_id, change, now)
