"""What every visitor of an event reads, kept for a second in this process: the event, and its page in each language.

In a rush thousands ask for the same page between two changes of it. What is a second old is shown as it was; seats are
given by what the database says.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from flask import Flask, current_app

from meetup.errors import NotFound
from meetup.storage import events
from meetup.storage.db import db
from meetup.storage.events import Event

KEPT_SECONDS = 1.0
# More than any site has open at once; beyond it everything is read anew.
MOST_KEPT = 500
EXTENSION = "turnout_event_cache"


@dataclass(frozen=True)
class CachedPage:
    """A page as it is sent, and the mark by which a browser knows that it has it."""

    body: bytes
    etag: str


@dataclass
class EventCache:
    """Events by slug and pages by slug and language, each with the moment at which it is too old."""

    events: dict[str, tuple[float, Event]] = field(default_factory=dict)
    pages: dict[tuple[str, str], tuple[float, CachedPage]] = field(default_factory=dict)

    def clear(self) -> None:
        """Forget everything."""
        self.events.clear()
        self.pages.clear()


def get_cache(app: Flask) -> EventCache:
    """Return the cache of an application."""
    cache: EventCache = app.extensions.setdefault(EXTENSION, EventCache())
    return cache


def forget_all() -> None:
    """Read everything anew in this process, after a change that its maker wants to see at once."""
    get_cache(current_app).clear()


def get_published_event(slug: str) -> Event:
    """Return an event that the public may see, as it was at most a second ago, apart from any session.

    Raises NotFound.
    """
    cache = get_cache(current_app)
    now = time.monotonic()
    kept = cache.events.get(slug)
    if kept is not None and kept[0] > now:
        return kept[1]
    session = db.session()
    event = events.get_event(session, slug)
    if not event.is_published:
        raise NotFound
    session.expunge(event)
    if len(cache.events) >= MOST_KEPT:
        cache.clear()
    cache.events[slug] = (now + KEPT_SECONDS, event)
    return event


def get_page(slug: str, language: str, render: Callable[[], str]) -> CachedPage:
    """Return an event's page in a language, as it was at most a second ago."""
    cache = get_cache(current_app)
    now = time.monotonic()
    kept = cache.pages.get((slug, language))
    if kept is not None and kept[0] > now:
        return kept[1]
    body = render().encode()
    page = CachedPage(body, hashlib.sha256(body).hexdigest()[:32])
    cache.pages[slug, language] = (now + KEPT_SECONDS, page)
    return page
