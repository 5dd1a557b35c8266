"""What arrives: the parts of a ticket mail, each read by a program that is not ours (contract section 4)."""

import io
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
import zxingcpp
from flask import render_template
from flask_babel import force_locale
from icalendar import Calendar
from PIL import Image
from sqlalchemy import update

from meetup.clock import utc_now
from meetup.domain.outbox import MessageKind
from meetup.message_rendering import render_message
from meetup.storage import outbox
from meetup.storage.db import db, transaction
from meetup.storage.outbox import OutboxMessage
from tests.factories import World
from tests.worker.mailroom import Mailroom

ENGLISH, FRENCH = {"Accept-Language": "en"}, {"Accept-Language": "fr"}


def register(world: World, headers: dict[str, str] = ENGLISH, **form: str) -> dict[str, Any]:
    """Register as the public does; return the ticket as JSON, and its page's address."""
    typed = {"name": "Ada Lovelace", "email": "ada@example.org"} | form
    client = world.app.test_client()
    page = client.post("/e/evening/register", data=typed, headers=headers).headers["Location"]
    return {**(client.get(f"{page}.json").json or {}), "url": f"http://localhost{page}"}


def received(mailroom: Mailroom) -> EmailMessage:
    mailroom.work()
    ((_sender, _to, content),) = mailroom.desk.mails
    mail = message_from_bytes(content, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    return mail


def shape(part: EmailMessage) -> Any:
    """Return the content type of a part, with those of its own parts."""
    if not part.is_multipart():
        return part.get_content_type()
    return [part.get_content_subtype(), *(shape(each) for each in part.iter_parts())]  # type: ignore[arg-type]


def leaves(mail: EmailMessage) -> dict[str, EmailMessage]:
    return {part.get_content_type(): part for part in mail.walk() if not part.is_multipart()}


def body(mail: EmailMessage, content_type: str) -> str:
    """Return a body as it is read: soft line ends and double spaces gone."""
    return " ".join(str(leaves(mail)[content_type].get_content()).split())


def test_ticket_mail_has_the_parts_of_the_contract(world: World, mailroom: Mailroom) -> None:
    world.event(guests=2)
    register(world, guests="2")

    mail = received(mailroom)

    assert shape(mail) == [
        "mixed",
        ["alternative", "text/plain", ["related", "text/html", "image/png"]],
        "text/calendar",
    ]
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"].endswith("@example.org>")
    assert mail["From"] == "Turnout <tickets@example.org>"
    assert mail["To"] == "ada@example.org"
    assert mail["Content-Language"] == "en"
    assert mail["List-Unsubscribe"] is None
    assert not mail.defects


def test_picture_in_the_mail_is_the_tickets_code(world: World, mailroom: Mailroom) -> None:
    world.event()
    ticket = register(world)

    mail = received(mailroom)

    picture = leaves(mail)["image/png"]
    (code,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(picture.get_content())))
    assert code.text == ticket["code"]
    cid = picture["Content-ID"].strip("<>")
    assert f'src="cid:{cid}"' in leaves(mail)["text/html"].get_content()
    assert picture.get_content_disposition() == "inline"


def test_text_part_alone_gets_somebody_in(world: World, mailroom: Mailroom) -> None:
    world.event(title="A fine evening", venue="The hall")
    ticket = register(world)

    text = body(received(mailroom), "text/plain")

    short_code = ticket["short_code"]
    assert f"{short_code[:4]}-{short_code[-4:]}" in text
    for part in (ticket["url"], "A fine evening", "The hall"):
        assert part in text


def test_calendar_part_is_the_event(world: World, mailroom: Mailroom) -> None:
    world.event(title="A fine evening", venue="The hall")
    ticket = register(world)

    part = leaves(received(mailroom))["text/calendar"]

    raw = part.get_payload(decode=True)
    assert isinstance(raw, bytes)
    calendar = Calendar.from_ical(raw)
    (entry,) = calendar.walk("VEVENT")
    assert (str(entry["SUMMARY"]), str(entry["LOCATION"])) == ("A fine evening", "The hall")
    assert str(entry["URL"]) == ticket["url"]
    assert (calendar["METHOD"], part.get_param("method")) == ("PUBLISH", "PUBLISH")


def test_mail_speaks_the_language_of_the_registration(world: World, mailroom: Mailroom) -> None:
    world.event(title="Une soirée")
    register(world, FRENCH)

    mail = received(mailroom)

    assert mail["Content-Language"] == "fr"
    text = body(mail, "text/plain")
    assert text.startswith("Bonjour")
    assert "Hello" not in text
    assert 'lang="fr"' in leaves(mail)["text/html"].get_content()
    assert "Une soirée" in mail["Subject"]


def test_somebody_who_waits_gets_no_code(world: World, mailroom: Mailroom) -> None:
    world.event(capacity=0)
    ticket = register(world)
    assert ticket["state"] == "waitlisted"

    mail = received(mailroom)

    assert shape(mail) == ["mixed", ["alternative", "text/plain", "text/html"], "text/calendar"]
    assert ticket["url"] in body(mail, "text/plain")


def test_mail_says_how_things_stand_when_it_goes(world: World, mailroom: Mailroom) -> None:
    world.event()
    ticket = register(world)
    world.app.test_client().post(ticket["url"].removeprefix("http://localhost") + "/edit", data={"name": "Grace"})

    assert "Grace" in body(received(mailroom), "text/plain")


@pytest.mark.parametrize("name", ["Eve\r\nBcc: victim@example.org", "Eve https://evil.example", "<b>Eve</b>", "Ève 🎈"])
def test_typed_text_makes_no_header_and_no_link(world: World, mailroom: Mailroom, name: str) -> None:
    world.event()
    register(world, name=name)

    mail = received(mailroom)

    assert mail["Bcc"] is None
    assert mailroom.desk.mails[0][1] == ["ada@example.org"]
    html = leaves(mail)["text/html"].get_content()
    assert "<b>Eve" not in html
    assert 'href="https://evil.example' not in html


def test_sender_may_have_an_international_domain(world: World, mailroom: Mailroom) -> None:
    world.event()
    world.register()
    mailroom.set("MAIL_FROM", "Billetterie <tickets@fête.example>")

    mail = received(mailroom)

    assert mailroom.desk.mails[0][0] == "tickets@xn--fte-fma.example"
    assert mail["Message-ID"].isascii()
    assert mail["Message-ID"].endswith("@xn--fte-fma.example>")


@pytest.mark.parametrize("kind", list(MessageKind))
@pytest.mark.parametrize("locale", ["en", "fr"])
def test_words_are_those_of_the_templates_rendered_whole(
    world: World, mailroom: Mailroom, kind: MessageKind, locale: str
) -> None:
    name = "Zoë <b>&amp; $name {{ 7*7 }} https://evil.example \U0001f388 \\1"
    world.event(title="L’été <i>&</i> a.b@c.example", venue="La Gaîté", guests=2)
    ticket = world.register(name=name, guests=2)
    with world.app.app_context():
        with transaction() as session:
            session.execute(update(OutboxMessage).values(kind=kind, locale=locale))
            now = utc_now()
            outbox.claim_due(session, lease_token="ours", lease_until=now, now=now, limit=1)
        (leased,) = outbox.read_leased(db.session(), "ours")
        words = {
            "event": leased.event,
            "registration": leased.registration,
            "ticket_url": f"http://localhost/t/{ticket.ticket_key}",
            "event_url": "http://localhost/e/evening",
            "short_code": f"{ticket.short_code[:4]}-{ticket.short_code[-4:]}",
            "waitlist_position": None,
            "has_ticket": kind != MessageKind.CANCELLED,
            "qr_cid": "ticket-qr",
        }
        with force_locale(locale):
            whole = [render_template(f"email/{kind}/{part}", **words) for part in ("body.txt", "body.html")]
            subject = render_template(f"email/{kind}/subject.txt", **words)
        mail = message_from_bytes(render_message(leased).content, policy=policy.default)

    assert isinstance(mail, EmailMessage)
    texts = [leaves(mail)[kind_of_text].get_content() for kind_of_text in ("text/plain", "text/html")]
    assert ["\n".join(text.splitlines()) for text in texts] == ["\n".join(text.splitlines()) for text in whole]
    assert mail["Subject"] == " ".join(subject.split())
