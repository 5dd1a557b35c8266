"""A group of scans is decided as if they had come one after the other, wherever the groups are cut."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from meetup.domain import (
    audit,
    check_in,
    gates,
    registration_changes,
    tickets,
    walk_ins,
)
from meetup.domain.check_in import ScanAnswer, ScanCommand
from meetup.domain.door_desk import DoorDesk, ScanRequest
from meetup.domain.recount import find_differences
from meetup.domain.walk_ins import WalkIn
from meetup.errors import Refusal
from meetup.site import current_site
from meetup.storage import registrations
from meetup.storage.db import transaction
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
from tests.domain.evenings import FIRST_FIND, NOW, SHARED, Rules, maybe, sizes
from tests.factories import MadeDevice, World


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
