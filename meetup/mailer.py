"""Hand mails to an SMTP server, a folder or a list, and tell failures apart by who can mend them (rules 3.3)."""

import email.policy
import os
import re
import secrets
import smtplib
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Protocol
from urllib.parse import SplitResult, unquote, urlsplit

MAILS_PER_CONNECTION = 100
IDLE_SECONDS = 60
TIMEOUT_SECONDS = 60
# A server that has taken the whole mail may filter it for minutes; giving up earlier makes duplicates.
FINAL_DOT_TIMEOUT_SECONDS = 600
QUIT_TIMEOUT_SECONDS = 5
LONGEST_REASON = 300
AUTHENTICATION_CODES = (530, 534, 535, 538)
PLAIN_ADDRESS = re.compile(r"(?!.*[,;<>])[!-~]+@[!-~]+")


class MailFailure(Exception):
    """A mail was not taken; `reason` is one line for the organiser, such as "451 4.7.1 try later"."""

    @property
    def reason(self) -> str:
        return str(self.args[0])


class TemporaryFailure(MailFailure):
    """The same mail may pass later: 4xx, no connection, TLS, time-out, cut before the answer."""


class PermanentFailure(MailFailure):
    """This mail to this address will never pass: 5xx at the recipient or the content."""


class OwnFault(MailFailure):
    """The server refuses us, not the mail: sign-in, sender or relaying. Stop the queue, keep its rows."""


class Transport(Protocol):
    """A way out for mails. One thread uses one transport."""

    def send(self, message: EmailMessage, envelope_from: str, to_address: str) -> str:
        """Hand one message over and return the server's reply; raises a MailFailure when it was not taken.

        Both addresses are plain ones in ASCII, as `mail_message.ascii_address` returns them.
        """

    def close(self) -> None:
        """Let go of what is open; the transport can be used again."""


def open_transport(mail_url: str) -> Transport:
    """Return the transport for `smtp://[user:password@]host[:port]`, `smtps://…`, `file:///folder` or `memory:`.

    Connects at the first mail. Raises ValueError, without the URL in its words, for anything else.
    """
    url = urlsplit(mail_url)
    if url.scheme in ("smtp", "smtps"):
        return SmtpTransport(_smtp_server(url))
    if url.scheme == "file" and url.netloc in ("", "localhost") and url.path.startswith("/"):
        return FolderTransport(Path(unquote(url.path)))
    if mail_url == "memory:":
        return MemoryTransport()
    raise ValueError("a mail URL starts with smtp://, smtps:// or file:/// and names a host or a folder")


@dataclass(frozen=True)
class SmtpServer:
    """Where mails go. With `is_tls` the connection is encrypted from its first byte, else by STARTTLS if offered."""

    host: str
    port: int
    is_tls: bool
    username: str = ""
    password: str = field(default="", repr=False)


def _smtp_server(url: SplitResult) -> SmtpServer:
    is_tls = url.scheme == "smtps"
    try:
        port = url.port or (465 if is_tls else 25)
    except ValueError:
        # A slash in the password makes the rest of it look like a port, which the parser would print.
        raise ValueError("the mail URL's port is no number; write special characters as %2F") from None
    username, password = unquote(url.username or ""), unquote(url.password or "")
    if not url.hostname or not (username + password).isascii():
        raise ValueError("the mail URL names no host, or credentials that are not ASCII")
    return SmtpServer(url.hostname, port, is_tls, username, password)


class SmtpTransport:
    """One kept connection to an SMTP server; `tls_context` and `clock` (seconds) can be others for tests."""

    def __init__(
        self,
        server: SmtpServer,
        tls_context: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server = server
        self._tls_context = tls_context or ssl.create_default_context()
        self._clock = clock
        self._client: smtplib.SMTP | None = None
        self._mail_count = 0
        self._used_at = 0.0

    def send(self, message: EmailMessage, envelope_from: str, to_address: str) -> str:
        """Send one message to one address; a refused address leaves the connection open for the next."""
        _check_addresses(envelope_from, to_address)
        payload = message.as_bytes(policy=email.policy.SMTP)
        try:
            client = self._begin(envelope_from, len(payload))
            _expect(250, "RCPT", client.rcpt(to_address))
            return self._deliver(client, payload)
        except MailFailure as failure:
            self._reset(failure)
            raise
        except (OSError, smtplib.SMTPException) as error:
            self._drop()
            raise _failure_of(error) from error
        finally:
            self._mail_count += 1
            self._used_at = self._clock()

    def close(self) -> None:
        """Say goodbye to the server, if connected; the next mail connects again."""
        client, self._client = self._client, None
        if client is None:
            return
        try:
            _set_timeout(client, QUIT_TIMEOUT_SECONDS)
            client.quit()
        except (OSError, smtplib.SMTPException):
            client.close()

    def _begin(self, envelope_from: str, size: int) -> smtplib.SMTP:
        """Name the sender on the kept connection; on a new one when the server has hung up meanwhile."""
        if self._mail_count >= MAILS_PER_CONNECTION or self._clock() - self._used_at > IDLE_SECONDS:
            self.close()
        if self._client is not None:
            try:
                answer = self._client.mail(envelope_from, _mail_options(self._client, size))
            except (OSError, smtplib.SMTPException):
                answer = (421, b"")
            if answer[0] != 421:
                _expect(250, "MAIL", answer)
                return self._client
            self._drop()
        self._client = self._connect()
        self._mail_count = 0
        _expect(250, "MAIL", self._client.mail(envelope_from, _mail_options(self._client, size)))
        return self._client

    def _connect(self) -> smtplib.SMTP:
        """Return a connection that is encrypted and signed in as far as it is going to be."""
        server = self._server
        dial = partial(smtplib.SMTP_SSL, context=self._tls_context) if server.is_tls else smtplib.SMTP
        client = dial(server.host, server.port, timeout=TIMEOUT_SECONDS)
        try:
            client.ehlo_or_helo_if_needed()
            if not server.is_tls and client.has_extn("starttls"):
                client.starttls(context=self._tls_context)
                client.ehlo()
            if server.username:
                client.login(server.username, server.password)
        except BaseException:
            client.close()
            raise
        return client

    def _deliver(self, client: smtplib.SMTP, payload: bytes) -> str:
        _expect(354, "DATA", client.docmd("DATA"))
        # Lines that begin with a dot get a second one (RFC 5321 section 4.5.2).
        client.send(re.sub(rb"(?m)^\.", b"..", payload.removesuffix(b"\r\n")) + b"\r\n.\r\n")
        _set_timeout(client, FINAL_DOT_TIMEOUT_SECONDS)
        answer = client.getreply()
        _set_timeout(client, TIMEOUT_SECONDS)
        return _expect(250, "content", answer)

    def _reset(self, failure: MailFailure) -> None:
        """Make the connection ready for the next mail, or give it up where the server does."""
        if self._client is None or isinstance(failure, OwnFault) or failure.reason.startswith("421"):
            self.close()
            return
        try:
            self._client.rset()
        except (OSError, smtplib.SMTPException):
            self._drop()

    def _drop(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None


def _set_timeout(client: smtplib.SMTP, seconds: float) -> None:
    if client.sock is not None:
        client.sock.settimeout(seconds)


def _mail_options(client: smtplib.SMTP, size: int) -> list[str]:
    return [f"size={size}"] if client.has_extn("size") else []


def _check_addresses(envelope_from: str, to_address: str) -> None:
    """Refuse what the SMTP library would read as another address, or as more than one command."""
    for address, failure in ((envelope_from, OwnFault), (to_address, PermanentFailure)):
        if not PLAIN_ADDRESS.fullmatch(address):
            raise failure("not a mail address that can be written to")


def _one_line(text: str) -> str:
    return " ".join(text.split())[:LONGEST_REASON]


def _expect(code: int, stage: str, answer: tuple[int, bytes]) -> str:
    """Return the server's reply when it is of the kind awaited; raise what it means at this stage otherwise."""
    reply = _one_line(f"{answer[0]} {answer[1].decode(errors='replace')}")
    if answer[0] // 100 == code // 100:
        return reply
    raise _refusal(stage, answer[0], reply)


def _refusal(stage: str, code: int, reply: str) -> MailFailure:
    is_relaying = re.match(r"5\d\d 5\.7\.\d+ .*\brelay", reply, re.IGNORECASE) is not None
    is_too_large = code == 552 or " 5.3.4 " in reply
    if not 500 <= code <= 599:
        return TemporaryFailure(reply)
    if code in AUTHENTICATION_CODES or (stage in ("hello", "MAIL") and not is_too_large):
        return OwnFault(reply)
    # A server that does not relay for us says so of each address: all would be given up, none at fault.
    return OwnFault(reply) if stage == "RCPT" and is_relaying else PermanentFailure(reply)


def _failure_of(error: Exception) -> MailFailure:
    """Translate what the SMTP library or the network raised."""
    if isinstance(error, smtplib.SMTPConnectError | smtplib.SMTPHeloError | smtplib.SMTPAuthenticationError):
        reply = error.smtp_error
        text = reply.decode(errors="replace") if isinstance(reply, bytes) else str(reply)
        return _refusal("hello", error.smtp_code, _one_line(f"{error.smtp_code} {text}"))
    reason = _one_line(f"{type(error).__name__}: {error}")
    # The library's bare exception says that the server offers no way of signing in that we know.
    if isinstance(error, smtplib.SMTPNotSupportedError) or type(error) is smtplib.SMTPException:
        return OwnFault(reason)
    return TemporaryFailure(reason)


class FolderTransport:
    """Write each mail as a file `<date>-<message id>.eml`, complete or not at all, for its owner's eyes only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, message: EmailMessage, envelope_from: str, to_address: str) -> str:
        """Write one mail; the same mail again replaces its file. A full disk is a temporary failure."""
        sent_at = message["Date"].datetime.astimezone(UTC)
        safe_id = re.sub(r"[^A-Za-z0-9._-]", "_", message["Message-ID"].strip("<>"))[:120]
        path = self._folder / f"{sent_at:%Y%m%dT%H%M%SZ}-{safe_id}.eml"
        unfinished = self._folder / f".{secrets.token_hex(8)}.unfinished"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(message.as_bytes(policy=email.policy.SMTP))
            unfinished.replace(path)
        except OSError as error:
            with suppress(OSError):
                unfinished.unlink()
            raise TemporaryFailure(f"{type(error).__name__}: {error.strerror}") from error
        return f"250 written as {path.name}"

    def close(self) -> None:
        """Nothing is open between two mails."""


class MemoryTransport:
    """Keep mails for tests in the list `sent`, oldest first: message, envelope sender, address."""

    def __init__(self) -> None:
        self.sent: list[tuple[EmailMessage, str, str]] = []

    def send(self, message: EmailMessage, envelope_from: str, to_address: str) -> str:
        """Keep one mail."""
        self.sent.append((message, envelope_from, to_address))
        return f"250 kept as number {len(self.sent)}"

    def close(self) -> None:
        """Nothing is open."""
