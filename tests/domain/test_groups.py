"""A group of commands does what they would do one after the other, wherever the groups are cut."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import update
from sqlalchemy.orm import Session

from meetup.domain import (
    audit,
    check_in,
    events,
    gates,
    registration,
    registration_changes,
    tickets,
    verification,
    walk_ins,
)
from meetup.domain.check_in import ScanAnswer, ScanCommand
from meetup.domain.door_desk import DoorDesk, ScanRequest
from meetup.domain.events import EventDetails
from meetup.domain.mail_limits import MailLimit
from meetup.domain.recount import find_differences
from meetup.domain.registration import Registered, SeatCommand, SeatRequest
from meetup.domain.registration_changes import Cancellation
from meetup.domain.waiting_room import Admission
from meetup.domain.walk_ins import WalkIn
from meetup.errors import Refusal
from meetup.site import current_site
from meetup.storage import registrations
from meetup.storage.db import db, transaction
from meetup.storage.events import Event, get_event
from meetup.storage.registrations import Registration
from meetup.storage.scans import Direction
from meetup.text_input import parse_email
from meetup.ticket_code import hash_token
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
from tests.factories import MadeDevice, World

NOW = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)
SLUGS = ("evening", "matinee")
THREE_AN_HOUR = (MailLimit(3, 3600),)
# The fixtures are made once and every example leaves the database as it was.
SHARED = settings(
    max_examples=25,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
FIRST_FIND = settings(SHARED, max_examples=1000, phases=[Phase.generate], report_multiple_bugs=False)
sizes = st.lists(st.integers(1, 4), max_size=6)
maybe = st.booleans()
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


some_rules = st.builds(
    Rules,
    capacity=st.sampled_from([None, 2, 3, 4, 5, 6, 8]),
    has_waitlist=st.sampled_from([True, True, True, False]),
    is_passing_over=st.sampled_from([False, False, True]),
    guests=st.sampled_from([2, 3, 3]),
    opens_in_hours=st.sampled_from([-1] * 7 + [1]),
)


@pytest.fixture
def evenings(app: Flask, world: World, session: Session) -> World:
    for slug in SLUGS:
        world.event(slug)
    session.rollback()
    return world


def event_id(slug: str) -> int:
    found = get_event(db.session(), slug).id
    db.session.rollback()
    return found


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


def change(session: Session, id: int, **values: Any) -> None:
    session.execute(update(Registration).where(Registration.id == id).values(**values))


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


# Scanning


@dataclass
class Door:
    """What can be shown at the doors of both evenings."""

    devices: dict[str, MadeDevice] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)
    public_ids: dict[str, str] = field(default_factory=dict)


@pytest.fixture
def door(evenings: World, session: Session) -> Door:
    world, door = evenings, Door()
    with transaction() as writing:
        Rules(guests=3, opens_in_hours=-24).apply(writing)
    door.devices = {
        "north": world.device(gate="North"),
        "south": world.device(gate="South"),
        "supervisor": world.device(gate="North", is_supervisor=True),
        "revoked": world.device(gate="South"),
        "other": world.device("matinee"),
    }
    for name, guests in (("one", 0), ("pair", 1), ("party", 2), ("cancelled", 1), ("reissued", 0)):
        made = world.register(email=f"{name}@example.org", guests=guests)
        door.codes |= {name: made.code, f"{name} short": made.short_code.lower()}
        door.public_ids[name] = made.public_id
    door.codes |= {
        "other": world.register("matinee").code,
        "forged": door.codes["one"][:-4] + "AAAA",
        "nothing": "no code \x00 at all",
        "unknown short": "ZZZZ-ZZZZ",
    }
    door.public_ids["nobody"] = "nobody"
    with transaction() as writing:
        set_up_door(writing, door)
    return door


def set_up_door(session: Session, door: Door) -> None:
    event = get_event(session, "evening")
    gates.revoke_device(session, event, door.devices["revoked"].public_id, audit.SYSTEM, NOW)
    by_name = {name: found(session, event, id) for name, id in door.public_ids.items() if name != "nobody"}
    registration_changes.cancel(session, event, by_name["cancelled"], NOW)
    tickets.reissue(session, event, by_name["reissued"], audit.SYSTEM, NOW)
    person = WalkIn("Wanda Walker", parse_email("wanda@example.org"), "en")
    waiting = walk_ins.wait_at_door(session, event, person, NOW)
    face = tickets.get_face(session, event, waiting, current_site().vault)
    door.codes |= {"waiting": face.code, "waiting short": face.short_code}
    door.public_ids["waiting"] = waiting.public_id


def found(session: Session, event: Event, public_id: str) -> Registration:
    registration = registrations.find_by_public_id(session, event.id, public_id)
    assert registration is not None
    return registration


@dataclass(frozen=True)
class Showing:
    """Somebody shows something at a gate; `by` names the device, `what` a code, or a person of the search."""

    by: str
    what: str
    is_person: bool
    scan_id: int | None
    direction: Direction
    people: int | None
    override: str | None
    is_admitting_waiting: bool

    def command(self, door: Door, number: int) -> ScanCommand:
        name = self.what if self.what in door.codes or self.is_person else "one"
        id = uuid.UUID(int=1000 + number if self.scan_id is None else self.scan_id)
        request = ScanRequest(
            scan_id=str(id),
            code=None if self.is_person else door.codes[name],
            registration_id=door.public_ids.get(name, "nobody") if self.is_person else None,
            direction=self.direction,
            scanned_at=NOW - timedelta(seconds=number),
            people=self.people,
            override=self.override,
            is_admitting_waiting=self.is_admitting_waiting,
        )
        return ScanCommand(hash_token(door.devices[self.by].token), request)


COMMON = ["one", "pair", "party", "party", "pair short", "waiting"]
RARE = ["cancelled", "reissued", "other", "forged", "nothing", "unknown short"]
usual_showings = st.builds(
    Showing,
    by=st.sampled_from(["north", "north", "south", "south", "supervisor", "other", "revoked"]),
    what=st.sampled_from(COMMON * 2 + RARE),
    is_person=st.sampled_from([False, False, True]),
    scan_id=st.none() | st.integers(0, 3),
    direction=st.sampled_from([Direction.IN, Direction.IN, Direction.OUT]),
    people=st.sampled_from([None, None, 1, 2]),
    override=st.none(),
    is_admitting_waiting=st.just(False),
)
special_showings = st.builds(
    Showing,
    by=st.sampled_from(["north", "supervisor", "supervisor", "other"]),
    what=st.sampled_from([*COMMON, "waiting", "waiting", "cancelled"]),
    is_person=maybe,
    scan_id=st.none() | st.integers(0, 3),
    direction=st.just(Direction.IN),
    people=st.none(),
    override=st.sampled_from([None, "The speaker’s family"]),
    is_admitting_waiting=maybe,
)
showings = st.lists(usual_showings, min_size=1, max_size=12) | st.lists(
    usual_showings | special_showings, min_size=1, max_size=12
)
door_rules = st.builds(
    Rules,
    capacity=st.sampled_from([None, 20, 7]),
    guests=st.just(3),
    has_re_entry=maybe,
    venue_limit=st.none() | st.integers(0, 7),
    doors_open_in_hours=st.sampled_from([-1, -1, -1, -1, 1]),
)


def scan_all(session: Session, commands: Sequence[ScanCommand]) -> Any:
    return check_in.carry_out(session, commands, current_site().vault, NOW)


def check_scanning(door: Door, rules: Rules, asked: list[Showing], cut: list[int], gone: str | None) -> None:
    """Scan in groups; `gone` is cancelled by the organiser half-way, wherever they are then."""
    commands = [each.command(door, number) for number, each in enumerate(asked)]
    half = len(commands) // 2
    runs = []
    for first, second in zip(cuts_of(half, cut), cuts_of(len(commands) - half, cut), strict=True):
        with undone() as session:
            rules.apply(session)
            known, since = look(session), revisions(session)
            outcomes: list[ScanAnswer | Refusal] = carry_out_in_groups(session, scan_all, commands[:half], first)
            if gone is not None:
                event = get_event(session, "evening")
                person = found(session, event, door.public_ids[gone])
                registration_changes.cancel_for_organiser(session, event, person, audit.SYSTEM, NOW)
            outcomes += carry_out_in_groups(session, scan_all, commands[half:], second)
            runs.append((answered(session, outcomes), written(session)))
            assert unread_changes(session, known, since) == []
            assert find_differences(session) == []
    assert runs[1:] == runs[:-1]


@SHARED
@given(rules=door_rules, asked=showings, cut=sizes, gone=st.sampled_from([None, None, "party", "one"]))
def test_scanning_is_the_same_in_any_groups(
    door: Door, rules: Rules, asked: list[Showing], cut: list[int], gone: str | None
) -> None:
    check_scanning(door, rules, asked, cut, gone)


@pytest.mark.parametrize("forgotten", ["inside", "entries", "arrived_at_gates"])
def test_desk_that_forgets_what_its_group_did_is_found(
    door: Door, forgotten: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The controls: how full the venue is, where somebody came in, and how many came at which gate."""
    serve = DoorDesk.serve

    def forgetful(desk: DoorDesk, reading: Any) -> Any:
        if forgotten == "inside":
            desk.inside = desk.held.inside
        else:
            getattr(desk, forgotten).clear()
        return serve(desk, reading)

    monkeypatch.setattr(DoorDesk, "serve", forgetful)

    def check(rules: Rules, asked: list[Showing], cut: list[int]) -> None:
        check_scanning(door, rules, asked, cut, None)

    wrong = FIRST_FIND(given(rules=door_rules, asked=showings, cut=sizes)(check))

    with pytest.raises(AssertionError):
        wrong()


def test_somebody_whose_seat_was_cancelled_while_they_were_inside_can_check_out(door: Door, session: Session) -> None:
    def show(direction: Direction) -> Showing:
        return Showing("north", "party", False, None, direction, None, None, False)

    with undone() as writing:
        Rules(guests=3).apply(writing)
        shown = [show(Direction.IN).command(door, 0), show(Direction.OUT).command(door, 1)]
        carry_out_in_groups(writing, scan_all, shown[:1], [1])
        event = get_event(writing, "evening")
        person = found(writing, event, door.public_ids["party"])
        registration_changes.cancel_for_organiser(writing, event, person, audit.SYSTEM, NOW)

        (answer,) = carry_out_in_groups(writing, scan_all, shown[1:], [1])

        assert isinstance(answer, ScanAnswer)
        assert (answer.verdict.outcome, answer.numbers.inside) == ("admitted", 0)
        assert find_differences(writing) == []
