"""Two events, set up in every way that matters to those who register, cancel and come, for the tests of groups."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from sqlalchemy import update
from sqlalchemy.orm import Session

from meetup.domain import (
    audit,
    events,
)
from meetup.domain.events import EventDetails
from meetup.domain.mail_limits import MailLimit
from meetup.storage.db import db
from meetup.storage.events import get_event
from meetup.storage.registrations import Registration

NOW = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)
SLUGS = ("evening", "matinee")
THREE_AN_HOUR = (MailLimit(3, 3600),)
# The fixtures are made once and every example leaves the database as it was.
SHARED = settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
FIRST_FIND = settings(SHARED, max_examples=1000, derandomize=True, phases=[Phase.generate], report_multiple_bugs=False)
sizes = st.lists(st.integers(1, 4), max_size=6)
maybe = st.booleans()
_moments = count(1)
some_limits = st.sampled_from([THREE_AN_HOUR, (MailLimit(1, 3600),), ()])


@dataclass(frozen=True)
class Rules:
    """How both events are set up."""

    capacity: int | None = None
    has_waitlist: bool = True
    is_passing_over: bool = False
    guests: int = 2
    opens_in_hours: int = -1
    has_re_entry: bool = True
    venue_limit: int | None = None
    doors_open_in_hours: int = -1

    def apply(self, session: Session) -> None:
        for slug in SLUGS:
            event = get_event(session, slug)
            details = EventDetails(
                title=event.title,
                starts_at=NOW + timedelta(hours=4),
                timezone="Europe/Paris",
                capacity=self.capacity,
                has_waitlist=self.has_waitlist,
                is_passing_over=self.is_passing_over,
                guests=self.guests,
                opens_at=NOW + timedelta(hours=self.opens_in_hours),
                has_re_entry=self.has_re_entry,
                venue_limit=self.venue_limit,
                doors_open_at=NOW + timedelta(hours=self.doors_open_in_hours),
            )
            events.update_event(session, event, details, audit.SYSTEM, NOW)
            # No two states of an event have the same mark, though one of them is undone.
            event.updated_at = NOW + timedelta(microseconds=next(_moments))
            session.flush()


some_rules = st.builds(
    Rules,
    capacity=st.sampled_from([None, 2, 3, 4, 5, 6, 8]),
    has_waitlist=st.sampled_from([True, True, True, False]),
    is_passing_over=st.sampled_from([False, False, True]),
    guests=st.sampled_from([2, 3, 3]),
    opens_in_hours=st.sampled_from([-1] * 7 + [1]),
)


def event_id(slug: str) -> int:
    found = get_event(db.session(), slug).id
    db.session.rollback()
    return found


def change(session: Session, id: int, **values: Any) -> None:
    session.execute(update(Registration).where(Registration.id == id).values(**values))
