"""The way out for mails, against a real SMTP server on this machine that refuses on demand."""

from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from socket import create_server, socket
from threading import Thread

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from meetup.mail_failures import MailFailure, OwnFault, PermanentFailure, TemporaryFailure
from meetup.mailer import open_transport
from meetup.smtp_transport import MAILS_PER_CONNECTION, SmtpServer, SmtpTransport
from tests.mail_desk import SENDER, Desk, failure, free_port, message, open_desk


class PipeliningDesk(Desk):
    """Lets a client send its commands together (RFC 2920)."""

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        await super().handle_EHLO(server, session, envelope, hostname, responses)
        return [responses[0], "250-PIPELINING", *responses[1:]]


@pytest.fixture(params=[Desk, PipeliningDesk])
def desk(request: pytest.FixtureRequest) -> Iterator[tuple[Desk, int]]:
    with open_desk(request.param()) as opened:
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
    assert content == message().content


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
    monkeypatch.setattr("meetup.smtp_transport.TIMEOUT_SECONDS", 0.2)
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


def recite(listener: socket, script: list[tuple[bytes, bytes]], heard: list[bytes]) -> None:
    """Play a server on one connection: wait for the end of what each line awaits, then answer it."""
    connection, _address = listener.accept()
    with connection:
        connection.sendall(b"220 ready\r\n")
        for awaited, answer in script:
            said = b""
            while not said.endswith(awaited):
                said += connection.recv(65536)
            heard.append(said)
            connection.sendall(answer)


GREETING = (b"\r\n", b"250-desk\r\n250 PIPELINING\r\n")
ENVELOPE = b"MAIL FROM:<tickets@example.org>\r\nRCPT TO:<ada@example.org>\r\nDATA\r\n"


@pytest.mark.parametrize(
    ("answers", "kind", "reason"),
    [
        (b"250 ok\r\n550 5.1.1 nobody\r\n354 go on\r\n", PermanentFailure, "550 5.1.1 nobody"),
        (b"451 4.3.0 later\r\n503 no\r\n354 go on\r\n", TemporaryFailure, "451 4.3.0 later"),
    ],
)
def test_server_that_wants_the_content_of_a_refused_mail_gets_none(
    answers: bytes, kind: type[MailFailure], reason: str
) -> None:
    heard: list[bytes] = []
    script = [
        GREETING,
        (b"DATA\r\n", answers),
        (b".\r\n", b"554 nobody to send it to\r\n"),
        (b"rset\r\n", b"250 ok\r\n"),
        (b"DATA\r\n", b"250 ok\r\n250 ok\r\n354 go on\r\n"),
        (b"\r\n.\r\n", b"250 queued\r\n"),
    ]
    with create_server(("127.0.0.1", free_port())) as listener:
        thread = Thread(target=recite, args=(listener, script, heard))
        thread.start()
        transport = SmtpTransport(SmtpServer("127.0.0.1", listener.getsockname()[1], is_tls=False))
        assert failure(transport, "ada@example.org") == (kind, reason)
        assert transport.send(message(), SENDER, "ada@example.org") == "250 queued"
        thread.join()
        transport.close()
    assert heard[1:3] == [ENVELOPE, b".\r\n"]


def test_kept_connection_that_ends_with_421_is_opened_again_and_the_mail_goes_once() -> None:
    heard: list[bytes] = []
    mail = [(b"DATA\r\n", b"250 ok\r\n250 ok\r\n354 go on\r\n"), (b"\r\n.\r\n", b"250 queued\r\n")]
    with create_server(("127.0.0.1", free_port())) as listener:

        def serve() -> None:
            recite(listener, [GREETING, *mail, (b"DATA\r\n", b"421 4.3.2 closing\r\n")], heard)
            recite(listener, [GREETING, *mail], heard)

        thread = Thread(target=serve)
        thread.start()
        transport = SmtpTransport(SmtpServer("127.0.0.1", listener.getsockname()[1], is_tls=False))
        for _ in range(2):
            assert transport.send(message(), SENDER, "ada@example.org") == "250 queued"
        thread.join()
        transport.close()
        transport.close()
    assert sum(said.endswith(b"\r\n.\r\n") for said in heard) == 2
