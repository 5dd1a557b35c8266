"""The door: check-in, check-out and undo (rules 4.1 to 4.11)."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from meetup import ticket_code
from meetup.clock import utc_now
from meetup.domain.recount import find_differences
from meetup.storage.db import transaction
from meetup.storage.events import get_event
from meetup.storage.scans import Device, find_scan
from tests.factories import MadeDevice, MadeTicket, World, bearer


def verdict(response: Any) -> tuple[str, str | None]:
    assert response.status_code == 200, response.data
    return response.json["outcome"], response.json["reason"]


@pytest.fixture
def environ() -> dict[str, str]:
    return {"LIMIT_SCANS_PER_DEVICE": "1000 per second"}


@pytest.fixture
def device(world: World) -> MadeDevice:
    world.event(guests=3)
    return world.device()


@pytest.fixture
def ticket(world: World, device: MadeDevice) -> MadeTicket:
    return world.register()


def test_scan_admits_and_counts(world: World, device: MadeDevice, ticket: MadeTicket, session: Session) -> None:
    response = world.scan(device, ticket.code)

    assert verdict(response) == ("admitted", None)
    assert response.json is not None
    assert response.json["attendee"] == {
        "id": ticket.public_id,
        "name": "Ada Lovelace",
        "party": 1,
        "admitted": 1,
        "ticket_type": "General",
        "note": None,
    }
    assert response.json["headcount"] == {"inside": 1, "arrived": 1, "confirmed": 1, "venue_limit": None}
    assert find_differences(session) == []


def test_scan_again_says_when_where_and_by_which_device(world: World, device: MadeDevice, ticket: MadeTicket) -> None:
    world.scan(device, ticket.code)
    south = world.device(gate="South")

    response = world.scan(south, ticket.code)

    assert verdict(response) == ("refused", "already_in")
    assert response.json is not None
    assert response.json["first"]["gate"] == "North"
    assert response.json["first"]["device"] == "Phone 1"
    assert response.json["headcount"]["inside"] == 1


@pytest.mark.parametrize("spelling", [str.lower, lambda code: code.replace("-", ""), lambda code: f" {code} "])
def test_scan_takes_the_short_code_however_it_is_typed(
    world: World, device: MadeDevice, ticket: MadeTicket, spelling: Any
) -> None:
    assert verdict(world.scan(device, spelling(ticket.short_code))) == ("admitted", None)


def test_scan_takes_a_registration_after_a_search(world: World, device: MadeDevice, ticket: MadeTicket) -> None:
    response = world.scan(device, None, registration_id=ticket.public_id)

    assert verdict(response) == ("admitted", None)


def test_scan_admits_all_of_a_party_that_are_left(world: World, device: MadeDevice, session: Session) -> None:
    party = world.register(guests=3)

    part = world.scan(device, party.code, people=1)
    rest = world.scan(device, party.code)
    late = world.scan(device, party.code)

    assert [verdict(each) for each in (part, rest, late)] == [
        ("admitted", None),
        ("admitted", None),
        ("refused", "already_in"),
    ]
    assert [each.json["attendee"]["admitted"] for each in (part, rest, late) if each.json] == [1, 4, 4]
    assert world.headcount(device)["arrived"] == 4
    assert find_differences(session) == []


def test_scan_of_more_than_are_left_admits_those_who_are(world: World, device: MadeDevice, session: Session) -> None:
    party = world.register(guests=2)
    world.scan(device, party.code, people=2)

    response = world.scan(device, party.code, people=3)

    assert verdict(response) == ("admitted", None)
    assert world.headcount(device)["inside"] == 3
    assert find_differences(session) == []


def test_every_changed_character_of_a_code_is_refused(world: World, device: MadeDevice, ticket: MadeTicket) -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    seen = set()
    for position in range(3, len(ticket.code), 4):
        for letter in (alphabet[0], alphabet[1]):
            if ticket.code[position] != letter:
                changed = ticket.code[:position] + letter + ticket.code[position + 1 :]
                seen.add(verdict(world.scan(device, changed)))

    assert seen == {("refused", "bad_signature"), ("refused", "wrong_event")}
    assert world.headcount(device)["inside"] == 0


def test_scan_of_spare_bits_in_the_last_character_is_refused(
    world: World, device: MadeDevice, ticket: MadeTicket
) -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    spare = alphabet[alphabet.index(ticket.code[-1]) + 1]

    assert verdict(world.scan(device, ticket.code[:-1] + spare)) == ("refused", "bad_signature")


def test_scan_at_another_event_is_refused(world: World, device: MadeDevice) -> None:
    world.event("other")
    foreign = world.register("other")

    assert verdict(world.scan(device, foreign.code)) == ("refused", "wrong_event")


def test_scan_of_a_signed_code_without_registration_is_unknown(world: World, device: MadeDevice) -> None:
    with world.app.app_context():
        from meetup.site import current_site
        from meetup.storage.db import db
        from meetup.storage.events import get_event_key

        event = get_event(db.session(), "evening")
        key = current_site().vault.open(get_event_key(db.session(), event.id).encrypted_private_key)
        code = ticket_code.pack(event.event_number, ticket_code.new_secret(), key)

    assert verdict(world.scan(device, code)) == ("refused", "unknown")


@pytest.mark.parametrize("text", ["hello", "M1:", "M1:AAAA", "https://example.org/t/1", "\ud800\x00", "x" * 5000, "☃"])
def test_scan_of_a_strange_text_is_unknown_and_kept_safely(
    world: World, device: MadeDevice, session: Session, text: str
) -> None:
    scan_id = str(uuid.uuid4())

    assert verdict(world.scan(device, text, scan_id=scan_id)) == ("refused", "unknown")

    stored = find_scan(session, get_event(session, "evening").id, scan_id)
    assert stored is not None
    assert stored.code_text is not None
    assert len(stored.code_text) <= 200


def test_scan_of_a_cancelled_ticket(world: World, device: MadeDevice, ticket: MadeTicket) -> None:
    world.cancel(ticket)

    assert verdict(world.scan(device, ticket.code)) == ("refused", "cancelled")


def test_scan_of_somebody_on_the_waitlist(world: World) -> None:
    world.event("small", capacity=1)
    world.register("small")
    waiting = world.register("small")

    assert verdict(world.scan(world.device("small"), waiting.code)) == ("refused", "not_confirmed")


@pytest.mark.parametrize(
    ("doors", "reason"),
    [
        ({"doors_open_at": timedelta(hours=1)}, "too_early"),
        ({"doors_close_at": timedelta(hours=-1)}, "closed"),
        ({"doors_open_at": timedelta(hours=-1), "doors_close_at": timedelta(hours=1)}, None),
    ],
)
def test_scan_outside_the_hours_of_the_doors(world: World, doors: dict[str, timedelta], reason: str | None) -> None:
    hours: dict[str, Any] = {name: utc_now() + distance for name, distance in doors.items()}
    world.event("timed", **hours)
    ticket = world.register("timed")

    assert verdict(world.scan(world.device("timed"), ticket.code))[1] == reason


def test_scan_is_judged_at_the_servers_time(world: World, device: MadeDevice, ticket: MadeTicket) -> None:
    response = world.scan(device, ticket.code, scanned_at="2001-01-01T00:00:00Z")

    assert verdict(response) == ("admitted", None)
    again = world.scan(device, ticket.code)
    assert again.json is not None
    assert again.json["first"]["scanned_at"].startswith(str(utc_now().year))


def test_venue_limit_is_a_hard_stop_until_somebody_leaves(world: World, session: Session) -> None:
    world.event("hall", venue_limit=2, guests=3)
    device = world.device("hall")
    inside, alone, party = world.register("hall"), world.register("hall"), world.register("hall", guests=1)
    world.scan(device, inside.code)

    assert verdict(world.scan(device, party.code)) == ("refused", "venue_full")
    assert verdict(world.scan(device, alone.code)) == ("admitted", None)
    assert verdict(world.scan(device, party.code, people=1)) == ("refused", "venue_full")
    assert verdict(world.scan(device, inside.code, direction="out")) == ("admitted", None)
    assert verdict(world.scan(device, party.code, people=1)) == ("admitted", None)
    assert find_differences(session) == []


def test_check_out_and_in_again_counts_one_arrival(
    world: World, device: MadeDevice, ticket: MadeTicket, session: Session
) -> None:
    world.scan(device, ticket.code)
    world.scan(device, ticket.code, direction="out")
    assert world.headcount(device)["inside"] == 0

    world.scan(device, ticket.code)

    count = world.headcount(device)
    assert (count["inside"], count["arrived"]) == (1, 1)
    assert find_differences(session) == []


def test_check_out_of_somebody_who_is_not_inside(world: World, device: MadeDevice, ticket: MadeTicket) -> None:
    assert verdict(world.scan(device, ticket.code, direction="out")) == ("refused", "not_inside")


def test_the_same_scan_id_gets_its_first_answer_after_everything(
    world: World, device: MadeDevice, ticket: MadeTicket
) -> None:
    scan_id = str(uuid.uuid4())
    first = world.scan(device, ticket.code, scan_id=scan_id).json
    refused_id = str(uuid.uuid4())
    refused = world.scan(device, ticket.code, scan_id=refused_id).json
    world.app.test_client().delete(f"/api/v1/scans/{scan_id}", headers=bearer(device.token))
    world.cancel(ticket)

    again = world.scan(device, ticket.code, scan_id=scan_id).json
    refused_again = world.scan(device, ticket.code, scan_id=refused_id).json

    assert first is not None and again is not None and refused is not None and refused_again is not None
    for name in ("outcome", "reason", "first"):
        assert again[name] == first[name]
        assert refused_again[name] == refused[name]
    assert world.headcount(device)["refused"] == 1


def test_the_same_scan_id_with_another_code_is_refused(world: World, device: MadeDevice, ticket: MadeTicket) -> None:
    scan_id = str(uuid.uuid4())
    world.scan(device, ticket.code, scan_id=scan_id)

    response = world.scan(device, world.register().code, scan_id=scan_id)

    assert response.status_code == 422
    assert response.json is not None
    assert response.json["code"] == "scan_id_mismatch"
    assert world.headcount(device)["inside"] == 1


def undo(world: World, device: MadeDevice, scan_id: str) -> Any:
    return world.app.test_client().delete(f"/api/v1/scans/{scan_id}", headers=bearer(device.token))


def test_undo_takes_the_counts_back_once(
    world: World, device: MadeDevice, ticket: MadeTicket, session: Session
) -> None:
    scan_id = str(uuid.uuid4())
    world.scan(device, ticket.code, scan_id=scan_id)

    assert undo(world, device, scan_id).status_code == 200
    assert undo(world, device, scan_id).status_code == 200

    count = world.headcount(device)
    assert (count["inside"], count["arrived"], count["per_gate"][0]["arrived"]) == (0, 0, 0)
    assert verdict(world.scan(device, ticket.code)) == ("admitted", None)
    assert find_differences(session) == []


def test_undo_of_another_phones_scan_needs_a_supervisor(world: World, device: MadeDevice, ticket: MadeTicket) -> None:
    scan_id = str(uuid.uuid4())
    world.scan(device, ticket.code, scan_id=scan_id)

    assert undo(world, world.device(), scan_id).status_code == 403
    assert undo(world, world.device(is_supervisor=True), scan_id).status_code == 200


def test_undo_after_a_quarter_of_an_hour_is_too_late(
    world: World, device: MadeDevice, ticket: MadeTicket, session: Session
) -> None:
    scan_id = str(uuid.uuid4())
    world.scan(device, ticket.code, scan_id=scan_id)
    with transaction() as inner:
        stored = find_scan(inner, get_event(inner, "evening").id, scan_id)
        assert stored is not None
        stored.received_at -= timedelta(minutes=16)
        inner.flush()

    response = undo(world, device, scan_id)

    assert (response.status_code, response.json["code"]) == (409, "too_late")
    assert world.headcount(device)["inside"] == 1


def test_undo_of_a_refused_or_unknown_scan(world: World, device: MadeDevice) -> None:
    scan_id = str(uuid.uuid4())
    world.scan(device, "hello", scan_id=scan_id)

    assert undo(world, device, scan_id).status_code == 409
    assert undo(world, device, str(uuid.uuid4())).status_code == 404
    assert undo(world, device, "nonsense").status_code == 404


def test_a_revoked_device_is_nobody(world: World, device: MadeDevice, ticket: MadeTicket) -> None:
    with world.app.app_context(), transaction() as session:
        session.query(Device).one().revoked_at = utc_now()
        session.flush()

    assert world.scan(device, ticket.code).status_code == 401
