"""A mail's parts and headers, and what typed text cannot do to them."""

import email
import email.policy
from dataclasses import replace
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage

import pytest

from meetup.mail_message import Mail, ascii_address, split_sender, write_mail

PNG = b"\x89PNG\r\n\x1a\nnot looked at"
CALENDAR = b"BEGIN:VCALENDAR\r\nSUMMARY:\xc3\xa9t\xc3\xa9\r\nEND:VCALENDAR\r\n"
MAIL = Mail(
    message_id="<0f3a.1@tickets.example.org>",
    sender="Turnout, fête <tickets@example.org>",
    to_address="ada@example.org",
    subject="Votre billet\xa0: Fête de l’IA",
    text="Voilà votre billet.\n.\nA line with a lonely dot came before.\n",
    html="<p>Voilà</p><img src='cid:ticket'>" + "x" * 3000,
    locale="fr",
    date=datetime(2026, 11, 22, 18, 2, tzinfo=UTC),
    inline_png=PNG,
    calendar=CALENDAR,
    extra_headers={"X-Kind": "registration_confirmed"},
)


def received(mail: Mail) -> EmailMessage:
    """Return the mail as somebody else's program reads it from the wire."""
    raw = write_mail(mail).content
    return email.message_from_bytes(raw, policy=email.policy.default)


def structure(message: EmailMessage) -> object:
    if message.is_multipart():
        parts = [part for part in message.iter_parts() if isinstance(part, EmailMessage)]
        return message.get_content_type(), [structure(part) for part in parts]
    return message.get_content_type()


def test_ticket_mail_has_the_parts_of_the_contract() -> None:
    related = ("multipart/related", ["text/html", "image/png"])
    alternative = ("multipart/alternative", ["text/plain", related])
    assert structure(received(MAIL)) == ("multipart/mixed", [alternative, "text/calendar"])


def built_by_the_library(mail: Mail) -> EmailMessage:
    """Return the same mail as the library puts it together, read from the wire."""
    name, address = split_sender(mail.sender)
    message = EmailMessage(policy=email.policy.SMTP)
    message["From"] = Address(display_name=name, addr_spec=address)
    message["To"] = Address(addr_spec=mail.to_address)
    message["Subject"] = mail.subject
    message["Date"] = mail.date
    message["Message-ID"] = mail.message_id
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message["X-Kind"] = mail.extra_headers["X-Kind"]
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    (*_, html) = message.iter_parts()
    assert isinstance(html, EmailMessage)
    if mail.inline_png is not None:
        cid = f"<{mail.inline_png_cid}>"
        html.add_related(mail.inline_png, "image", "png", cid=cid, disposition="inline", filename="ticket.png")
        html.set_param("type", "text/html")
    message.make_mixed()
    message["Content-Language"] = mail.locale
    if mail.calendar is not None:
        parameters = {"charset": "utf-8", "method": "PUBLISH"}
        message.add_attachment(mail.calendar, "text", "calendar", filename="event.ics", params=parameters)
    return email.message_from_bytes(message.as_bytes(), policy=email.policy.default)


def described(message: EmailMessage) -> list[object]:
    """Return all that a reader sees of a mail: of each part its headers, their parameters and its content."""
    found: list[object] = []
    for part in message.walk():
        assert isinstance(part, EmailMessage)
        assert part.defects == []
        # How the bytes are packed may differ, and the library says the version once more inside.
        left_out = ("Content-Transfer-Encoding",) if part is message else ("Content-Transfer-Encoding", "MIME-Version")
        headers = {name: str(value) for name, value in part.items() if name not in left_out}
        headers["Content-Type"] = part.get_content_type()
        parameters = {name: value for name, value in part["Content-Type"].params.items() if name != "boundary"}
        content = None if part.is_multipart() else part.get_payload(decode=True)
        if isinstance(content, bytes) and part.get_content_maintype() == "text":
            content = content.replace(b"\r\n", b"\n")
        found.append((headers, parameters, part.get_filename(), part.get_content_disposition(), content))
    return found


NASTY = [
    "Zoë Müller-Łukasz 🎈",
    "=?utf-8?q?Bcc:_v=40example.org?=",
    "--=_mixed--\n--=_alternative\nContent-Type: text/html\n\n<b>",
    ".\n..\nFrom here\n-- \n trailing space \nno end",
    "a=3D=\nsoft = breaks" + "=" * 200,
    "x" * 2000,
    "\t tabs\tand spaces  \n\n\n",
    "שלום مرحبا 田中\u200b\u202e",
    "",
]


@pytest.mark.parametrize("typed", NASTY)
@pytest.mark.parametrize("has_ticket", [True, False])
def test_mail_reads_as_the_librarys_own(typed: str, has_ticket: bool) -> None:
    line = " ".join(typed.split())
    mail = replace(
        MAIL,
        subject=f"Fête {line}"[:150].strip(),
        text=f"Hello {typed}\n",
        html=f"<p>{typed}</p>\n",
        inline_png=PNG * 40 if has_ticket else None,
        calendar=CALENDAR * 30 if has_ticket else None,
    )
    assert described(received(mail)) == described(built_by_the_library(mail))


def test_mail_without_picture_and_calendar_keeps_the_outer_shape() -> None:
    plain = replace(MAIL, inline_png=None, calendar=None)
    alternative = ("multipart/alternative", ["text/plain", "text/html"])
    assert structure(received(plain)) == ("multipart/mixed", [alternative])


def test_mail_has_its_headers() -> None:
    message = received(MAIL)
    assert message["Message-ID"] == MAIL.message_id
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Auto-Response-Suppress"] == "All"
    assert message["Content-Language"] == "fr"
    assert message["Subject"] == MAIL.subject
    assert message["Date"].datetime == MAIL.date
    assert message["X-Kind"] == "registration_confirmed"
    assert [(one.display_name, one.addr_spec) for one in message["From"].addresses] == [
        ("Turnout, fête", "tickets@example.org")
    ]
    assert [one.addr_spec for one in message["To"].addresses] == [MAIL.to_address]


def test_mail_parts_arrive_as_they_were_given() -> None:
    parts = {part.get_content_type(): part for part in received(MAIL).walk() if isinstance(part, EmailMessage)}
    assert parts["text/plain"].get_content().replace("\r\n", "\n") == MAIL.text
    assert parts["text/html"].get_content().rstrip() == MAIL.html
    assert parts["image/png"].get_content() == PNG
    assert (parts["image/png"]["Content-ID"], parts["image/png"].get_content_disposition()) == ("<ticket>", "inline")
    calendar = parts["text/calendar"]
    assert calendar.get_payload(decode=True) == CALENDAR
    assert calendar["Content-Type"].params == {"charset": "utf-8", "method": "PUBLISH"}
    assert (calendar.get_filename(), calendar.get_content_disposition()) == ("event.ics", "attachment")


def test_mail_on_the_wire_has_no_bare_line_end_and_no_long_line() -> None:
    raw = write_mail(MAIL).content
    lines = raw.split(b"\r\n")
    assert not any(b"\n" in line or b"\r" in line for line in lines)
    assert max(map(len, lines)) <= 998
    assert raw.isascii()


def test_long_headers_come_back_unchanged() -> None:
    long = replace(
        MAIL,
        to_address=f"{'a' * 64}@{'b' * 60}.{'c' * 60}.{'d' * 56}.example",
        message_id=f"<{'x' * 100}@tickets.example.org>",
        subject="Une très longue fête " * 9 + "!",
    )
    message = received(long)
    assert [one.addr_spec for one in message["To"].addresses] == [long.to_address]
    assert message["Message-ID"] == long.message_id
    assert message["Subject"] == long.subject


@pytest.mark.parametrize(
    "subject", ["Party\r\nBcc: v@example.org", "Party\nX: y", "Party\x85Bcc: v", "a\u2028b", "\x00"]
)
def test_subject_of_more_than_one_line_is_refused(subject: str) -> None:
    with pytest.raises(ValueError):
        write_mail(replace(MAIL, subject=subject))


NOT_ADDRESSES = [
    "a@x.org, v@y.org",
    "a@x.org,v@y.org",
    "a@x.org\r\nBcc: v@y.org",
    "a@x.org;v@y.org",
    "<a@x.org>",
    "a@x.org (v@y.org)",
    "Ada <a@x.org>",
    "a b@x.org",
    "é@x.org",
    "a@",
    "@x.org",
    "a",
    "",
    "a@x..org,",
]


@pytest.mark.parametrize("address", NOT_ADDRESSES)
def test_anything_but_one_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError) as refusal:
        write_mail(replace(MAIL, to_address=address))
    assert str(refusal.value) == "not a mail address that can be written to"


def test_header_of_ours_cannot_be_split_either() -> None:
    with pytest.raises(ValueError):
        write_mail(replace(MAIL, extra_headers={"X-Kind": "a\r\nBcc: v@example.org"}))


def test_international_domain_is_written_in_ascii() -> None:
    assert ascii_address("ada@Bücher.example") == "ada@xn--bcher-kva.example"
    assert received(replace(MAIL, to_address="ada@bücher.example"))["To"] == "ada@xn--bcher-kva.example"


@pytest.mark.parametrize(
    ("sender", "parts"),
    [
        ("tickets@example.org", ("", "tickets@example.org")),
        ("Turnout <tickets@example.org>", ("Turnout", "tickets@example.org")),
        ('"Turnout, Paris" <tickets@example.org>', ("Turnout, Paris", "tickets@example.org")),
    ],
)
def test_sender_setting_is_split_into_name_and_address(sender: str, parts: tuple[str, str]) -> None:
    assert split_sender(sender) == parts
