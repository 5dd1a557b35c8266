"""Makes events, registrations, devices and organisers through the domain, as the site does."""

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from meetup.clock import utc_now
from meetup.domain import accounts, audit, events, gates, registration, tickets
from meetup.domain.events import EventDetails, NewEvent
from meetup.domain.registration import SeatRequest
from meetup.site import current_site
from meetup.storage.accounts import find_account
from meetup.storage.db import db, transaction
from meetup.storage.events import get_event
from meetup.storage.registrations import Registration, find_by_ticket_key
from meetup.text_input import parse_email

PASSWORD = "a quiet evening in may"


@dataclass(frozen=True)
class MadeTicket:
    """A registration that was made, and what its ticket shows."""

    ticket_key: str
    public_id: str
    name: str
    email: str
    state: str
    code: str
    short_code: str


@dataclass(frozen=True)
class MadeDevice:
    """A device that was made, its token, and a link that pairs a phone with it."""

    public_id: str
    token: str
    pairing_path: str


class World:
    """One site's events and people."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self._number = 0

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def organiser(self, email: str = "olga@example.org") -> str:
        """Make an account with PASSWORD and return its address."""
        with self.app.app_context(), transaction() as session:
            if find_account(session, email) is None:
                accounts.create_account(session, parse_email(email), accounts.hash_password(PASSWORD), utc_now())
        return email

    def signed_in(self, email: str = "olga@example.org") -> FlaskClient:
        """Return a browser that is signed in as an organiser."""
        client = self.app.test_client()
        response = client.post("/organise/sign-in", data={"email": self.organiser(email), "password": PASSWORD})
        assert response.status_code == 303
        return client

    def event(self, slug: str = "evening", owner: str | None = None, is_published: bool = True, **details: Any) -> str:
        """Make an event that begins in an hour, and return its slug."""
        now = utc_now()
        wanted: dict[str, Any] = {
            "title": "An evening",
            "starts_at": now + timedelta(hours=1),
            "timezone": "Europe/Paris",
        } | details
        with self.app.app_context(), transaction() as session:
            owner_id = None
            if owner is not None:
                account = find_account(session, owner)
                assert account is not None
                owner_id = account.id
            new = NewEvent(slug, EventDetails(**wanted), owner_id, is_published)
            events.create_event(session, new, current_site().vault, audit.SYSTEM, now)
        return slug

    def register(
        self, slug: str = "evening", name: str = "Ada Lovelace", email: str | None = None, guests: int = 0
    ) -> MadeTicket:
        """Register a person and return the ticket."""
        email = email or f"person{self.next_number()}@example.org"
        with self.app.app_context():
            with transaction() as session:
                wanted = SeatRequest(name, parse_email(email), guests, "en")
                made = registration.register(session, get_event(session, slug), wanted, utc_now())
                ticket_key = made.ticket_key
            return self._ticket(slug, ticket_key)

    def _ticket(self, slug: str, ticket_key: str) -> MadeTicket:
        session = db.session()
        found = self.registration(ticket_key)
        face = tickets.get_face(session, get_event(session, slug), found, current_site().vault)
        return MadeTicket(ticket_key, found.public_id, found.name, found.email, found.state, face.code, face.short_code)

    def registration(self, ticket_key: str) -> Registration:
        """Return a registration as the database has it now; needs an application context."""
        db.session.rollback()
        found = find_by_ticket_key(db.session(), ticket_key)
        assert found is not None
        return found

    def cancel(self, ticket: MadeTicket) -> None:
        """Cancel a registration as its attendee would."""
        response = self.app.test_client().post(f"/t/{ticket.ticket_key}/cancel")
        assert response.status_code == 303

    def device(self, slug: str = "evening", gate: str = "North", is_supervisor: bool = False) -> MadeDevice:
        """Make a device at a gate."""
        with self.app.app_context(), transaction() as session:
            event = get_event(session, slug)
            at_gate = gates.create_gate(session, event, gate, audit.SYSTEM, utc_now())
            made = gates.create_device(session, event, at_gate, audit.SYSTEM, utc_now(), is_supervisor=is_supervisor)
            code = gates.create_pairing(session, made.device, utc_now())
            return MadeDevice(made.device.public_id, made.token, f"/door/pair/{code}")

    def scan(self, device: MadeDevice, code: str | None, **more: Any) -> TestResponse:
        """Send one scan to the door API."""
        body: dict[str, Any] = {
            "scan_id": str(uuid.uuid4()),
            "code": code,
            "scanned_at": datetime.now(UTC).isoformat(),
        }
        body = {name: value for name, value in (body | more).items() if value is not None}
        return self.app.test_client().post(
            "/api/v1/scans", data=json.dumps(body), content_type="application/json", headers=bearer(device.token)
        )

    def headcount(self, device: MadeDevice, slug: str = "evening") -> dict[str, Any]:
        """Return the headcount as a device sees it."""
        response = self.app.test_client().get(f"/api/v1/events/{slug}/headcount", headers=bearer(device.token))
        assert response.status_code == 200
        assert response.json is not None
        return dict(response.json)


def bearer(token: str) -> dict[str, str]:
    """Return the header that shows a token."""
    return {"Authorization": f"Bearer {token}"}
