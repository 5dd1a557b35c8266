"""A mail server for workers that die, and what its outbox says of the mails that it got."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from aiosmtpd.controller import Controller
from sqlalchemy import select

from meetup.storage.db import db
from meetup.storage.outbox import MessageState, OutboxMessage
from tests.faults.crowd import Evening
from tests.faults.servers import free_port
from tests.worker.mailroom import MoodyDesk


class Post(MoodyDesk):
    """Takes every mail, each after a while; `heard` and `tokens` are what it said 250 to, oldest first."""

    def __init__(self, seconds_each: float = 0) -> None:
        super().__init__()
        self.port = free_port()
        self.url = f"smtp://127.0.0.1:{self.port}"
        self.before_answer = lambda: time.sleep(seconds_each)

    @property
    def tokens(self) -> list[str]:
        """The part of each mail's Message-ID that the outbox holds, oldest mail first."""
        return [id.strip("<>").partition("@")[0] for id in self.message_ids]

    @property
    def repeats(self) -> int:
        """How many mails too many were heard."""
        return len(self.heard) - len(set(self.message_ids))

    def all_sent(self, evening: Evening) -> bool:
        """Tell whether the outbox says that every mail has been sent."""
        return all(row.state == MessageState.SENT for row in list_rows(evening))

    @contextmanager
    def open(self) -> Iterator[None]:
        """Take mails for the length of a block."""
        controller = Controller(self, hostname="127.0.0.1", port=self.port)
        controller.start()
        try:
            yield
        finally:
            controller.stop()


def promised(evening: Evening) -> set[str]:
    """Return the token of every mail that the outbox holds."""
    return {row.message_token for row in list_rows(evening)}


@contextmanager
def open_post(post: Post) -> Iterator[Post]:
    """Run a mail server for the length of a block."""
    with post.open():
        yield post


def list_rows(evening: Evening) -> list[OutboxMessage]:
    """Return the outbox as it stands now, oldest first."""
    with evening.app.app_context():
        db.session.rollback()
        rows = db.session.scalars(select(OutboxMessage).order_by(OutboxMessage.id))
        found = list(rows.all())
        db.session.expunge_all()
        db.session.rollback()
        return found
