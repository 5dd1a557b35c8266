"""Keeping the search index near behind the registrations (rules 7.2)."""

from sqlalchemy.orm import Session

from meetup.storage import search_entries
from meetup.storage.search_entries import LEAST_BEHIND, Step


class Indexer:
    """One process that fills the index; it remembers which events had nothing to do when it last looked."""

    def __init__(self) -> None:
        self._has_index: bool | None = None
        self._looked_at: dict[int, int] = {}

    def list_behind(self, session: Session) -> list[int]:
        """Return the ids of events of which so many registrations have changed that a step is worth its while."""
        if self._has_index is None:
            self._has_index = search_entries.has_index(session)
        if not self._has_index:
            return []
        behind = []
        for event_id, revision in search_entries.list_roster_revisions(session).items():
            if self._looked_at.get(event_id) == revision:
                continue
            if search_entries.count_behind(session, event_id, LEAST_BEHIND) == LEAST_BEHIND:
                behind.append(event_id)
            else:
                self._looked_at[event_id] = revision
        return behind


def read_step(session: Session, event_id: int) -> Step | None:
    """Return the next entries of an event, some hundred at most: the slow part, for which nothing is locked."""
    return search_entries.read_step(session, event_id)


def write_step(session: Session, step: Step) -> bool:
    """Write the entries of a step; False when another process has done so meanwhile."""
    return search_entries.write_step(session, step)


def list_events(session: Session) -> list[int]:
    """Return the ids of all events, for who wants the index complete; none where the database can hold no index."""
    return list(search_entries.list_roster_revisions(session)) if search_entries.has_index(session) else []


def rebuild(session: Session) -> None:
    """Throw the index away, so that the steps make it anew."""
    search_entries.forget_all(session)
