"""An SMTP server on this machine that refuses on demand, for the tests of the mailer."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from socket import socket

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from meetup.mail_failures import MailFailure
from meetup.mail_message import WrittenMail
from meetup.smtp_transport import SmtpTransport

SENDER = "tickets@example.org"


def message(content: bytes = b"Subject: Your ticket\r\n\r\nHello\r\n.\r\n..\r\n.end\r\n") -> WrittenMail:
    return WrittenMail("<0f3a/../1@tickets.example.org>", datetime(2026, 11, 22, 18, 2, tzinfo=UTC), content)


class Desk:
    """Takes mails; the word before the @ of an address says how it is to be refused."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, list[str], bytes]] = []
        self.connections: list[object] = []

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        if session.peer not in self.connections:
            self.connections.append(session.peer)
        return responses

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("answer-"):
            return address.removeprefix("answer-").split("@")[0].replace("_", " ")
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("answer-"):
            return address.removeprefix("answer-").split("@")[0].replace("_", " ")
        if address.startswith("hesitate@"):
            await asyncio.sleep(0.6)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        word = envelope.rcpt_tos[0].split("@")[0]
        if word == "cut":
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
            return "250 never heard"
        if word == "slow":
            await asyncio.sleep(0.6)
        if word.startswith("content-"):
            return word.removeprefix("content-").replace("_", " ")
        assert isinstance(envelope.content, bytes)
        self.mails.append((str(envelope.mail_from), list(envelope.rcpt_tos), envelope.content))
        return f"250 2.0.0 queued as {len(self.mails)}"


def free_port() -> int:
    """Return a free port below those that the system gives to clients."""
    for port in range(20025, 32000, 7):
        with socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    raise OSError("no port is free")


@contextmanager
def open_desk(desk: Desk | None = None, **options: object) -> Iterator[tuple[Desk, int]]:
    """Run a server, with options of aiosmtpd's for TLS and sign-in; gives the desk and its port."""
    desk = desk or Desk()
    port = free_port()
    controller = Controller(desk, hostname="127.0.0.1", port=port, **options)  # type: ignore[arg-type]
    controller.start()
    try:
        yield desk, port
    finally:
        controller.stop()


def failure(transport: SmtpTransport, to_address: str, envelope_from: str = SENDER) -> tuple[type[MailFailure], str]:
    with pytest.raises(MailFailure) as raised:
        transport.send(message(), envelope_from, to_address)
    return raised.type, raised.value.reason
