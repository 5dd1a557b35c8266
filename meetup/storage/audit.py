"""The append-only log of every change of state: who, when, what, from which device (rules 5.4)."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, Index, Integer, String
from sqlalchemy.orm import Mapped, Session, mapped_column

from meetup.storage.db import Base, UtcDateTime, table_of
from meetup.storage.row_insert import RowInsert


class ActorKind(StrEnum):
    """Who made a change."""

    ATTENDEE = "attendee"
    DEVICE = "device"
    ACCOUNT = "account"
    SYSTEM = "system"


class AuditEntry(Base):
    """One change. Ids only, no names and no addresses, so that erasing a person leaves the log whole."""

    __tablename__ = "audit_log"
    __table_args__ = (Index("ix_audit_log_event_id_id", "event_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    event_id: Mapped[int | None] = mapped_column(Integer)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor_kind: Mapped[str] = mapped_column(String(10))
    actor_id: Mapped[int | None] = mapped_column(Integer)
    action: Mapped[str] = mapped_column(String(40))
    subject_kind: Mapped[str] = mapped_column(String(20))
    subject_id: Mapped[int | None] = mapped_column(Integer)
    details: Mapped[dict[str, Any]] = mapped_column(JSON)


_insert = RowInsert(table_of(AuditEntry))


def insert_entries(session: Session, rows: list[dict[str, Any]]) -> None:
    """Append entries to the log."""
    _insert.run(session, rows)
