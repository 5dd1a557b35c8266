"""The demo event: "Woodstock of AI", with lifelike registrations and a past hour of arrivals."""

import json
import os
import random
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from meetup.clock import utc_now
from meetup.demo_names import make_people
from meetup.domain import accounts, audit, check_in, events, gates, registration
from meetup.domain.door_desk import ScanRequest
from meetup.domain.events import EventDetails, NewEvent
from meetup.domain.outbox import HELD_DEMO
from meetup.domain.registration import Answer, SeatRequest
from meetup.errors import NotFound
from meetup.site import current_site
from meetup.storage.db import db, transaction
from meetup.storage.devices import list_devices
from meetup.storage.events import Event, get_event
from meetup.storage.registrations import get_registration
from meetup.storage.scans import Device, Direction
from meetup.text_input import parse_email

SLUG = "woodstock-of-ai"
EMAIL = "demo@example.org"
PEOPLE = 1500
ARRIVED = 830
BATCH = 250
GATES = ("Main entrance", "Garden door")
DESCRIPTION = "\n\n".join(
    (
        "One evening for everybody who builds with open models: short demos, long conversations, "
        "and a stage for whoever signs up at the door.",
        "- **Hall** ten demos of five minutes, then ten more\n- **Garden** drinks and conversations\n"
        "- **Stage** open until late",
        "Bring your ticket on your phone. No laptop needed; curiosity is.",
    )
)


def make_demo() -> dict[str, Any]:
    """Make the demo once and return its addresses and sign-in; run again, it only makes a new pairing link."""
    try:
        get_event(db.session(), SLUG)
    except NotFound:
        _make_event()
    return _addresses()


def _make_event() -> None:
    now = utc_now()
    chance = random.Random(SLUG)
    password = accounts.new_password()
    password_hash = accounts.hash_password(password)
    _keep_sign_in(password)
    with transaction() as session:
        account = accounts.create_account(session, parse_email(EMAIL), password_hash, now)
        new = NewEvent(SLUG, _details(now), account.id, is_published=True)
        event = events.create_event(session, new, current_site().vault, audit.SYSTEM, now)
        devices = [_make_device(session, event, name, now) for name in GATES]
        device_ids = [device.id for device in devices]
    public_ids = _register_people(chance, now)
    _let_people_in(chance, public_ids, device_ids, now)


def _details(now: datetime) -> EventDetails:
    local_hour = now.replace(minute=0, second=0, microsecond=0)
    return EventDetails(
        title="Woodstock of AI",
        description=DESCRIPTION,
        starts_at=local_hour - timedelta(hours=1),
        ends_at=local_hour + timedelta(hours=6),
        timezone="Europe/Paris",
        venue="Exploratory Hall",
        address="12 quai de la Gare, 75013 Paris",
        capacity=2000,
        venue_limit=1200,
        guests=3,
        accent="violet",
    )


def _make_device(session: Session, event: Event, gate_name: str, now: datetime) -> Device:
    gate = gates.create_gate(session, event, gate_name, audit.SYSTEM, now)
    return gates.create_device(session, event, gate, audit.SYSTEM, now, is_supervisor=False).device


def _register_people(chance: random.Random, now: datetime) -> list[str]:
    """Register the people over the past three weeks, and return the ids of those with a seat."""
    people = make_people(chance, PEOPLE)
    public_ids = []
    for start in range(0, len(people), BATCH):
        with transaction() as session:
            event = get_event(session, SLUG)
            for number, (name, email) in enumerate(people[start : start + BATCH], start):
                at = now - timedelta(minutes=20 * (len(people) - number) + chance.randrange(20))
                seat_request = SeatRequest(
                    name=name,
                    address=parse_email(email),
                    guests=chance.choices((0, 1, 2, 3), (88, 8, 3, 1))[0],
                    locale=chance.choices(("en", "fr"), (60, 40))[0],
                    held=HELD_DEMO,
                )
                registered = registration.register(session, event, seat_request, at)
                if registered.answer is Answer.CONFIRMED:
                    public_ids.append(get_registration(session, registered.id).public_id)
    return public_ids


def _let_people_in(chance: random.Random, public_ids: list[str], device_ids: list[int], now: datetime) -> None:
    """Scan people in over the past hour: a slow start, a rush, then a steady trickle; a few twice."""
    chosen = chance.sample(public_ids, ARRIVED)
    again = chance.sample(chosen, 12)
    seconds = sorted(min(3595.0, chance.betavariate(2.2, 2.6) * 3600) for _ in chosen)
    readings = [(at, public_id) for at, public_id in zip(seconds, chosen, strict=True)]
    readings += [(3590.0, public_id) for public_id in again]
    for start in range(0, len(readings), BATCH):
        with transaction() as session:
            event = get_event(session, SLUG)
            for at, public_id in readings[start : start + BATCH]:
                device = session.get_one(Device, chance.choices(device_ids, (65, 35))[0])
                moment = now - timedelta(hours=1) + timedelta(seconds=at)
                scan_id = _uuid(chance)
                reading = ScanRequest(scan_id, None, public_id, Direction.IN, moment, None)
                check_in.scan(session, event, device, reading, moment)


def _uuid(chance: random.Random) -> str:
    digits = f"{chance.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"


def _keep_sign_in(password: str) -> None:
    """Keep the demo's password where only the operator can read it, to print it again."""
    path = current_site().config.instance_path / "demo-sign-in.json"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump({"email": EMAIL, "password": password}, file)


def _addresses() -> dict[str, Any]:
    config = current_site().config
    path = config.instance_path / "demo-sign-in.json"
    sign_in = json.loads(path.read_text()) if path.exists() else {"email": EMAIL, "password": None}
    with transaction() as session:
        event = get_event(session, SLUG)
        device, _gate = list_devices(session, event.id)[0]
        code = gates.create_pairing(session, device, utc_now())
    return {
        "event_url": f"{config.base_url}/e/{SLUG}",
        "door_url": f"{config.base_url}/door/pair/{code}",
        "live_url": f"{config.base_url}/organise/e/{SLUG}/live",
        "sign_in_url": f"{config.base_url}/organise/sign-in",
        **sign_in,
    }
