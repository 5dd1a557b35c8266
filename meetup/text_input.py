"""What people type, brought into one form: a line of text, an e-mail address. Pure."""

import re
import unicodedata
from dataclasses import dataclass

from email_validator import EmailNotValidError, validate_email

LONGEST_NAME = 200
LONGEST_EMAIL = 254
# Persian, the scripts of India and emoji need these two; every other invisible character goes.
_JOINERS = "\u200c\u200d"


class BadAddress(ValueError):
    """The text is no e-mail address that mail can be sent to."""


@dataclass(frozen=True)
class EmailAddress:
    """An address as mail is sent to it, and `key`: the same for every spelling of it (rules 2.1)."""

    email: str
    key: str


def clean_line(text: str) -> str:
    """Return a text as one line: trimmed, spaces joined, without control and direction characters."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    spaced = (" " if c.isspace() else c for c in text)
    kept = "".join(c for c in spaced if c in _JOINERS or not unicodedata.category(c).startswith("C"))
    return " ".join(kept.split()) if kept.strip(" " + _JOINERS) else ""


# Most addresses by far: nothing in them that could be written in two ways. The library takes every one of these as it
# is, and costs more than the rest of a registration's form.
_LABEL = "[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?"
_PLAIN = re.compile(rf"[A-Za-z0-9_+]+(?:[.-][A-Za-z0-9_+]+)*@{_LABEL}(?:\.{_LABEL})*\.[a-z]{{2,10}}")
LONGEST_LOCAL_PART = 64


def _is_plain(text: str) -> bool:
    return (
        len(text) <= LONGEST_EMAIL
        and text.find("@") <= LONGEST_LOCAL_PART
        and _PLAIN.fullmatch(text) is not None
        and "--" not in text
    )


def parse_email(text: str) -> EmailAddress:
    """Read an address; raise BadAddress when it cannot be one. The name server is not asked."""
    text = text.strip()
    if _is_plain(text):
        return EmailAddress(text, text.casefold())
    try:
        parsed = validate_email(text, check_deliverability=False, allow_smtputf8=False, globally_deliverable=False)
    except EmailNotValidError as error:
        raise BadAddress(str(error)) from error
    ascii_email = parsed.ascii_email
    _, dot, last_label = parsed.ascii_domain.rpartition(".")
    if ascii_email is None or len(ascii_email) > LONGEST_EMAIL or not dot or last_label.isdigit():
        raise BadAddress("too long, or no full domain")
    return EmailAddress(parsed.normalized, ascii_email.casefold())
