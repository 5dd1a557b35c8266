"""Calendar entries: an event as everybody's calendar has it, and with the link to somebody's own ticket."""

from meetup.storage.events import Event
from meetup.storage.registrations import Registration, State
from meetup.ticket_files import CalendarEntry


def event_entry(event: Event, event_url: str) -> CalendarEntry:
    """Return the entry of an event for anybody."""
    return _entry(event, f"event-{event.event_number}@turnout", event_url, event.revision)


def registration_entry(event: Event, registration: Registration, ticket_url: str) -> CalendarEntry:
    """Return the entry of somebody who registered; a calendar that has it follows each change of either."""
    uid = f"registration-{registration.public_id}@turnout"
    is_cancelled = registration.state == State.CANCELLED
    return _entry(event, uid, ticket_url, event.revision + registration.revision, is_cancelled=is_cancelled)


def _entry(event: Event, uid: str, url: str, sequence: int, *, is_cancelled: bool = False) -> CalendarEntry:
    return CalendarEntry(
        uid=uid,
        title=event.title,
        starts_at=event.starts_at,
        ends_at=event.ends_at,
        timezone=event.timezone,
        venue=event.venue,
        address=event.address,
        description=url,
        url=url,
        sequence=sequence,
        is_cancelled=is_cancelled,
        made_at=event.updated_at,
    )
