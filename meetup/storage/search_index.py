"""Where names and addresses are found by their parts, in events too large to read through.

Every registration of a large event has an entry: the fragments of its name and address as numbers. Entries are
written behind the registrations, in steps of their own, so that registering and scanning pay nothing for them. The
mark of an event says up to which change of the roster its entries are complete; what changed since is found by reading
it. Whatever the entries point at is compared with the registration itself, so an old entry finds nobody wrongly.

On SQLite `search_grams` is a full-text table (FTS5), on PostgreSQL a table with an inverted index (GIN).
"""

import functools
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Executable, Integer, func, literal, select, text, tuple_
from sqlalchemy.orm import Mapped, Session, mapped_column

from meetup.storage.db import Base
from meetup.storage.registrations import Registration, fold

# How many of the newest registrations are read before the entries are asked: a common name is found among them.
NEWEST = 500
# Of so many matches the first by name are shown. Where more match, they are the first that were found.
MOST_SORTED = 200
# The longest word of an entry that is found without reading on; a longer one is compared afterwards.
MOST_FRAGMENTS = 8
GRAM = 3
# From here on a character is a word of its own in most languages that are written without spaces.
FIRST_IDEOGRAPH = "\u2e80"

Fragments = Sequence[str]
# The ways in which an entry may fit, each as the fragments that must all be there.
Wanted = Sequence[Fragments]


class SearchMark(Base):
    """How far the entries of an event are complete: up to this registration of this change of the roster."""

    __tablename__ = "search_marks"

    event_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    revision: Mapped[int] = mapped_column(Integer)
    registration_id: Mapped[int] = mapped_column(Integer)


def fragments(word: str) -> list[str]:
    """Return the fragments by which a folded word is found: every three letters, or for shorter ones its beginning."""
    if len(word) < GRAM:
        return [f"^{word}"] if word else []
    return [word[at : at + GRAM] for at in range(len(word) - GRAM + 1)]


def _all_fragments(words: Iterable[str]) -> list[str]:
    return [each for word in words for each in fragments(word)[:MOST_FRAGMENTS]]


def entry_fragments(folded: str) -> set[str]:
    """Return every fragment of a folded name and address: all threes, and the first one and two letters of words."""
    found: set[str] = set()
    for word in folded.split():
        found.update(word[at : at + GRAM] for at in range(len(word) - GRAM + 1))
        for at, letter in enumerate(word):
            if at == 0 or not word[at - 1].isalnum() or letter >= FIRST_IDEOGRAPH:
                found.update((f"^{letter}", f"^{word[at : at + 2]}"))
    return found


@functools.lru_cache(maxsize=20_000)
def gram(event_id: int, fragment: str) -> int:
    """Return the number that stands for a fragment in an event. Two that share one cost a comparison, no mistake."""
    return zlib.crc32(f"{event_id} {fragment}".encode()) & 0xFFFFFF


def find_mark(session: Session, event_id: int) -> tuple[int, int] | None:
    """Return the (revision, registration id) up to which an event has entries; None where it has none."""
    statement = text("SELECT revision, registration_id FROM search_marks WHERE event_id = :event_id")
    row = session.connection().execute(statement, {"event_id": event_id}).first()
    return (row[0], row[1]) if row else None


def find_people(session: Session, event_id: int, typed: str, limit: int) -> list[Registration]:
    """Return registrations whose name or address holds every word, by name, at most 20 (accents, case ignored).

    Where very many match, they are the first by name of some and not of all. In an event with entries a word of one
    or two letters is met at the beginnings of words only.
    """
    words = fold(typed).split()
    mark = find_mark(session, event_id)
    if not words:
        return []
    if mark is None:
        statement = select(Registration).where(Registration.event_id == event_id, *_holds(words))
        statement = statement.order_by(Registration.search_text, Registration.id).limit(limit)
        return list(session.scalars(statement))
    found = _find_by_reading(session, event_id, mark, words)
    if len(found) < limit:
        found |= find_by_entries(session, event_id, [_all_fragments(words)], words, MOST_SORTED)
    first = sorted(found.items(), key=lambda each: (each[1], each[0]))[:limit]
    return get_all(session, [id for id, _text in first])


def get_all(session: Session, ids: Sequence[int]) -> list[Registration]:
    """Return the registrations with these ids, in this order."""
    rows = session.scalars(select(Registration).where(Registration.id.in_(ids)))
    by_id = {each.id: each for each in rows}
    return [by_id[id] for id in ids if id in by_id]


def _holds(words: Iterable[str]) -> list[ColumnElement[bool]]:
    return [Registration.search_text.contains(word, autoescape=True) for word in words]


def is_behind(event_id: int, mark: tuple[int, int] | None) -> ColumnElement[bool]:
    """Return the condition that a registration of an event has changed since the mark."""
    is_of_event = Registration.event_id == event_id
    if mark is None:
        return is_of_event
    place = tuple_(Registration.roster_revision, Registration.id)
    return is_of_event & (place > tuple_(literal(mark[0]), literal(mark[1])))


def _find_by_reading(session: Session, event_id: int, mark: tuple[int, int], words: Sequence[str]) -> dict[int, str]:
    """Return folded names and addresses by registration id, of the newest and of those without a present entry."""
    likes, values = _likes(words)
    statement = (
        "SELECT r.id, r.search_text FROM registrations AS r WHERE r.id IN ("
        "SELECT id FROM (SELECT id FROM registrations WHERE event_id = :event_id ORDER BY id DESC LIMIT :newest) AS n "
        "UNION SELECT id FROM registrations WHERE event_id = :event_id AND (roster_revision, id) > (:revision, :id)"
        f"){likes} LIMIT :limit"
    )
    values |= {"event_id": event_id, "newest": NEWEST, "revision": mark[0], "id": mark[1], "limit": MOST_SORTED}
    return _read_texts(session, text(statement), values)


def _read_texts(session: Session, statement: Executable, values: dict[str, Any]) -> dict[int, str]:
    # Not through the ORM, which takes longer over a thousand rows than the database does.
    return {id: folded for id, folded in session.connection().execute(statement, values)}


def _likes(words: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Return SQL that tells whether the registration `r` holds every word, and its values."""
    likes = "".join(f" AND r.search_text LIKE :word{at} ESCAPE '/'" for at in range(len(words)))
    return likes, {f"word{at}": f"%{_escaped(word)}%" for at, word in enumerate(words)}


def list_unindexed_texts(session: Session, event_id: int, limit: int) -> dict[int, str]:
    """Return folded names and addresses that have no entry yet, by registration id, latest changes first."""
    statement = (
        select(Registration.id, Registration.search_text)
        .where(is_behind(event_id, find_mark(session, event_id)))
        .order_by(Registration.roster_revision.desc(), Registration.id.desc())
        .limit(limit)
    )
    return _read_texts(session, statement, {})


def find_by_entries(
    session: Session, event_id: int, wanted: Wanted, words: Sequence[str], limit: int
) -> dict[int, str]:
    """Return folded names and addresses by registration id whose entries hold what is wanted, and their text the words.

    Unsorted, at most `limit`. The entries lead and the registrations follow, so it ends as soon as enough are found.
    """
    if session.get_bind().dialect.name == "postgresql":
        # Unless it is told, PostgreSQL may think that reading all entries comes cheaper, by processes of their own.
        session.execute(
            select(
                func.set_config("enable_seqscan", "off", True),
                func.set_config("max_parallel_workers_per_gather", "0", True),
            )
        )
    likes, values = _likes(words)
    statement = (
        f"SELECT r.id, r.search_text FROM search_grams AS g CROSS JOIN registrations AS r "
        f"WHERE {_entry_condition(session, event_id, wanted)} AND r.id = g.{_id_column(session)} "
        f"AND r.event_id = :event_id{likes} LIMIT :limit"
    )
    return _read_texts(session, text(statement), values | {"event_id": event_id, "limit": limit})


def _escaped(word: str) -> str:
    return word.replace("/", "//").replace("%", "/%").replace("_", "/_")


def _id_column(session: Session) -> str:
    return "registration_id" if session.get_bind().dialect.name == "postgresql" else "rowid"


def _entry_condition(session: Session, event_id: int, wanted: Wanted) -> str:
    """Return SQL that tells whether an entry holds what is wanted; it is made of numbers only."""
    ways = [sorted({gram(event_id, each) for each in way}) for way in wanted]
    if session.get_bind().dialect.name == "postgresql":
        return "(" + " OR ".join(f"grams @> ARRAY[{','.join(map(str, way))}]" for way in ways) + ")"
    joined = " OR ".join(f"({' AND '.join(f'{number:06x}' for number in way)})" for way in ways)
    return f"search_grams MATCH '{joined}'"


def holds_words(session: Session, event_id: int, typed: str) -> list[ColumnElement[bool]]:
    """Return the conditions that a registration of an event holds every word, for a query that wants all of them."""
    words = fold(typed).split()
    conditions = _holds(words)
    mark = find_mark(session, event_id)
    if mark is not None and words and all(len(word) >= GRAM for word in words):
        by_entry = text(
            f"registrations.id IN (SELECT {_id_column(session)} FROM search_grams "
            f"WHERE {_entry_condition(session, event_id, [_all_fragments(words)])})"
        )
        behind = select(Registration.id).where(is_behind(event_id, mark))
        conditions.append(Registration.id.in_(behind) | by_entry)
    return conditions
