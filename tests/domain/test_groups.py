"""A group of commands does what they would do one after the other, wherever the groups are cut."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from meetup.domain import (
    registration,
    registration_changes,
    verification,
)
from meetup.domain.mail_limits import MailLimit
from meetup.domain.recount import find_differences
from meetup.domain.registration import Registered, SeatCommand, SeatRequest
from meetup.domain.registration_changes import Cancellation
from meetup.domain.waiting_room import Admission
from meetup.errors import Closed, Refusal
from meetup.storage import registrations
from meetup.storage.events import get_event
from meetup.storage.registrations import State
from meetup.text_input import parse_email
from tests.domain.cuts import (
    answered,
    carry_out_in_groups,
    cuts_of,
    look,
    revisions,
    undone,
    unread_changes,
    written,
)
from tests.domain.evenings import (
    FIRST_FIND,
    NOW,
    SHARED,
    SLUGS,
    THREE_AN_HOUR,
    Rules,
    change,
    event_id,
    sizes,
    some_limits,
    some_rules,
)
from tests.factories import World

# Registering


@dataclass(frozen=True)
class Wish:
    """Somebody who wants a seat."""

    slug: str
    email: str
    guests: int
    form_key: str | None
    limits: tuple[MailLimit, ...]
    place: int | None
    held: str | None

    def command(self, ids: dict[str, int]) -> SeatCommand:
        request = SeatRequest(
            "Ada Lovelace", parse_email(self.email), self.guests, "en", self.form_key, self.limits, self.held
        )
        admission = None if self.place is None else Admission(ids[self.slug], self.place)
        return SeatCommand(ids[self.slug], request, admission)


PEOPLE = ["ada@example.org", "Ada@Example.ORG ", "grace@example.org", "alan@example.org", "known@example.org"]
MORE_PEOPLE = ["unverified@example.org", "UNVERIFIED@example.org", "gone@example.org", "mary@example.org"]
wishes = st.builds(
    Wish,
    slug=st.sampled_from(["evening", "evening", "evening", "matinee"]),
    email=st.sampled_from(PEOPLE + MORE_PEOPLE) | st.integers(0, 30).map("person{}@example.org".format),
    guests=st.sampled_from([0, 0, 0, 1, 2, 3]),
    form_key=st.sampled_from([None] * 6 + ["one", "two", "known"]),
    limits=st.sampled_from([THREE_AN_HOUR, THREE_AN_HOUR, ()]),
    place=st.sampled_from([None] * 8 + [1, 2]),
    held=st.sampled_from([None] * 8 + ["demo"]),
)


def before_registering(session: Session) -> None:
    """Let somebody be registered, somebody have cancelled, and somebody's address be typed and not answered for."""
    event = get_event(session, "evening")
    for email in ("known@example.org", "gone@example.org"):
        wanted = SeatRequest("Ada", parse_email(email), 1, "en", email.partition("@")[0])
        registration.register(session, event, wanted, NOW)
    gone = registrations.find_active_by_email(session, event.id, "gone@example.org")
    assert gone is not None
    registration_changes.cancel(session, event, gone, NOW)
    typed = SeatRequest("Eve", parse_email("unverified@example.org"), 1, "fr")
    verification.register_unverified(session, event, typed, NOW)


def register_all(session: Session, commands: Sequence[SeatCommand]) -> Any:
    return registration.carry_out(session, commands, NOW)


def check_registering(rules: Rules, asked: list[Wish], cut: list[int]) -> None:
    ids = {slug: event_id(slug) for slug in SLUGS}
    runs = []
    for each in cuts_of(len(asked), cut):
        with undone() as session:
            Rules().apply(session)
            before_registering(session)
            rules.apply(session)
            known, since = look(session), revisions(session)
            outcomes: list[Registered | Refusal] = carry_out_in_groups(
                session, register_all, [wish.command(ids) for wish in asked], each
            )
            runs.append((answered(session, outcomes), written(session)))
            assert unread_changes(session, known, since) == []
            assert find_differences(session) == []
    assert runs[1:] == runs[:-1]


@SHARED
@given(rules=some_rules, asked=st.lists(wishes, min_size=1, max_size=12), cut=sizes)
def test_registering_is_the_same_in_any_groups(
    evenings: World, rules: Rules, asked: list[Wish], cut: list[int]
) -> None:
    check_registering(rules, asked, cut)


def test_desk_that_forgets_who_of_its_group_waits_is_found(evenings: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: a free seat is given though somebody of the same group waits for more."""
    take_place = registration._Desk._take_place

    def forgetful(desk: Any, request: SeatRequest) -> Any:
        waiting, desk.waitlisted = desk.waitlisted, 0
        outcome = take_place(desk, request)
        desk.waitlisted += waiting
        return outcome

    monkeypatch.setattr(registration._Desk, "_take_place", forgetful)
    long_lists = st.lists(wishes, min_size=6, max_size=12)
    wrong = FIRST_FIND(given(rules=some_rules, asked=long_lists, cut=sizes)(check_registering))

    with pytest.raises(AssertionError):
        wrong()


def test_whoever_is_refused_leaves_an_unverified_registration_of_the_address_alone(evenings: World) -> None:
    ids = {slug: event_id(slug) for slug in SLUGS}
    with undone() as session:
        Rules().apply(session)
        before_registering(session)
        Rules(capacity=2, has_waitlist=False).apply(session)
        wish = Wish("evening", "unverified@example.org", 0, None, (), None, None)

        outcomes: list[Registered | Refusal] = carry_out_in_groups(session, register_all, [wish.command(ids)], [1])

        assert answered(session, outcomes) == [(Closed, "full", None)]
        left = registrations.find_active_by_email(session, ids["evening"], "unverified@example.org")
        assert left is not None
        assert left.state == State.UNVERIFIED
        assert find_differences(session) == []


# Registering by mail


def register_unverified(session: Session, commands: Sequence[SeatCommand]) -> Any:
    return verification.carry_out(session, commands, NOW)


@SHARED
@given(rules=some_rules, asked=st.lists(wishes, min_size=1, max_size=12), cut=sizes)
def test_registering_by_mail_is_the_same_in_any_groups(
    evenings: World, rules: Rules, asked: list[Wish], cut: list[int]
) -> None:
    ids = {slug: event_id(slug) for slug in SLUGS}
    runs = []
    for each in cuts_of(len(asked), cut):
        with undone() as session:
            Rules().apply(session)
            before_registering(session)
            rules.apply(session)
            outcomes: list[Registered | Refusal] = carry_out_in_groups(
                session, register_unverified, [wish.command(ids) for wish in asked], each
            )
            runs.append((answered(session, outcomes), written(session)))
            assert find_differences(session) == []
    assert runs[1:] == runs[:-1]


# Cancelling


def before_cancelling(session: Session, parties: list[int]) -> list[int]:
    """Register parties for both events, by turns; return the ids of the registrations."""
    made = []
    for number, guests in enumerate(parties):
        event = get_event(session, SLUGS[number % 3 == 2])
        wanted = SeatRequest("Ada", parse_email(f"p{number}@example.org"), guests, "en", None, THREE_AN_HOUR)
        made.append(registration.register(session, event, wanted, NOW).id)
    return made


def cancel_all(session: Session, commands: Sequence[Cancellation]) -> Any:
    return registration_changes.cancel_all(session, commands, NOW)


@SHARED
@given(
    rules=some_rules,
    parties=st.lists(st.sampled_from([0, 0, 1, 2, 3]), min_size=7, max_size=12),
    asked=st.lists(st.tuples(st.integers(0, 6), some_limits), max_size=9),
    cut=sizes,
)
def test_cancelling_is_the_same_in_any_groups(
    evenings: World,
    rules: Rules,
    parties: list[int],
    asked: list[tuple[int, tuple[MailLimit, ...]]],
    cut: list[int],
) -> None:
    runs = []
    for each in cuts_of(len(asked), cut):
        with undone() as session:
            Rules(capacity=6, guests=3, is_passing_over=rules.is_passing_over).apply(session)
            ids = before_cancelling(session, parties)
            change(session, ids[0], has_been_inside=True)
            Rules(capacity=5, guests=3, is_passing_over=rules.is_passing_over).apply(session)
            known, since = look(session), revisions(session)
            commands = [Cancellation(ids[number], limits) for number, limits in asked]
            outcomes: list[Refusal | None] = carry_out_in_groups(session, cancel_all, commands, each)
            runs.append((answered(session, outcomes), written(session)))
            assert unread_changes(session, known, since) == []
            assert find_differences(session) == []
    assert runs[1:] == runs[:-1]
