"""What an organiser writes on a registration for the team at the door."""

from datetime import datetime

from sqlalchemy.orm import Session

from meetup.domain import audit, roster
from meetup.domain.audit import Actor
from meetup.errors import Invalid, NotFound
from meetup.storage import counters, registrations
from meetup.storage.events import Event

LONGEST_NOTE = 200


def set_note(session: Session, event: Event, public_id: str, note: str, actor: Actor, now: datetime) -> None:
    """Set the note that pops up when this person is admitted; empty takes it away (rules 4.11).

    The phones learn of it with the next change of the roster. Raises NotFound and Invalid (`note`). The log keeps
    that there was a note, and not what it said.
    """
    registration = registrations.find_by_public_id(session, event.id, public_id)
    if registration is None:
        raise NotFound
    if len(note) > LONGEST_NOTE:
        raise Invalid({"note": ["note_too_long"]})
    if registration.note == note:
        return
    counters.hold_door(session, event.id)
    registration.note = note
    session.flush()
    roster.note_change(session, event.id, [registration.id])
    change = audit.Change("registration.note_set", "registration", registration.id)
    audit.record(session, actor, event.id, change, now, has_note=bool(note))
