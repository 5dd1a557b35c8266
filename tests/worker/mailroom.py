"""A worker, the SMTP server that it sends to, and its clock, for the tests of what it delivers."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email import message_from_bytes, policy

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from flask import Flask
from sqlalchemy import select

from meetup.clock import utc_now
from meetup.site import Site
from meetup.storage import outbox
from meetup.storage.db import db
from meetup.storage.outbox import OutboxMessage
from meetup.worker import STOPPED_NOTE, Worker
from tests.mail_desk import Desk


class MoodyDesk(Desk):
    """Answers the next mails as it is told to, whoever they are for; keeps every one that it heard to its end."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[str] = []
        self.heard: list[bytes] = []
        self.password = "right"
        self.sign_ins = 0
        self.before_answer: Callable[[], None] = lambda: None

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.heard.append(envelope.content)
        self.before_answer()
        answer = self.answers.pop(0) if self.answers else ""
        if answer == "cut":
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
        return answer or await super().handle_DATA(server, session, envelope)

    def sign_in(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: object) -> AuthResult:
        assert isinstance(login, LoginPassword)
        self.sign_ins += 1
        is_right = login.password == self.password.encode()
        return AuthResult(success=is_right, handled=is_right)

    @property
    def message_ids(self) -> list[str]:
        return [str(message_from_bytes(each, policy=policy.default)["Message-ID"]) for each in self.heard]


class Clock:
    """What the worker takes for the present: the real time, moved forward."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)

    def move(self, seconds: float) -> None:
        self._ahead += timedelta(seconds=seconds)

    def __call__(self) -> datetime:
        return utc_now() + self._ahead


@dataclass
class Mailroom:
    """One site's outbox and those who empty it."""

    app: Flask
    desk: MoodyDesk
    clock: Clock

    @property
    def site(self) -> Site:
        site = self.app.extensions["turnout"]
        assert isinstance(site, Site)
        return site

    def hire(self, **settings: str) -> Worker:
        """Return a worker; `settings` stand in place of the site's."""
        config = self.site.config
        with self.app.app_context():
            return Worker(self.app, replace(config, values={**config.values, **settings}))

    def set(self, name: str, value: str) -> None:
        """Change one of the site's settings."""
        config = self.site.config
        changed = replace(config, values={**config.values, name: value})
        self.app.extensions["turnout"] = replace(self.site, config=changed)

    def work(self, worker: Worker | None = None) -> dict[str, int]:
        """Do what is due now; return how many mails were sent, failed and retried, each where there were any."""
        worker = worker or self.hire()
        before = dict(worker.counts)
        with self.app.app_context():
            worker.run(once=True)
        return {name: count - before[name] for name, count in worker.counts.items() if count > before[name]}

    def rows(self) -> list[OutboxMessage]:
        """Return the outbox as it stands, oldest first."""
        with self.app.app_context():
            return list(db.session.scalars(select(OutboxMessage).order_by(OutboxMessage.id)))

    def states(self) -> list[tuple[str, int, str | None]]:
        """Return the state, the attempts and the failure of every mail, oldest first."""
        return [(row.state, row.attempts, row.failure) for row in self.rows()]

    def stopped(self) -> str:
        """Return why no mail goes out; empty when it does."""
        with self.app.app_context():
            note = outbox.find_note(db.session(), STOPPED_NOTE)
            return note.text if note else ""
