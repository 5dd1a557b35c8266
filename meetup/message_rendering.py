"""From a row of the outbox to a mail, in the attendee's language."""

import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from flask import current_app, render_template
from flask_babel import force_locale

from meetup.clock import utc_now
from meetup.domain import calendar, tickets, waitlist
from meetup.domain.outbox import MessageKind
from meetup.mail_message import Mail, WrittenMail, ascii_address, split_sender, write_mail
from meetup.site import current_site
from meetup.storage.db import db
from meetup.storage.events import Event
from meetup.storage.outbox import LeasedMessage
from meetup.storage.registrations import Registration, State
from meetup.ticket_files import calendar_file, qr_matrix, qr_png

QR_CID = "ticket-qr"
# What differs from one attendee to the next stands in a rendered template as a mark that nobody can have typed.
_MARK = secrets.token_hex(16)
_MARKED = re.compile(f"{_MARK}-([a-z]+)-")


def _marked(name: str) -> str:
    return f"{_MARK}-{name}-"


@dataclass(frozen=True)
class EventFacts:
    """What the templates read of an event."""

    title: str
    starts_at: datetime
    ends_at: datetime | None
    timezone: str
    venue: str
    address: str
    accent: str


@dataclass(frozen=True)
class RegistrationFacts:
    """What the templates read of a registration; the name comes later."""

    state: str
    guests: int
    people: int
    locale: str
    name: str = _marked("name")


@dataclass(frozen=True)
class Occasion:
    """All that the words of a mail depend on but what is one attendee's alone."""

    kind: str
    locale: str
    event: EventFacts
    event_url: str
    registration: RegistrationFacts
    waitlist_position: int | None
    has_ticket: bool


@dataclass(frozen=True)
class Wording:
    """Rendered texts, each cut where something of the attendee belongs: text, name of the thing, text and so on."""

    subject: str
    text: tuple[str, ...]
    html: tuple[str, ...]


def render_message(leased: LeasedMessage) -> WrittenMail:
    """Return the mail that a row promises, as things stood when it was read; ValueError when it cannot be one."""
    registration, ticket = leased.registration, leased.ticket
    if registration is None or ticket is None:
        raise ValueError("there is no ticket to tell of")
    message, event, site = leased.message, leased.event, current_site()
    sender = site.config["MAIL_FROM"]
    occasion = _occasion(leased, registration)
    face = tickets.face_of(event, leased.key, ticket, site.vault)
    ticket_url = f"{site.config.base_url}/t/{registration.ticket_key}"
    wording = _wording(occasion)
    own = {"url": ticket_url, "code": face.short_code}
    mail = Mail(
        message_id=f"<{message.message_token}@{ascii_address(split_sender(sender)[1]).rpartition('@')[2]}>",
        sender=sender,
        to_address=message.to_address,
        subject=wording.subject,
        text=_filled(wording.text, own | {"name": _plain("txt", registration.name)}),
        html=_filled(wording.html, own | {"name": _plain("html", registration.name)}),
        locale=message.locale,
        date=utc_now(),
        inline_png=qr_png(qr_matrix(face.code)) if occasion.has_ticket else None,
        inline_png_cid=QR_CID,
        calendar=calendar_file(calendar.registration_entry(event, registration, ticket_url)),
    )
    return write_mail(mail)


def _occasion(leased: LeasedMessage, registration: Registration) -> Occasion:
    message, event = leased.message, leased.event
    return Occasion(
        kind=message.kind,
        locale=message.locale,
        event=_event_facts(event),
        event_url=f"{current_site().config.base_url}/e/{event.slug}",
        registration=RegistrationFacts(
            registration.state, registration.guests, registration.people, registration.locale
        ),
        waitlist_position=waitlist.get_position(db.session(), registration),
        has_ticket=registration.state == State.CONFIRMED and message.kind != MessageKind.CANCELLED,
    )


def _event_facts(event: Event) -> EventFacts:
    return EventFacts(
        event.title, event.starts_at, event.ends_at, event.timezone, event.venue, event.address, event.accent
    )


@lru_cache(maxsize=256)
def _wording(occasion: Occasion) -> Wording:
    """Render the templates of an occasion; once, because most of the time a mail takes would go there."""
    folder = f"email/{occasion.kind}"
    words = {
        **vars(occasion),
        "ticket_url": _marked("url"),
        "short_code": _marked("code"),
        "qr_cid": QR_CID,
    }
    with force_locale(occasion.locale):
        return Wording(
            subject=" ".join(render_template(f"{folder}/subject.txt", **words).split()),
            text=tuple(_MARKED.split(render_template(f"{folder}/body.txt", **words))),
            html=tuple(_MARKED.split(render_template(f"{folder}/body.html", **words))),
        )


def _plain(kind: str, name: str) -> str:
    """Return what somebody typed as the templates write it: no link, no markup, one line."""
    facts = current_app.jinja_env.get_template(f"email/_facts.{kind}").module
    return str(facts.plain(name))  # type: ignore[attr-defined]


def _filled(pieces: tuple[str, ...], own: dict[str, str]) -> str:
    return "".join(own[piece] if number % 2 else piece for number, piece in enumerate(pieces))
