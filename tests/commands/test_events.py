"""create-event and create-device."""

import re
from datetime import UTC, datetime
from typing import Any

from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from meetup.storage import counters
from meetup.storage.events import Event, get_event
from meetup.storage.scans import Device, Gate
from tests.commands.terminal import refusal, run
from tests.factories import MadeDevice, World

STARTS_AT = "2026-11-22T18:30"


def create_event(app: Flask, **options: str) -> dict[str, Any]:
    return run(app, "create-event", *_words(options))


def refused_event(app: Flask, **options: str) -> str:
    return refusal(app, "create-event", *_words(options))


def _words(options: dict[str, str]) -> list[str]:
    wanted = {"slug": "evening", "title": "An evening", "starts_at": STARTS_AT} | options
    return [part for name, value in wanted.items() for part in (f"--{name.replace('_', '-')}", value)]


def stored(session: Session, slug: str = "evening") -> Event:
    session.rollback()
    return get_event(session, slug)


def test_event_is_published_with_its_number_and_address(app: Flask, session: Session) -> None:
    answer = create_event(app)

    event = stored(session)
    assert answer == {
        "slug": "evening",
        "event_number": event.event_number,
        "url": "http://localhost/e/evening",
    }
    assert 0 < answer["event_number"] < 2**32
    page = app.test_client().get("/e/evening")
    assert page.status_code == 200
    assert "An evening" in page.text


def test_event_takes_every_option(app: Flask, world: World, session: Session) -> None:
    world.organiser()

    create_event(
        app,
        title="  Soirée \t d’hiver ",
        ends_at="2026-11-22T23:00",
        timezone="America/New_York",
        opens_at="2026-11-01T09:00:00Z",
        closes_at="2026-11-22T12:00:00-05:00",
        doors_open_at="2026-11-22 17:30",
        doors_close_at="2026-11-22T22:00:30",
        capacity="80",
        venue_limit="100",
        guests="2",
        mode="open",
        organiser="olga@example.org",
    )

    event = stored(session)
    assert (event.title, event.timezone, event.guests, event.has_waitlist) == (
        "Soirée d’hiver",
        "America/New_York",
        2,
        True,
    )
    assert event.starts_at == datetime(2026, 11, 22, 23, 30, tzinfo=UTC)
    assert event.ends_at == datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
    assert event.opens_at == datetime(2026, 11, 1, 9, 0, tzinfo=UTC)
    assert event.closes_at == datetime(2026, 11, 22, 17, 0, tzinfo=UTC)
    assert event.doors_open_at == datetime(2026, 11, 22, 22, 30, tzinfo=UTC)
    assert event.doors_close_at == datetime(2026, 11, 23, 3, 0, 30, tzinfo=UTC)
    assert counters.get_seats(session, event.id).capacity == 80
    assert counters.get_door(session, event.id).venue_limit == 100
    assert world.signed_in().get("/organise/e/evening").status_code == 200


def test_event_without_options_has_no_limits(app: Flask, session: Session) -> None:
    create_event(app)

    event = stored(session)
    assert event.starts_at == datetime(2026, 11, 22, 17, 30, tzinfo=UTC)
    assert (event.timezone, event.guests, event.has_waitlist, event.ends_at) == ("Europe/Paris", 0, True, None)
    assert counters.get_seats(session, event.id).capacity is None
    assert counters.get_door(session, event.id).venue_limit is None


def test_event_without_waitlist_refuses_when_full(app: Flask) -> None:
    run(app, "create-event", *_words({"starts_at": "2100-01-01T18:00", "capacity": "0"}), "--no-waitlist")

    typed = {"name": "Ada", "email": "ada@example.org"}
    assert app.test_client().post("/e/evening/register", data=typed).status_code == 409


def test_event_may_lie_in_the_past(app: Flask, session: Session) -> None:
    create_event(app, starts_at="2001-01-01T18:00", ends_at="2001-01-01T22:00")

    assert stored(session).starts_at.year == 2001


IMPOSSIBLE: list[tuple[dict[str, str], str]] = [
    ({"slug": "An Evening"}, "invalid: slug (bad_slug)"),
    ({"slug": "x" * 81}, "invalid: slug (bad_slug)"),
    ({"title": " "}, "invalid: title (bad_title)"),
    ({"capacity": "-1"}, "invalid: capacity (bad_limit)"),
    ({"guests": "21"}, "invalid: guests (bad_guest_limit)"),
    ({"ends_at": STARTS_AT}, "invalid: ends_at (ends_before_start)"),
    ({"timezone": "Paris"}, "Invalid value for --timezone: unknown time zone"),
    ({"timezone": "../../etc/passwd"}, "Invalid value for --timezone: unknown time zone"),
    ({"organiser": "nobody@example.org"}, "no account has the address nobody@example.org"),
    ({"capacity": "many"}, "Invalid value for '--capacity': 'many' is not a valid integer."),
]


def test_event_that_cannot_be_is_refused(app: Flask, session: Session) -> None:
    assert [(options, refused_event(app, **options)) for options, _words in IMPOSSIBLE] == IMPOSSIBLE
    assert session.scalar(select(func.count()).select_from(Event)) == 0


def test_time_that_never_comes_is_refused(app: Flask) -> None:
    never = [
        "2026-03-29T02:30",
        "tomorrow",
        "",
        "2026-11-22",
        "2026-13-01T00:00",
        "2026-11-22T18:30:00+25:00",
        "2026-11-22T18:30:00+01",
    ]
    words = "Invalid value for --doors-open-at: write 2026-11-22T18:30 or RFC 3339"

    assert {text: refused_event(app, doors_open_at=text) for text in never} == dict.fromkeys(never, words)


def test_slug_is_taken_once(app: Flask) -> None:
    create_event(app)

    assert refused_event(app, title="Another") == "slug_taken"


def test_device_scans_with_its_token_and_makes_its_gate_once(app: Flask, world: World, session: Session) -> None:
    world.event()
    ticket = world.register()

    first = run(app, "create-device", "evening", "--gate", "North")
    second = run(app, "create-device", "evening", "--gate", " North ", "--supervisor")

    assert list(first) == ["id", "token", "pair_url"]
    device = MadeDevice(first["id"], first["token"], "")
    assert world.scan(device, ticket.code).status_code == 200
    assert world.headcount(device)["inside"] == 1
    assert list(session.scalars(select(Gate.name))) == ["North"]
    devices = session.execute(select(Device.public_id, Device.is_supervisor).order_by(Device.id)).all()
    assert [tuple(row) for row in devices] == [(first["id"], False), (second["id"], True)]


def test_pairing_link_makes_a_phone_the_same_device(app: Flask, world: World) -> None:
    world.event()
    made = run(app, "create-device", "evening", "--gate", "North")
    path = made["pair_url"].removeprefix("http://localhost")
    assert re.fullmatch(r"/door/pair/[\w-]{24}", path)
    phone = app.test_client()

    paired = phone.post(path)

    assert (paired.status_code, paired.headers["Location"]) == (303, "/door")
    assert "Phone 1" in phone.get("/door").text
    assert app.test_client().post(path).status_code == 410


def test_device_that_cannot_be_is_refused(app: Flask, world: World) -> None:
    world.event()
    wanted = {("missing", "North"): "not_found"}
    wanted |= dict.fromkeys([("evening", " "), ("evening", "x" * 81)], "invalid: name (bad_gate_name)")

    assert {key: refusal(app, "create-device", key[0], "--gate", key[1]) for key in wanted} == wanted
