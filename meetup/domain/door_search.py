"""Finding somebody who has no code to show (rules 4.11)."""

import itertools

from rapidfuzz import fuzz, process
from sqlalchemy.orm import Session

from meetup import ticket_code
from meetup.storage import registrations, search_index
from meetup.storage.events import Event
from meetup.storage.registrations import Registration
from meetup.storage.search_index import GRAM, MOST_FRAGMENTS, Wanted, fragments
from meetup.storage.tickets import find_ticket_by_short_code

MOST_FOUND = 20
LONGEST_QUERY = 200
# Shorter texts are like everybody's name.
SHORTEST_ALIKE = 4
# Out of 100: one wrong letter in a word of five or more.
LEAST_ALIKE = 80
# How many names are compared with a misspelled one: of those that share a part of it, and of those not indexed yet.
MOST_CANDIDATES = 500
MOST_UNINDEXED = 20_000
# Of how many words, the longest ones, either half may be wrong; each of them doubles the question.
MOST_HALVED = 3


def find_people(session: Session, event: Event, text: str) -> list[Registration]:
    """Return who matches a short code exactly, else a name or a part of an address, at most 20."""
    text = text.replace("\x00", "")[:LONGEST_QUERY].strip()
    if not text:
        return []
    short_code = ticket_code.normalise_short_code(text)
    if short_code is not None:
        ticket = find_ticket_by_short_code(session, event.id, short_code)
        if ticket is not None:
            return [registrations.get_registration(session, ticket.registration_id)]
    return search_index.find_people(session, event.id, text, MOST_FOUND) or _find_alike(session, event, text)


def _find_alike(session: Session, event: Event, text: str) -> list[Registration]:
    """Return people whose name is spelled nearly like that, the nearest first, when nobody's is exactly."""
    typed = registrations.fold(text)
    if len(typed) < SHORTEST_ALIKE:
        return []
    names = search_index.list_unindexed_texts(session, event.id, MOST_UNINDEXED)
    found = _list_nearest(typed, names)
    if search_index.find_mark(session, event.id) is None:
        return search_index.get_all(session, [id for id, _score in found])
    for wanted in _ways_to_be_alike(typed.split()):
        found += _list_nearest(typed, search_index.find_by_entries(session, event.id, wanted, [], MOST_CANDIDATES))
        if found:
            break
    nearest = sorted(dict(found).items(), key=lambda each: -each[1])[:MOST_FOUND]
    return search_index.get_all(session, [id for id, _score in nearest])


def _list_nearest(typed: str, names: dict[int, str]) -> list[tuple[int, float]]:
    """Return (registration id, likeness) of names that are alike enough, the nearest first, at most 20."""
    found = process.extract(
        typed, names, scorer=fuzz.partial_ratio, processor=None, limit=MOST_FOUND, score_cutoff=LEAST_ALIKE
    )
    return [(id, score) for _name, score, id in found]


def _ways_to_be_alike(words: list[str]) -> list[Wanted]:
    """Return what to ask the index for, the narrower question first.

    One mistake in a word leaves one of its halves whole. The shortest words have no halves: they must be there as
    they are, and then may be missing.
    """
    long = sorted((word for word in words if len(word) > GRAM), key=len, reverse=True)[:MOST_HALVED]
    short = [each for word in words if len(word) <= GRAM for each in fragments(word)]
    if not long:
        return [[short]]
    ways = [[each for half in halves for each in half] for halves in itertools.product(*map(_halves, long))]
    return [[way + short for way in ways], ways] if short else [ways]


def _halves(word: str) -> tuple[list[str], list[str]]:
    middle = len(word) // 2
    end = word[min(middle, len(word) - GRAM) :]
    return [f"^{word[:2]}", *fragments(word[:middle])[:MOST_FRAGMENTS]], fragments(end)[:MOST_FRAGMENTS]
