"""Gates, devices and the links that pair a phone (rules 5.1)."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from meetup.domain import audit
from meetup.domain.audit import Actor
from meetup.errors import Gone, Invalid, NotFound
from meetup.storage import devices, scans
from meetup.storage.audit import ActorKind
from meetup.storage.events import Event
from meetup.storage.scans import Device, DeviceToken, Gate, PairingCode
from meetup.ticket_code import hash_token

LONGEST_GATE_NAME = 80
PAIRING_LASTS = timedelta(hours=24)
TOKEN_BYTES = 32
PAIRING_CODE_BYTES = 18


@dataclass(frozen=True)
class NewDevice:
    """A device just made, and the token that is shown this once."""

    device: Device
    token: str


def create_gate(session: Session, event: Event, name: str, actor: Actor, now: datetime) -> Gate:
    """Make a gate, or return the one that has this name already; raise Invalid (`name`) without a name."""
    if not 1 <= len(name) <= LONGEST_GATE_NAME:
        raise Invalid({"name": ["bad_gate_name"]})
    for gate in scans.list_gates(session, event.id):
        if gate.name == name:
            return gate
    gate = Gate(event_id=event.id, name=name, created_at=now)
    session.add(gate)
    # The id goes into the log and into the gate's devices.
    session.flush()
    audit.record(session, actor, event.id, audit.Change("gate.created", "gate", gate.id), now)
    return gate


def get_gate(session: Session, event: Event, gate_id: int) -> Gate:
    """Return a gate of the event; raise NotFound."""
    for gate in scans.list_gates(session, event.id):
        if gate.id == gate_id:
            return gate
    raise NotFound


def create_device(
    session: Session, event: Event, gate: Gate, actor: Actor, now: datetime, *, is_supervisor: bool
) -> NewDevice:
    """Make a device at a gate; its name is the next free number."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    device = Device(
        event_id=event.id,
        gate_id=gate.id,
        public_id=secrets.token_urlsafe(16),
        name=f"Phone {devices.count_devices(session, event.id) + 1}",
        is_supervisor=is_supervisor,
        created_at=now,
    )
    session.add(device)
    # The id is needed for the token.
    session.flush()
    session.add(DeviceToken(device_id=device.id, token_hash=hash_token(token), created_at=now))
    session.flush()
    audit.record(session, actor, event.id, audit.Change("device.created", "device", device.id), now)
    return NewDevice(device, token)


def create_pairing(session: Session, device: Device, now: datetime) -> str:
    """Make a link's code that pairs one phone, once, within a day, and return it."""
    code = secrets.token_urlsafe(PAIRING_CODE_BYTES)
    expires_at = now + PAIRING_LASTS
    pairing = PairingCode(device_id=device.id, code_hash=hash_token(code), created_at=now, expires_at=expires_at)
    session.add(pairing)
    session.flush()
    return code


def create_pairing_again(session: Session, event: Event, public_id: str, actor: Actor, now: datetime) -> str:
    """Make a new link's code for a device, such as one whose link ran out; raise NotFound, also for a revoked one."""
    device = devices.find_device(session, event.id, public_id)
    if device is None or device.revoked_at is not None:
        raise NotFound
    audit.record(session, actor, event.id, audit.Change("device.link_made", "device", device.id), now)
    return create_pairing(session, device, now)


def get_pairing(session: Session, code: str, now: datetime) -> tuple[PairingCode, Device, Gate]:
    """Return what a link would pair, using nothing up; raise Gone when it is used, expired or unknown."""
    found = devices.find_pairing(session, hash_token(code))
    if found is None or found[0].used_at is not None or found[0].expires_at <= now or found[1].revoked_at:
        raise Gone
    return found


def pair(session: Session, code: str, now: datetime) -> str:
    """Use a link up and return the phone's token; raise Gone when it is used, expired or unknown."""
    pairing, device, _gate = get_pairing(session, code, now)
    if not devices.use_pairing_code(session, pairing, now):
        raise Gone
    token = secrets.token_urlsafe(TOKEN_BYTES)
    session.add(DeviceToken(device_id=device.id, token_hash=hash_token(token), created_at=now))
    device.paired_at = now
    session.flush()
    actor = Actor(ActorKind.DEVICE, device.id)
    audit.record(session, actor, device.event_id, audit.Change("device.paired", "device", device.id), now)
    return token


def revoke_device(session: Session, event: Event, public_id: str, actor: Actor, now: datetime) -> None:
    """Shut a device out for good; raise NotFound. Doing so again changes nothing."""
    device = devices.find_device(session, event.id, public_id)
    if device is None:
        raise NotFound
    if device.revoked_at is None:
        device.revoked_at = now
        session.flush()
        audit.record(session, actor, event.id, audit.Change("device.revoked", "device", device.id), now)
