"""The devices and the tickets that scans are made of; each function needs an application context."""

import base64
import random
from collections.abc import Iterator

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import func, select

from bench.seed import SLUG
from meetup.clock import utc_now
from meetup.domain import audit, gates
from meetup.site import current_site
from meetup.storage.db import db, transaction
from meetup.storage.events import get_event, get_event_key
from meetup.storage.tickets import Ticket
from meetup.ticket_code import PREFIX

AT_ONCE = 500


def create_devices(count: int, slug: str = SLUG) -> list[str]:
    """Make devices at one gate and return their tokens."""
    now = utc_now()
    with transaction() as session:
        event = get_event(session, slug)
        gate = gates.create_gate(session, event, "North", audit.SYSTEM, now)
        made = [gates.create_device(session, event, gate, audit.SYSTEM, now, is_supervisor=False) for _ in range(count)]
        return [each.token for each in made]


def ticket_codes(count: int, slug: str = SLUG) -> list[str]:
    """Return the codes of so many tickets of an event, drawn from all of them, each once."""
    session = db.session()
    event = get_event(session, slug)
    key = Ed25519PrivateKey.from_private_bytes(
        current_site().vault.open(get_event_key(session, event.id).encrypted_private_key)
    )
    codes = []
    for secret in _secrets(event.id, count):
        head = event.event_number.to_bytes(4, "big") + secret
        codes.append(PREFIX + base64.b32encode(head + key.sign(b"M1" + head)).decode().rstrip("="))
    db.session.remove()
    return codes


def _secrets(event_id: int, count: int) -> Iterator[bytes]:
    session = db.session()
    newest = session.execute(select(func.max(Ticket.id)).where(Ticket.event_id == event_id)).scalar_one()
    if newest < count:
        raise ValueError(f"{count} tickets are needed, and there are {newest}")
    drawn = random.Random(count).sample(range(1, newest + 1), count)
    for start in range(0, count, AT_ONCE):
        yield from session.scalars(select(Ticket.secret).where(Ticket.id.in_(drawn[start : start + AT_ONCE])))
