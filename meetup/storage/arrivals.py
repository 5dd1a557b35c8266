"""People who arrived at each gate in each minute, counted in the transactions that let them in.

No foreign key points from them, as in storage.counters.
"""

from collections.abc import Sequence

from sqlalchemy import Integer, Row, UniqueConstraint, bindparam, func, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from meetup.storage.db import Base, table_of
from meetup.storage.prepared import Prepared
from meetup.storage.row_insert import RowInsert


class GateArrival(Base):
    """People who arrived (first entries) at one gate within one minute (minutes since 1970, UTC)."""

    __tablename__ = "gate_arrivals"
    __table_args__ = (UniqueConstraint("event_id", "gate_id", "minute"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    event_id: Mapped[int] = mapped_column(Integer)
    gate_id: Mapped[int] = mapped_column(Integer)
    minute: Mapped[int] = mapped_column(Integer)
    arrived: Mapped[int] = mapped_column(Integer)


_arrivals = table_of(GateArrival)
_first_arrival = RowInsert(_arrivals, is_ignoring=True)
_add_arrivals = Prepared(
    lambda _places: (
        update(_arrivals)
        .where(
            _arrivals.c.event_id == bindparam("event"),
            _arrivals.c.gate_id == bindparam("gate"),
            _arrivals.c.minute == bindparam("at"),
        )
        .values(arrived=_arrivals.c.arrived + bindparam("more"))
    )
)


def add_arrivals(session: Session, event_id: int, gate_id: int, minute: int, people: int) -> None:
    """Count first entries at a gate within a minute; negative takes them back."""
    values = {"event": event_id, "gate": gate_id, "at": minute, "more": people}
    if _add_arrivals.run(session, [values]) == 0:
        _first_arrival.run(session, [{"event_id": event_id, "gate_id": gate_id, "minute": minute, "arrived": 0}])
        _add_arrivals.run(session, [values])


def list_arrivals_by_minute(session: Session, event_id: int) -> Sequence[Row[int, int]]:
    """Return (minute, people) of every minute with arrivals, oldest first."""
    statement = (
        select(GateArrival.minute, func.sum(GateArrival.arrived))
        .where(GateArrival.event_id == event_id)
        .group_by(GateArrival.minute)
        .having(func.sum(GateArrival.arrived) > 0)
        .order_by(GateArrival.minute)
    )
    return session.execute(statement).all()


def list_arrivals_by_gate(session: Session, event_id: int, since_minute: int) -> Sequence[Row[int, int, int]]:
    """Return (gate id, arrivals ever, arrivals since that minute) for each gate with arrivals."""
    recent = func.sum(GateArrival.arrived).filter(GateArrival.minute >= since_minute)
    statement = (
        select(GateArrival.gate_id, func.sum(GateArrival.arrived), func.coalesce(recent, 0))
        .where(GateArrival.event_id == event_id)
        .group_by(GateArrival.gate_id)
    )
    return session.execute(statement).all()
