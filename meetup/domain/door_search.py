"""Finding somebody who has no code to show (rules 4.11)."""

from rapidfuzz import fuzz, process
from sqlalchemy.orm import Session

from meetup import ticket_code
from meetup.storage import registrations
from meetup.storage.events import Event
from meetup.storage.registrations import Registration

MOST_FOUND = 20
LONGEST_QUERY = 200
# Shorter texts are like everybody's name.
SHORTEST_ALIKE = 4
# Out of 100: one wrong letter in a word of five or more.
LEAST_ALIKE = 80
MOST_COMPARED = 200_000


def find_people(session: Session, event: Event, text: str) -> list[Registration]:
    """Return who matches a short code exactly, else a name or a part of an address, at most 20."""
    text = text.replace("\x00", "")[:LONGEST_QUERY].strip()
    if not text:
        return []
    short_code = ticket_code.normalise_short_code(text)
    if short_code is not None:
        ticket = registrations.find_ticket_by_short_code(session, event.id, short_code)
        if ticket is not None:
            return [registrations.get_registration(session, ticket.registration_id)]
    return registrations.search(session, event.id, text, MOST_FOUND) or _find_alike(session, event, text)


def _find_alike(session: Session, event: Event, text: str) -> list[Registration]:
    """Return people whose name is spelled nearly like that, the nearest first, when nobody's is exactly."""
    typed = registrations.fold(text)
    if len(typed) < SHORTEST_ALIKE:
        return []
    texts = dict(registrations.list_search_texts(session, event.id, MOST_COMPARED))
    found = process.extract(
        typed, texts, scorer=fuzz.partial_ratio, processor=None, limit=MOST_FOUND, score_cutoff=LEAST_ALIKE
    )
    return [registrations.get_registration(session, id) for _text, _score, id in found]
