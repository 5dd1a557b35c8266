"""One mail, written from rendered bodies: its parts, its headers, and no way for typed text to make either. Pure.

The parts are put together here as bytes, in a tenth of the time that the library's tree of parts takes. What people
typed goes through the library all the same: the subject, the names and every header that is not ours alone.
"""

import base64
import binascii
import email.errors
import email.policy
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.headerregistry import Address
from email.utils import format_datetime
from functools import lru_cache

import idna

# No encoded body holds these: quoted-printable never leaves an equals sign before an underscore, base64 has none.
MIXED, ALTERNATIVE, RELATED = b"=_mixed", b"=_alternative", b"=_related"
LINE_END = re.compile(rb"\r\n|\r|\n")
# Seven-bit bodies pass every relay, also those without 8BITMIME, and hold lines of any length.
QUOTED = b"Content-Transfer-Encoding: quoted-printable\r\n"
BASE64 = b"Content-Transfer-Encoding: base64\r\n"
# What most addresses are: nothing in them has another meaning, for us or for a server.
DOT_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
COMMON_ADDRESS = re.compile(rf"{DOT_ATOM}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")


@dataclass(frozen=True)
class Mail:
    """One mail, rendered: bodies in the attendee's language, `date` aware, `message_id` with its brackets.

    `sender` is "Name <address>" or an address; the HTML shows the picture as `cid:<inline_png_cid>`.
    """

    message_id: str
    sender: str
    to_address: str
    subject: str
    text: str
    html: str
    locale: str
    date: datetime
    inline_png: bytes | None = None
    inline_png_cid: str = "ticket"
    calendar: bytes | None = None
    extra_headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class WrittenMail:
    """A mail as it goes over the wire: CRLF, seven bits, no line over 998 bytes."""

    message_id: str
    date: datetime
    content: bytes


def write_mail(mail: Mail) -> WrittenMail:
    """Return mixed(alternative(text, related(html, picture)), calendar); without a picture the HTML stands alone.

    Raises ValueError for an address or a header that cannot be used: such a mail can never be sent.
    """
    html = _text_part("html", mail.html)
    if mail.inline_png is not None:
        picture = _picture_part(mail.inline_png, mail.inline_png_cid)
        html = _multipart(RELATED, b'related; type="text/html"', html, picture)
    parts = [_multipart(ALTERNATIVE, b"alternative", _text_part("plain", mail.text), html)]
    if mail.calendar is not None:
        parts.append(_calendar_part(mail.calendar))
    content = _headers(mail) + _multipart(MIXED, b"mixed", *parts)
    return WrittenMail(mail.message_id, mail.date, content)


def _headers(mail: Mail) -> bytes:
    to_address = ascii_address(mail.to_address)
    lines = [
        _sender_header(mail.sender),
        f"To: {to_address}\r\n",
        _header("Subject", mail.subject),
        f"Date: {format_datetime(mail.date)}\r\n",
        f"Message-ID: {_one_line(mail.message_id)}\r\n",
        "Auto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\n",
        *(_header(name, value) for name, value in mail.extra_headers.items()),
        _header("Content-Language", mail.locale),
        "MIME-Version: 1.0\r\n",
    ]
    return "".join(lines).encode("ascii")


@lru_cache(maxsize=8)
def _sender_header(sender: str) -> str:
    name, address = split_sender(sender)
    return _folded("From", Address(display_name=_one_line(name), addr_spec=ascii_address(address)))


@lru_cache(maxsize=256)
def _header(name: str, text: str) -> str:
    """Return a header as the library folds and encodes it; kept, because many mails say the same."""
    return _folded(name, _one_line(text))


def _folded(name: str, value: str | Address) -> str:
    policy = email.policy.SMTP
    folded: str = policy.fold(*policy.header_store_parse(name, value))
    return folded


def _multipart(boundary: bytes, kind: bytes, *parts: bytes) -> bytes:
    """Return parts as one part; each part begins with its headers."""
    head = b'Content-Type: multipart/%b; boundary="%b"\r\n\r\n' % (kind, boundary)
    return head + b"".join(b"--%b\r\n%b\r\n" % (boundary, part) for part in parts) + b"--%b--\r\n" % boundary


def _text_part(subtype: str, text: str) -> bytes:
    # The last line end matters: by it the encoder sees how lines end, and breaks long ones in the same way.
    body = LINE_END.sub(b"\r\n", text.removesuffix("\n").encode() + b"\n")
    head = f'Content-Type: text/{subtype}; charset="utf-8"\r\n'.encode()
    return head + QUOTED + b"\r\n" + binascii.b2a_qp(body)


def _picture_part(png: bytes, cid: str) -> bytes:
    head = (
        'Content-Type: image/png\r\nContent-Disposition: inline; filename="ticket.png"\r\n'
        f"Content-ID: <{_one_line(cid)}>\r\n"
    )
    return head.encode("ascii") + BASE64 + b"\r\n" + _base64_lines(png)


def _calendar_part(calendar: bytes) -> bytes:
    head = (
        b'Content-Type: text/calendar; charset="utf-8"; method="PUBLISH"\r\n'
        b'Content-Disposition: attachment; filename="event.ics"\r\n'
    )
    return head + BASE64 + b"\r\n" + _base64_lines(calendar)


def _base64_lines(content: bytes) -> bytes:
    return base64.encodebytes(content).replace(b"\n", b"\r\n")


def _one_line(text: str) -> str:
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in text):
        raise ValueError("a header must be one line of printable text")
    return text


def split_sender(sender: str) -> tuple[str, str]:
    """Return the name and the address of `Name <address>`; the name may hold commas, or be missing."""
    name, _, address = sender.rpartition("<")
    return name.strip(' "'), address.strip(" >")


def ascii_address(address: str) -> str:
    """Return an address as SMTP takes it, an international domain in its ASCII form.

    Raises ValueError for anything but exactly one plain address, as for `a@x.org, b@y.org`.
    """
    if COMMON_ADDRESS.fullmatch(address):
        return address
    local_part, _, domain = address.rpartition("@")
    try:
        plain = f"{local_part}@{domain if domain.isascii() else idna.encode(domain, uts46=True).decode()}"
        if Address(addr_spec=plain).addr_spec == plain and plain.isascii():
            return plain
    except (ValueError, IndexError, email.errors.MessageError):
        # The parser has many ways to fail; its own words would repeat what somebody typed.
        pass
    raise ValueError("not a mail address that can be written to")
