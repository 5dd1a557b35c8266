"""Hand mails to an SMTP server, a folder or a list."""

import os
import re
import secrets
from contextlib import suppress
from datetime import UTC
from pathlib import Path
from typing import Protocol
from urllib.parse import SplitResult, unquote, urlsplit

from meetup.mail_failures import TemporaryFailure
from meetup.mail_message import WrittenMail
from meetup.smtp_transport import SmtpServer, SmtpTransport


class Transport(Protocol):
    """A way out for mails. One thread uses one transport."""

    def send(self, mail: WrittenMail, envelope_from: str, to_address: str) -> str:
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


class FolderTransport:
    """Write each mail as a file `<date>-<message id>.eml`, complete or not at all, for its owner's eyes only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, mail: WrittenMail, envelope_from: str, to_address: str) -> str:
        """Write one mail; the same mail again replaces its file. A full disk is a temporary failure."""
        sent_at = mail.date.astimezone(UTC)
        safe_id = re.sub(r"[^A-Za-z0-9._-]", "_", mail.message_id.strip("<>"))[:120]
        path = self._folder / f"{sent_at:%Y%m%dT%H%M%SZ}-{safe_id}.eml"
        unfinished = self._folder / f".{secrets.token_hex(8)}.unfinished"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(mail.content)
            unfinished.replace(path)
        except OSError as error:
            with suppress(OSError):
                unfinished.unlink()
            raise TemporaryFailure(f"{type(error).__name__}: {error.strerror}") from error
        return f"250 written as {path.name}"

    def close(self) -> None:
        """Nothing is open between two mails."""


class MemoryTransport:
    """Keep mails for tests in the list `sent`, oldest first: mail, envelope sender, address."""

    def __init__(self) -> None:
        self.sent: list[tuple[WrittenMail, str, str]] = []

    def send(self, mail: WrittenMail, envelope_from: str, to_address: str) -> str:
        """Keep one mail."""
        self.sent.append((mail, envelope_from, to_address))
        return f"250 kept as number {len(self.sent)}"

    def close(self) -> None:
        """Nothing is open."""
