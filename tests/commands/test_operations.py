"""db upgrade, settings, doctor, worker and demo."""

import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import update
from sqlalchemy.orm import Session

from meetup import create_app, demo
from meetup.clock import utc_now
from meetup.config import SETTINGS
from meetup.domain.recount import find_differences
from meetup.key_vault import KeyVault
from meetup.storage import outbox
from meetup.storage.counters import SeatCounter
from meetup.storage.db import db, transaction
from meetup.storage.events import get_event
from meetup.storage.outbox import OutboxMessage
from meetup.worker import SEEN_NOTE
from tests.commands.terminal import refusal, report, run
from tests.databases import settings
from tests.factories import World


@pytest.fixture
def own_signals() -> Iterator[None]:
    """Give back the signals that the worker listens to."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def test_database_is_brought_to_the_newest_schema_however_often(tmp_path: Path) -> None:
    app = create_app(settings(tmp_path / "new"))
    assert app.test_client().get("/readyz").status_code == 503

    first = run(app, "db", "upgrade")
    second = run(app, "db", "upgrade")

    assert list(first) == ["revision"]
    assert first == second
    assert app.test_client().get("/readyz").status_code == 200
    with app.app_context():
        db.engine.dispose()


def test_settings_are_listed_without_secrets(tmp_path: Path) -> None:
    secrets = {
        "SECRET_KEY": "0f6a8c2e9b1d47f3a5c8e0d2b4f69a17-secret",
        "MAIL_URL": "smtp://me:hush-mail@mail.example.org",
        "METRICS_TOKEN": "hush-metrics",
        "DATABASE_URL": f"sqlite:///{tmp_path}/hush.sqlite",
    }
    app = create_app(settings(tmp_path, **secrets, LIMIT_REGISTER_PER_IP="7 per hour"))

    listed = run(app, "settings")

    assert list(listed) == [setting.name for setting in SETTINGS]
    assert all(set(each) == {"meaning", "unit", "default", "value"} for each in listed.values())
    assert listed["LIMIT_REGISTER_PER_IP"]["value"] == "7 per hour"
    assert listed["LIMIT_REGISTER_PER_IP"]["default"] == "600 per 10 minutes"
    assert {listed[name]["value"] for name in secrets} == {"(not shown)"}
    assert "hush" not in str(listed)
    assert "-secret'" not in str(listed)


def troubles(app: Flask) -> dict[str, str]:
    """Return what the doctor finds wrong, by check; its exit code must agree."""
    code, found = report(app, "doctor")
    wrong = {name: check["words"] for name, check in found["checks"].items() if not check["ok"]}
    assert (code, found["ok"]) == ((1, False) if wrong else (0, True))
    assert list(found["checks"]) == (
        "database counters redis mail clock secrets durability disk search proxies".split()
    )
    return wrong


def test_doctor_finds_a_healthy_site_well(app: Flask, world: World) -> None:
    world.event()
    assert troubles(app) == {}


def test_doctor_sees_a_counter_that_is_wrong(app: Flask, world: World) -> None:
    world.event()
    with app.app_context(), transaction() as session:
        session.execute(update(SeatCounter).values(confirmed=7))

    assert troubles(app) == {"counters": "Counters differ from a recount: event 1: confirmed is 7, recounted 0"}


def test_doctor_sees_another_secret(app: Flask, world: World) -> None:
    world.event()
    app.extensions["turnout"] = replace(app.extensions["turnout"], vault=KeyVault("another secret"))

    words = "SECRET_KEY is not the one with which the events' keys were stored. Set the former one."
    assert troubles(app) == {"secrets": words}


def test_doctor_sees_mails_that_nobody_sends(app: Flask, world: World, own_signals: None) -> None:
    world.event()
    world.register()
    words = "Mails are due and no worker has been seen for a minute. Run: flask --app app worker"
    assert troubles(app) == {"mail": words}

    assert run(app, "worker", "--once") == {"sent": 1, "failed": 0, "retried": 0, "seated": 0}
    assert troubles(app) == {}

    world.register()
    assert troubles(app) == {}
    with app.app_context(), transaction() as session:
        outbox.write_note(session, SEEN_NOTE, "", utc_now() - timedelta(minutes=2))
    assert troubles(app) == {"mail": words}


def test_doctor_sees_a_server_that_refuses_us(app: Flask) -> None:
    with app.app_context(), transaction() as session:
        outbox.write_note(session, "mail_stopped", "535 5.7.8 no", utc_now())

    assert troubles(app) == {"mail": "The mail server refuses us: 535 5.7.8 no. Check MAIL_URL and MAIL_FROM."}


def test_doctor_sees_a_database_without_tables(tmp_path: Path) -> None:
    app = create_app(settings(tmp_path / "new"))

    wrong = troubles(app)

    assert wrong["database"].startswith("The schema is at None, the code needs ")
    assert wrong["database"].endswith(". Run: flask --app app db upgrade")
    with app.app_context():
        db.engine.dispose()


def test_worker_that_cannot_send_is_refused(tmp_path: Path) -> None:
    app = create_app(settings(tmp_path, MAIL_URL="http://me:hush@x.org"))

    assert refusal(app, "worker", "--once") == (
        "MAIL_URL cannot be used: a mail URL starts with smtp://, smtps:// or file:/// and names a host or a folder"
    )


@pytest.fixture
def small_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "PEOPLE", 60)
    monkeypatch.setattr(demo, "ARRIVED", 30)


def test_demo_is_made_once_and_shown_again(app: Flask, session: Session, small_demo: None) -> None:
    first = run(app, "demo")
    second = run(app, "demo")

    assert list(first) == ["event_url", "door_url", "live_url", "sign_in_url", "email", "password"]
    assert first["door_url"] != second["door_url"]
    assert {**first, "door_url": ""} == {**second, "door_url": ""}
    seats = session.get_one(SeatCounter, get_event(session, demo.SLUG).id)
    assert seats.confirmed >= 60
    assert find_differences(session) == []
    assert set(session.query(OutboxMessage.state).distinct()) == {("held",)}


def test_demo_can_be_walked_through(app: Flask, small_demo: None) -> None:
    shown = {name: value.removeprefix("http://localhost") for name, value in run(app, "demo").items()}
    organiser, phone = app.test_client(), app.test_client()

    signed_in = organiser.post(shown["sign_in_url"], data={"email": shown["email"], "password": shown["password"]})

    assert signed_in.status_code == 303
    assert organiser.get(shown["live_url"]).status_code == 200
    assert phone.post(shown["door_url"]).status_code == 303
    assert phone.get("/door").status_code == 200
    assert "Woodstock of AI" in phone.get(shown["event_url"]).text


def test_demo_whose_account_exists_is_refused(app: Flask, world: World) -> None:
    world.organiser(demo.EMAIL)

    assert refusal(app, "demo") == "account_exists"
