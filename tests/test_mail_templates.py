"""The words of every mail: complete in their text part, one line of subject, and no link from typed text."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask, render_template
from flask_babel import force_locale

from meetup.domain.outbox import MessageKind

TICKET_URL = "https://tickets.example.org/t/Jx0q3yV7b0uYk2rXn5m1Aw"
EVENT_URL = "https://tickets.example.org/e/woodstock"
FOLDER = Path(__file__).parent.parent / "templates/email"
KINDS = sorted(path.parent.name for path in FOLDER.glob("*/body.txt"))
WITH_TICKET = [MessageKind.CONFIRMED, MessageKind.PROMOTED, MessageKind.TICKET_AGAIN]


@dataclass
class Event:
    """What the templates read of an event."""

    title: str = "Woodstock of AI"
    starts_at: datetime = datetime(2026, 11, 28, 17, 30, tzinfo=UTC)
    ends_at: datetime | None = datetime(2026, 11, 29, 1, 0, tzinfo=UTC)
    timezone: str = "Europe/Paris"
    venue: str = "La Gaîté Lyrique"
    address: str = "3 bis rue Papin, Paris"
    accent: str = "teal"


@dataclass
class Registration:
    """What the templates read of a registration."""

    name: str = "Ada Lovelace"
    state: str = "confirmed"
    guests: int = 2
    people: int = 3
    locale: str = "en"


@dataclass
class Words:
    """What a mail is rendered from."""

    event: Event = field(default_factory=Event)
    registration: Registration = field(default_factory=Registration)
    has_ticket: bool = True
    ticket_url: str = TICKET_URL
    event_url: str = EVENT_URL
    short_code: str = "ABCD-EFGH"
    waitlist_position: int | None = None
    qr_cid: str = "ticket"


def render(app: Flask, name: str, words: Words, locale: str = "en") -> str:
    with app.app_context(), force_locale(locale):
        return render_template(f"email/{name}", **vars(words))


def test_every_kind_of_message_has_its_templates() -> None:
    assert {kind.value for kind in MessageKind} <= set(KINDS)
    assert all((FOLDER / kind / name).exists() for kind in KINDS for name in ("subject.txt", "body.html"))


@pytest.mark.parametrize("kind", WITH_TICKET)
def test_text_part_of_a_ticket_is_complete_by_itself(app: Flask, kind: MessageKind) -> None:
    lines = render(app, f"{kind}/body.txt", Words()).split("\n")
    assert lines[0] == "Hello,"
    start = lines.index("Woodstock of AI")
    assert lines[start + 1 : start + 10] == [
        "When: Saturday 28 November 2026, 18:30 – Sunday 29 November 2026, 02:00 (Europe/Paris)",
        "Where: La Gaîté Lyrique, 3 bis rue Papin, Paris",
        "Name: Ada Lovelace",
        "For 3 people",
        "",
        "Your ticket with its QR code:",
        TICKET_URL,
        "",
        "Code to type at the door: ABCD-EFGH",
    ]


@pytest.mark.parametrize("state", ["unverified", "pending", "waitlisted", "declined", "cancelled"])
def test_mail_without_a_seat_shows_no_code(app: Flask, state: str) -> None:
    words = Words(registration=Registration(state=state), has_ticket=False)
    for name in ("ticket_again/body.txt", "ticket_again/body.html"):
        text = render(app, name, words)
        assert (text.count("ABCD"), text.count("cid:"), text.count(TICKET_URL)) == (0, 0, 1)


def test_waitlist_mail_says_the_place_in_line(app: Flask) -> None:
    words = Words(registration=Registration(state="waitlisted"), has_ticket=False, waitlist_position=1234)
    for name in ("body.txt", "body.html"):
        assert "Your place in line: 1,234." in render(app, f"registration_waitlisted/{name}", words)


@pytest.mark.parametrize("kind", KINDS)
def test_typed_text_makes_no_link_no_markup_and_no_second_line(app: Flask, kind: str) -> None:
    typed = "Buy <b>pills</b>\r\nBcc: v@evil.example http://evil.example {{ 7*7 }} %(name)s www.evil.example"
    event = Event(title=typed, venue=typed, address=typed)
    words = Words(event=event, registration=Registration(name=typed))
    subject, text, page = (render(app, f"{kind}/{name}", words) for name in ("subject.txt", "body.txt", "body.html"))
    assert len(subject.strip().splitlines()) == 1
    own_url = EVENT_URL if kind == MessageKind.CANCELLED else TICKET_URL
    if kind != MessageKind.CANCELLED:
        assert set(re.findall(r"\w+://\S+", text)) == {own_url}
    assert re.findall(r"\w+\.example\b(?!\.org)|\w@\w", text.replace(TICKET_URL, "").replace(EVENT_URL, "")) == []
    assert (re.findall(r'href="([^"]*)"', page), page.count("<b>")) == ([own_url], 0)


@pytest.mark.parametrize("kind", KINDS)
def test_page_asks_nobody_for_anything(app: Flask, kind: str) -> None:
    page = render(app, f"{kind}/body.html", Words())
    assert re.findall(r'(?:src|url)[=(]"?([^" )]*)', page) == ["cid:ticket"]
    assert '<meta name="color-scheme" content="light dark">' in page
