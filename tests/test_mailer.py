"""The way out for mails, against a real SMTP server on this machine that refuses on demand."""

from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from aiosmtpd.controller import Controller

from meetup.mailer import (
    MAILS_PER_CONNECTION,
    MailFailure,
    OwnFault,
    PermanentFailure,
    SmtpServer,
    SmtpTransport,
    TemporaryFailure,
    open_transport,
)
from tests.mail_desk import SENDER, Desk, failure, free_port, message, open_desk


@pytest.fixture
def desk() -> Iterator[tuple[Desk, int]]:
    with open_desk() as opened:
        yield opened


@pytest.fixture
def transport(desk: tuple[Desk, int]) -> Iterator[SmtpTransport]:
    opened = open_transport(f"smtp://127.0.0.1:{desk[1]}")
    assert isinstance(opened, SmtpTransport)
    yield opened
    opened.close()


def test_mail_arrives_with_its_dots_and_crlf(desk: tuple[Desk, int], transport: SmtpTransport) -> None:
    assert transport.send(message(), SENDER, "ada@example.org") == "250 2.0.0 queued as 1"
    ((envelope_from, recipients, content),) = desk[0].mails
    assert (envelope_from, recipients) == (SENDER, ["ada@example.org"])
    received = message_from_bytes(content, policy=policy.default)
    assert isinstance(received, EmailMessage)
    assert received.get_content().split() == ["Hello", ".", "..", ".end"]
    assert content == message().as_bytes(policy=policy.SMTP)


@pytest.mark.parametrize(
    ("to_address", "kind", "reason"),
    [
        ("answer-451_4.7.1_try_later@x.org", TemporaryFailure, "451 4.7.1 try later"),
        ("answer-452_4.2.2_mailbox_full@x.org", TemporaryFailure, "452 4.2.2 mailbox full"),
        ("answer-550_5.1.1_no_such_mailbox@x.org", PermanentFailure, "550 5.1.1 no such mailbox"),
        ("answer-550_5.7.1_not_wanted_here@x.org", PermanentFailure, "550 5.7.1 not wanted here"),
        ("answer-554_5.7.1_Relay_access_denied@x.org", OwnFault, "554 5.7.1 Relay access denied"),
        ("answer-530_5.7.0_sign_in_first@x.org", OwnFault, "530 5.7.0 sign in first"),
        ("content-554_5.6.0_not_liked@x.org", PermanentFailure, "554 5.6.0 not liked"),
        ("content-552_5.3.4_too_large@x.org", PermanentFailure, "552 5.3.4 too large"),
        ("content-451_4.3.0_disk_full@x.org", TemporaryFailure, "451 4.3.0 disk full"),
    ],
)
def test_refused_mail_has_its_class_and_the_connection_goes_on(
    desk: tuple[Desk, int], transport: SmtpTransport, to_address: str, kind: type[MailFailure], reason: str
) -> None:
    assert failure(transport, to_address) == (kind, reason)
    transport.send(message(), SENDER, "ada@example.org")
    assert [recipients for _, recipients, _ in desk[0].mails] == [["ada@example.org"]]
    assert len(desk[0].connections) == (2 if kind is OwnFault else 1)


@pytest.mark.parametrize(
    ("envelope_from", "kind"),
    [
        ("answer-550_5.7.1_sender_not_allowed@x.org", OwnFault),
        ("answer-553_5.1.8_bad_sender@x.org", OwnFault),
        ("answer-451_4.3.0_later@x.org", TemporaryFailure),
        ("answer-552_5.3.4_too_large@x.org", PermanentFailure),
        ("two@x.org, other@x.org", OwnFault),
    ],
)
def test_refused_sender_is_our_fault(transport: SmtpTransport, envelope_from: str, kind: type[MailFailure]) -> None:
    assert failure(transport, "ada@example.org", envelope_from)[0] is kind


def test_connection_cut_after_the_content_is_temporary_and_not_sent_again(
    desk: tuple[Desk, int], transport: SmtpTransport
) -> None:
    assert failure(transport, "cut@example.org")[0] is TemporaryFailure
    assert desk[0].mails == []
    transport.send(message(), SENDER, "ada@example.org")
    assert (len(desk[0].mails), len(desk[0].connections)) == (1, 2)


@pytest.mark.parametrize(
    "address", ["a@x.org, v@y.org", "a@x.org\r\nRCPT TO:<v@y.org>", "é@x.org", "Ada <a@x.org>", ""]
)
def test_anything_but_one_plain_address_reaches_nobody(
    desk: tuple[Desk, int], transport: SmtpTransport, address: str
) -> None:
    assert failure(transport, address) == (PermanentFailure, "not a mail address that can be written to")
    assert desk[0].connections == []


def test_server_that_is_away_is_a_temporary_failure() -> None:
    kind, reason = failure(SmtpTransport(SmtpServer("127.0.0.1", free_port(), is_tls=False)), "ada@example.org")
    assert kind is TemporaryFailure
    assert reason.startswith("ConnectionRefusedError")


def test_kept_connection_that_the_server_closed_is_opened_again() -> None:
    desk = Desk()
    port = free_port()
    transport = SmtpTransport(SmtpServer("127.0.0.1", port, is_tls=False))
    for _ in range(2):
        controller = Controller(desk, hostname="127.0.0.1", port=port)
        controller.start()
        transport.send(message(), SENDER, "ada@example.org")
        controller.stop()
    assert (len(desk.mails), len(desk.connections)) == (2, 2)
    transport.close()


def test_server_may_think_longer_about_a_whole_mail_than_about_a_command(
    desk: tuple[Desk, int], transport: SmtpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meetup.mailer.TIMEOUT_SECONDS", 0.2)
    assert failure(transport, "hesitate@example.org") == (
        TemporaryFailure,
        "SMTPServerDisconnected: Connection unexpectedly closed: timed out",
    )
    transport.send(message(), SENDER, "slow@example.org")
    assert [recipients for _, recipients, _ in desk[0].mails] == [["slow@example.org"]]


def test_connection_is_kept_for_a_hundred_mails_and_a_minute(desk: tuple[Desk, int]) -> None:
    now = [0.0]
    transport = SmtpTransport(SmtpServer("127.0.0.1", desk[1], is_tls=False), clock=lambda: now[0])
    for _ in range(MAILS_PER_CONNECTION):
        transport.send(message(), SENDER, "ada@example.org")
    assert len(desk[0].connections) == 1
    transport.send(message(), SENDER, "ada@example.org")
    assert len(desk[0].connections) == 2
    now[0] = 60
    transport.send(message(), SENDER, "ada@example.org")
    assert len(desk[0].connections) == 2
    now[0] = 121
    transport.send(message(), SENDER, "ada@example.org")
    assert (len(desk[0].connections), len(desk[0].mails)) == (3, 103)
    transport.close()
