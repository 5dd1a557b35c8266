"""Reading and changing devices and their pairing links."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from meetup.storage.db import changed_rows, table_of
from meetup.storage.prepared import Prepared, in_list
from meetup.storage.scans import Device, DeviceToken, Gate, PairingCode


def find_device_by_token(session: Session, token_hash: str) -> tuple[Device, Gate] | None:
    """Return the device that a credential belongs to, with its gate, when it has not been revoked."""
    statement = (
        select(Device, Gate)
        .join(DeviceToken, DeviceToken.device_id == Device.id)
        .join(Gate, Gate.id == Device.gate_id)
        .where(DeviceToken.token_hash == token_hash, Device.revoked_at.is_(None))
    )
    row = session.execute(statement).one_or_none()
    return (row[0], row[1]) if row else None


class PairedDevice(NamedTuple):
    """A device that has not been revoked, as a scan needs it."""

    id: int
    event_id: int
    gate_id: int
    name: str
    is_supervisor: bool
    gate_name: str


def list_paired(session: Session, token_hashes: Sequence[str]) -> dict[str, PairedDevice]:
    """Return the devices that these credentials belong to, by credential; revoked ones are not among them."""
    return {str(row[0]): PairedDevice(*row[1:]) for row in _paired.fetch(session, {}, token_hashes)}


_paired = Prepared(
    lambda places: (
        select(
            DeviceToken.token_hash,
            Device.id,
            Device.event_id,
            Device.gate_id,
            Device.name,
            Device.is_supervisor,
            Gate.name,
        )
        .join(Device, Device.id == DeviceToken.device_id)
        .join(Gate, Gate.id == Device.gate_id)
        .where(in_list(table_of(DeviceToken).c.token_hash, places), Device.revoked_at.is_(None))
    )
)


def find_device(session: Session, event_id: int, public_id: str) -> Device | None:
    """Return a device of an event, revoked ones too, or None."""
    return session.scalar(select(Device).filter_by(event_id=event_id, public_id=public_id))


def get_device_with_gate(session: Session, event_id: int, public_id: str) -> tuple[Device, Gate]:
    """Return a device that is known to exist, with its gate."""
    statement = (
        select(Device, Gate)
        .join(Gate, Gate.id == Device.gate_id)
        .where(Device.event_id == event_id, Device.public_id == public_id)
    )
    device, gate = session.execute(statement).one()
    return device, gate


def find_pairing(session: Session, code_hash: str) -> tuple[PairingCode, Device, Gate] | None:
    """Return what a pairing link would pair, used and expired ones too, or None."""
    statement = (
        select(PairingCode, Device, Gate)
        .join(Device, Device.id == PairingCode.device_id)
        .join(Gate, Gate.id == Device.gate_id)
        .where(PairingCode.code_hash == code_hash)
    )
    row = session.execute(statement.execution_options(populate_existing=True)).one_or_none()
    return (row[0], row[1], row[2]) if row else None


def use_pairing_code(session: Session, pairing: PairingCode, now: datetime) -> bool:
    """Use a pairing link up; False when it was used or has expired. One conditional write."""
    statement = (
        update(PairingCode)
        .where(PairingCode.id == pairing.id, PairingCode.used_at.is_(None), PairingCode.expires_at > now)
        .values(used_at=now)
    )
    return changed_rows(session, statement) == 1


def list_devices(session: Session, event_id: int) -> list[tuple[Device, Gate]]:
    """Return the devices of an event with their gates, revoked ones last."""
    statement = (
        select(Device, Gate)
        .join(Gate, Gate.id == Device.gate_id)
        .where(Device.event_id == event_id)
        .order_by(Device.revoked_at.is_not(None), Gate.id, Device.id)
    )
    return [(device, gate) for device, gate in session.execute(statement)]


def count_devices(session: Session, event_id: int) -> int:
    """Return how many devices an event ever had."""
    return session.execute(select(func.count()).where(Device.event_id == event_id)).scalar_one()


def touch_device(session: Session, device_id: int, now: datetime) -> None:
    """Note that a device was heard of."""
    changed_rows(session, update(Device).where(Device.id == device_id).values(last_seen_at=now))


def find_revoked_device_by_token(session: Session, token_hash: str) -> Device | None:
    """Return the device that a credential belonged to, when it has been revoked."""
    statement = (
        select(Device)
        .join(DeviceToken, DeviceToken.device_id == Device.id)
        .where(DeviceToken.token_hash == token_hash, Device.revoked_at.is_not(None))
    )
    return session.scalar(statement)


def change_device(session: Session, device_id: int, values: dict[str, Any]) -> None:
    """Write down what a device said of itself."""
    changed_rows(session, update(Device).where(Device.id == device_id).values(**values))
