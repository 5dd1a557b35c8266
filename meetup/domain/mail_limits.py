"""How many mails a form may send to one address (rules 3.5), counted where the mails are promised: in the outbox."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from meetup.storage import outbox
from meetup.storage.prepared import Answer

HELD_TOO_MANY = "too_many_mails"


@dataclass(frozen=True)
class MailLimit:
    """At most so many mails to one address from one event within so many seconds."""

    mails: int
    seconds: int


@dataclass
class MailsLeft:
    """The mails that forms have sent to one address of late, oldest first."""

    now: datetime
    sent_at: list[datetime] = field(default_factory=list)

    def take(self, limits: Sequence[MailLimit]) -> str | None:
        """Count one more mail, or return why these limits hold it back."""
        for limit in limits:
            since = self.now - timedelta(seconds=limit.seconds)
            if sum(1 for at in self.sent_at if at > since) >= limit.mails:
                return HELD_TOO_MANY
        self.sent_at.append(self.now)
        return None


def count_mails(
    session: Session, event_id: int, address_keys: Iterable[str], limits: Collection[MailLimit], now: datetime
) -> Answer[dict[str, MailsLeft]]:
    """Return what counts for each address of an event, nobody missing. Exact while the seats are held."""
    keys = list(address_keys)
    since = now - timedelta(seconds=max((limit.seconds for limit in limits), default=0))

    def count(rows: list[tuple[str, datetime]]) -> dict[str, MailsLeft]:
        left = {key: MailsLeft(now) for key in keys}
        for address_key, at in rows:
            left[address_key].sent_at.append(at)
        return left

    return outbox.ask_sent_by_forms(session, event_id, keys, since).then(count)


def may_mail(session: Session, event_id: int, address_key: str, limits: Sequence[MailLimit], now: datetime) -> bool:
    """Tell whether a form may send one more mail to an address."""
    return count_mails(session, event_id, [address_key], limits, now).get()[address_key].take(limits) is None
