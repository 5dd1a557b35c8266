"""One mail, built from rendered bodies: its parts, its headers, and no way for typed text to make either. Pure."""

import email.errors
import email.policy
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage

import idna

# Seven-bit bodies pass every relay, also those without 8BITMIME, and hold lines of any length.
BUILD_POLICY = email.policy.SMTP.clone(cte_type="7bit")


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


def build_message(mail: Mail) -> EmailMessage:
    """Return mixed(alternative(text, related(html, picture)), calendar); without a picture the HTML stands alone.

    Raises ValueError for an address or a header that cannot be used: such a mail can never be sent.
    """
    message = EmailMessage(policy=BUILD_POLICY)
    message["From"] = _address(*split_sender(mail.sender))
    message["To"] = _address("", mail.to_address)
    message["Subject"] = _one_line(mail.subject)
    message["Date"] = mail.date
    message["Message-ID"] = _one_line(mail.message_id)
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    for name, value in mail.extra_headers.items():
        message[name] = _one_line(value)
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    if mail.inline_png is not None:
        _add_picture(message, mail.inline_png, mail.inline_png_cid)
    message.make_mixed()
    # Only now: the library moves every Content- header into the parts that it makes.
    message["Content-Language"] = mail.locale
    if mail.calendar is not None:
        # As bytes: a text part would have its line ends rewritten.
        parameters = {"charset": "utf-8", "method": "PUBLISH"}
        message.add_attachment(mail.calendar, "text", "calendar", filename="event.ics", params=parameters)
    return message


def _add_picture(message: EmailMessage, png: bytes, cid: str) -> None:
    related = list(message.iter_parts())[-1]
    assert isinstance(related, EmailMessage)
    related.add_related(png, "image", "png", cid=f"<{cid}>", disposition="inline", filename="ticket.png")
    related.set_param("type", "text/html")


def _one_line(text: str) -> str:
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in text):
        raise ValueError("a header must be one line of printable text")
    return text


def _address(display_name: str, address: str) -> Address:
    return Address(display_name=_one_line(display_name), addr_spec=ascii_address(address))


def split_sender(sender: str) -> tuple[str, str]:
    """Return the name and the address of `Name <address>`; the name may hold commas, or be missing."""
    name, _, address = sender.rpartition("<")
    return name.strip(' "'), address.strip(" >")


def ascii_address(address: str) -> str:
    """Return an address as SMTP takes it, an international domain in its ASCII form.

    Raises ValueError for anything but exactly one plain address, as for `a@x.org, b@y.org`.
    """
    local_part, _, domain = address.rpartition("@")
    try:
        plain = f"{local_part}@{domain if domain.isascii() else idna.encode(domain, uts46=True).decode()}"
        if Address(addr_spec=plain).addr_spec == plain and plain.isascii():
            return plain
    except (ValueError, IndexError, email.errors.MessageError):
        # The parser has many ways to fail; its own words would repeat what somebody typed.
        pass
    raise ValueError("not a mail address that can be written to")
