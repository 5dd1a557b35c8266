"""Mails to an SMTP server over a connection that is kept, and what its refusals mean (rules 3.3)."""

import re
import smtplib
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from meetup.mail_failures import MailFailure, OwnFault, PermanentFailure, TemporaryFailure
from meetup.mail_message import WrittenMail

MAILS_PER_CONNECTION = 100
IDLE_SECONDS = 60
TIMEOUT_SECONDS = 60
# A server that has taken the whole mail may filter it for minutes; giving up earlier makes duplicates.
FINAL_DOT_TIMEOUT_SECONDS = 600
QUIT_TIMEOUT_SECONDS = 5
LONGEST_REASON = 300
AUTHENTICATION_CODES = (530, 534, 535, 538)
# How a mail is announced, and the answer that each command hopes for.
STAGES = (("MAIL", 250), ("RCPT", 250), ("DATA", 354))
PLAIN_ADDRESS = re.compile(r"(?!.*[,;<>])[!-~]+@[!-~]+")

Answer = tuple[int, bytes]


@dataclass(frozen=True)
class SmtpServer:
    """Where mails go. With `is_tls` the connection is encrypted from its first byte, else by STARTTLS if offered."""

    host: str
    port: int
    is_tls: bool
    username: str = ""
    password: str = field(default="", repr=False)


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

    def send(self, mail: WrittenMail, envelope_from: str, to_address: str) -> str:
        """Send one mail to one address; a refused address leaves the connection open for the next."""
        _check_addresses(envelope_from, to_address)
        try:
            client = self._begin(envelope_from, to_address, len(mail.content))
            return self._deliver(client, mail.content)
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

    def _begin(self, envelope_from: str, to_address: str, size: int) -> smtplib.SMTP:
        """Announce a mail on the kept connection; on a new one when the server has hung up meanwhile."""
        if self._mail_count >= MAILS_PER_CONNECTION or self._clock() - self._used_at > IDLE_SECONDS:
            self.close()
        if self._client is not None:
            commands = _commands(self._client, envelope_from, to_address, size)
            try:
                answer = _ask_first(self._client, commands)
            except (OSError, smtplib.SMTPException):
                answer = (421, b"")
            if answer[0] != 421:
                _announce(self._client, commands, answer)
                return self._client
            self._drop()
        self._client = self._connect()
        self._mail_count = 0
        commands = _commands(self._client, envelope_from, to_address, size)
        _announce(self._client, commands, _ask_first(self._client, commands))
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

    def _deliver(self, client: smtplib.SMTP, content: bytes) -> str:
        # Lines that begin with a dot get a second one (RFC 5321 section 4.5.2).
        stuffed = (b"\r\n" + content.removesuffix(b"\r\n")).replace(b"\r\n.", b"\r\n..")
        client.send(stuffed.removeprefix(b"\r\n") + b"\r\n.\r\n")
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


def _commands(client: smtplib.SMTP, envelope_from: str, to_address: str, size: int) -> tuple[str, ...]:
    """Return what announces a mail, in the order of STAGES."""
    size_option = f" size={size}" if client.has_extn("size") else ""
    return f"MAIL FROM:<{envelope_from}>{size_option}", f"RCPT TO:<{to_address}>", "DATA"


def _ask_first(client: smtplib.SMTP, commands: tuple[str, ...]) -> Answer:
    """Return the answer to the first command; the others are on their way too where the server takes them so."""
    if client.has_extn("pipelining"):
        client.send("".join(f"{command}\r\n" for command in commands))
        return client.getreply()
    return client.docmd(commands[0])


def _announce(client: smtplib.SMTP, commands: tuple[str, ...], first: Answer) -> None:
    """Read or fetch the other answers, until the server waits for the content; raise what a refusal means."""
    answers = [first]
    is_pipelined = client.has_extn("pipelining")
    for command, (_stage, code) in zip(commands[1:], STAGES, strict=False):
        if answers[-1][0] == 421 or not (is_pipelined or _is_of_kind(code, answers[-1])):
            break
        answers.append(client.getreply() if is_pipelined else client.docmd(command))
    accepted = [_is_of_kind(code, answer) for answer, (_stage, code) in zip(answers, STAGES, strict=False)]
    if accepted[-1] and not all(accepted):
        # The server refused the sender or the address and wants the content all the same (RFC 2920 section 3.1).
        client.docmd(".")
    for answer, (stage, code) in zip(answers, STAGES, strict=False):
        _expect(code, stage, answer)


def _check_addresses(envelope_from: str, to_address: str) -> None:
    """Refuse what the SMTP library would read as another address, or as more than one command."""
    for address, failure in ((envelope_from, OwnFault), (to_address, PermanentFailure)):
        if not PLAIN_ADDRESS.fullmatch(address):
            raise failure("not a mail address that can be written to")


def _one_line(text: str) -> str:
    return " ".join(text.split())[:LONGEST_REASON]


def _is_of_kind(code: int, answer: Answer) -> bool:
    return answer[0] // 100 == code // 100


def _expect(code: int, stage: str, answer: Answer) -> str:
    """Return the server's reply when it is of the kind awaited; raise what it means at this stage otherwise."""
    reply = _one_line(f"{answer[0]} {answer[1].decode(errors='replace')}")
    if _is_of_kind(code, answer):
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
