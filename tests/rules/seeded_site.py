"""A site with one of everything, and the address of every route in it."""

import hashlib
from dataclasses import dataclass

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from meetup.storage.db import db
from meetup.storage.outbox import OutboxMessage
from meetup.views import door_files
from tests.factories import MadeDevice, World

OWNER = "olga@example.org"
SCAN_ID = "5f0e6c3a-8b3f-4a54-9d0e-0a4f2f6f0f01"


@dataclass(frozen=True)
class SeededSite:
    """An event with a seat taken, somebody waiting and somebody inside; `parts` fill the addresses of routes."""

    app: Flask
    world: World
    device: MadeDevice
    parts: dict[str, str]

    def paths(self, method: str) -> list[tuple[str, str]]:
        """Return (endpoint, path) of every route that takes a method."""
        rules = sorted(self.app.url_map.iter_rules(), key=lambda rule: rule.rule)
        return [(rule.endpoint, self.path(rule)) for rule in rules if method in (rule.methods or ())]

    def path(self, rule: Rule) -> str:
        """Return a route's address with the parts of this site; KeyError for a part that nobody has seeded."""
        parts = self.parts | {"filename": "css/app.css"}
        built = rule.build({name: parts[name] for name in rule.arguments})
        assert built is not None
        return built[1]

    def client(self) -> FlaskClient:
        """Return a browser that is signed in as the owner and is a paired phone as well."""
        client = self.world.signed_in(OWNER)
        client.set_cookie("turnout_device", self.device.token)
        return client

    def rows(self) -> dict[str, str]:
        """Return a fingerprint of every table's rows."""
        with self.app.app_context():
            db.session.rollback()
            return {
                table.name: hashlib.sha256(
                    repr(
                        [tuple(row) for row in db.session.execute(select(table).order_by(*table.primary_key))]
                    ).encode()
                ).hexdigest()
                for table in db.metadata.sorted_tables
            }


def seed(world: World) -> SeededSite:
    """Make the site."""
    world.organiser(OWNER)
    world.event(owner=OWNER, capacity=2, guests=1, description="# A *fine* evening", venue="The hall")
    seated = world.register()
    arrived = world.register()
    world.register()
    device = world.device()
    assert world.scan(device, arrived.code, scan_id=SCAN_ID).status_code == 200
    with world.app.app_context():
        message_id = db.session.scalar(select(OutboxMessage.id).limit(1))
    parts = {
        "slug": "evening",
        "ticket_key": seated.ticket_key,
        "code": device.pairing_path.rpartition("/")[2],
        "scan_id": SCAN_ID,
        "public_id": seated.public_id,
        "registration_id": seated.public_id,
        "version": door_files.version(),
        "name": "door/app.js",
        "message_id": str(message_id),
    }
    return SeededSite(world.app, world, device, parts)


def read(client: FlaskClient, path: str) -> TestResponse:
    """Get a page; of a stream, its first lines."""
    answer = client.get(path)
    if answer.mimetype == "text/event-stream":
        chunks = iter(answer.response)
        assert [next(chunks) for _ in range(2)]
    else:
        answer.get_data()
    answer.close()
    return answer
