"""From a row of the outbox to a mail, in the attendee's language."""

from email.message import EmailMessage

from flask import render_template
from flask_babel import force_locale

from meetup.clock import utc_now
from meetup.domain import tickets, waitlist
from meetup.domain.outbox import MessageKind
from meetup.mail_message import Mail, ascii_address, build_message, split_sender
from meetup.site import current_site
from meetup.storage import events, registrations
from meetup.storage.db import db
from meetup.storage.events import Event
from meetup.storage.outbox import OutboxMessage
from meetup.storage.registrations import Registration, State
from meetup.ticket_files import CalendarEntry, calendar_file, qr_matrix, qr_png

QR_CID = "ticket-qr"


def render_message(message: OutboxMessage) -> EmailMessage:
    """Return the mail that a row promises, as things stand now; ValueError when it cannot be one."""
    session = db.session()
    assert message.registration_id is not None
    registration = registrations.get_registration(session, message.registration_id)
    event = events.get_event_by_id(session, message.event_id)
    with force_locale(message.locale):
        return build_message(_mail(message, event, registration))


def _mail(message: OutboxMessage, event: Event, registration: Registration) -> Mail:
    config = current_site().config
    has_ticket = registration.state == State.CONFIRMED and message.kind != MessageKind.CANCELLED
    face = tickets.get_face(db.session(), event, registration, current_site().vault)
    ticket_url = f"{config.base_url}/t/{registration.ticket_key}"
    words = {
        "event": event,
        "registration": registration,
        "ticket_url": ticket_url,
        "event_url": f"{config.base_url}/e/{event.slug}",
        "short_code": face.short_code,
        "waitlist_position": waitlist.get_position(db.session(), registration),
        "has_ticket": has_ticket,
        "qr_cid": QR_CID,
    }
    folder = f"email/{message.kind}"
    domain = ascii_address(split_sender(config["MAIL_FROM"])[1]).rpartition("@")[2]
    return Mail(
        message_id=f"<{message.message_token}@{domain}>",
        sender=config["MAIL_FROM"],
        to_address=message.to_address,
        subject=" ".join(render_template(f"{folder}/subject.txt", **words).split()),
        text=render_template(f"{folder}/body.txt", **words),
        html=render_template(f"{folder}/body.html", **words),
        locale=message.locale,
        date=utc_now(),
        inline_png=qr_png(qr_matrix(face.code)) if has_ticket else None,
        inline_png_cid=QR_CID,
        calendar=calendar_file(_entry(event, registration, ticket_url)),
    )


def _entry(event: Event, registration: Registration, ticket_url: str) -> CalendarEntry:
    return CalendarEntry(
        uid=f"registration-{registration.public_id}@turnout",
        title=event.title,
        starts_at=event.starts_at,
        ends_at=event.ends_at,
        timezone=event.timezone,
        venue=event.venue,
        address=event.address,
        description=ticket_url,
        url=ticket_url,
        sequence=event.revision + registration.revision,
        is_cancelled=registration.state == State.CANCELLED,
        made_at=utc_now(),
    )
