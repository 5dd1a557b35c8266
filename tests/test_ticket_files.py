"""The pictures and files of a ticket, each read back by a program that is not ours."""

import io
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from xml.etree import ElementTree

import pypdfium2  # type: ignore[import-untyped]
import pytest
import zxingcpp
from icalendar import Calendar
from PIL import Image, ImageDraw

from meetup import ticket_code
from meetup.qr_tables import Matrix
from meetup.ticket_files import (
    CalendarEntry,
    TicketPage,
    TicketWords,
    calendar_file,
    qr_matrix,
    qr_matrix_for_url,
    qr_png,
    qr_svg,
    ticket_pdf,
)

FONT_FOLDER = Path(__file__).parent.parent / "meetup/static/vendor/dejavu"
CODE = ticket_code.pack(7, bytes(range(16)), bytes(range(32)))
WORDS = TicketWords("Ticket", "Name", "When", "Where", "Code to type at the door", "Show this page.", "en")
PAGE = TicketPage(
    title="Woodstock of AI",
    when="Saturday 22 November 2026, 18:30 (Europe/Paris)",
    where="La Gaîté Lyrique\n3 bis rue Papin, Paris",
    name="Ada Lovelace",
    party_text="Admits 3 people",
    short_code="ABCD-EFGH",
    matrix=qr_matrix(CODE),
    words=WORDS,
    font_folder=FONT_FOLDER,
    made_at=datetime(2026, 11, 1, 12, 0, tzinfo=UTC),
)
ENTRY = CalendarEntry(
    uid="abc@tickets.example.org",
    title="Woodstock of AI",
    starts_at=datetime(2026, 11, 22, 18, 30, tzinfo=timezone(timedelta(hours=1))),
    ends_at=datetime(2026, 11, 22, 22, 0, tzinfo=UTC),
    timezone="Europe/Paris",
    venue="La Gaîté Lyrique",
    address="3 bis rue Papin, Paris",
    description="Bring your ticket.\nDoors at six; see you.",
    url="https://tickets.example.org/t/abc",
    sequence=2,
    is_cancelled=False,
    made_at=datetime(2026, 11, 1, 12, 0, tzinfo=UTC),
)


def read_codes(picture: Image.Image) -> list[str]:
    return [found.text for found in zxingcpp.read_barcodes(picture)]


def draw_svg(svg: str, scale: int) -> Image.Image:
    """Paint the rectangle and the runs of the path, for a reader that knows no SVG."""
    root = ElementTree.fromstring(svg)
    side = int(root.attrib["viewBox"].split()[2])
    picture = Image.new("L", (side * scale, side * scale), 128)
    pen = ImageDraw.Draw(picture)
    rectangle, path = list(root)
    pen.rectangle((0, 0, int(rectangle.attrib["width"]) * scale, int(rectangle.attrib["height"]) * scale), fill=255)
    runs = re.findall(r"M(\d+) (\d+)h(\d+)v1h-\3z", path.attrib["d"])
    for x, y, length in (map(int, run) for run in runs):
        pen.rectangle((x * scale, y * scale, (x + length) * scale - 1, (y + 1) * scale - 1), fill=0)
    return picture


def pdf_picture(pdf: bytes, scale: float = 2) -> Image.Image:
    document = pypdfium2.PdfDocument(pdf)
    assert len(document) == 1
    picture: Image.Image = document[0].render(scale=scale).to_pil()
    return picture


def pdf_text(pdf: bytes) -> str:
    text: str = pypdfium2.PdfDocument(pdf)[0].get_textpage().get_text_range()
    return text.replace("\r\n", "\n")


def test_qr_matrix_of_a_ticket_is_the_smallest_version_that_fits() -> None:
    assert len(CODE) == ticket_code.CODE_LENGTH
    assert {len(row) for row in qr_matrix(CODE)} == {41} == {len(qr_matrix(CODE))}


@pytest.mark.parametrize("text", ["m1:lower", "A" * 155, "É"])
def test_qr_matrix_refuses_what_does_not_fit(text: str) -> None:
    with pytest.raises(ValueError):
        qr_matrix(text)


@pytest.mark.parametrize("number", range(20))
def test_qr_png_is_read_by_another_program(number: int) -> None:
    code = ticket_code.pack(number, ticket_code.new_secret(), ticket_code.new_signing_key())
    found = zxingcpp.read_barcodes(Image.open(io.BytesIO(qr_png(qr_matrix(code)))))
    assert [(one.text, one.ec_level) for one in found] == [(code, "M")]


def test_qr_png_is_two_coloured_with_a_quiet_zone_and_small() -> None:
    png = qr_png(qr_matrix(CODE), scale=8)
    picture = Image.open(io.BytesIO(png))
    assert (picture.mode, picture.size) == ("1", (392, 392))
    inverted = Image.eval(picture.convert("L"), lambda value: 255 - value)
    assert inverted.getbbox() == (32, 32, 360, 360)
    assert len(png) < 2000


@pytest.mark.parametrize("url", ["https://x.example/door/pair/k3Jf_9-a", "https://x.example/" + "é" * 400])
def test_qr_matrix_for_url_fits_any_link(url: str) -> None:
    assert read_codes(Image.open(io.BytesIO(qr_png(qr_matrix_for_url(url), scale=8)))) == [url]


def test_qr_matrix_for_url_refuses_what_no_symbol_holds() -> None:
    with pytest.raises(ValueError):
        qr_matrix_for_url("x" * 2332)


def test_qr_svg_is_read_by_another_program() -> None:
    assert read_codes(draw_svg(qr_svg(qr_matrix(CODE), "Ticket"), scale=6)) == [CODE]


def test_qr_svg_needs_no_style_and_escapes_its_label() -> None:
    label = "QR \"code\"\x00 of <Ada> & 'Bob'"
    svg = qr_svg(qr_matrix(CODE), label)
    root = ElementTree.fromstring(svg)
    assert root.attrib["aria-label"] == "QR \"code\" of <Ada> & 'Bob'"
    assert (root.attrib["role"], root.attrib["viewBox"]) == ("img", "0 0 49 49")
    assert "style" not in svg
    assert len(svg) < 8000


def test_calendar_file_can_be_read_back() -> None:
    raw = calendar_file(ENTRY)
    calendar = Calendar.from_ical(raw)
    (event,) = calendar.walk("VEVENT")
    assert calendar["METHOD"] == "PUBLISH"
    assert (event["UID"], event["SEQUENCE"], event["STATUS"]) == (ENTRY.uid, 2, "CONFIRMED")
    assert event["SUMMARY"] == ENTRY.title
    assert event["LOCATION"] == "La Gaîté Lyrique, 3 bis rue Papin, Paris"
    assert event["DESCRIPTION"] == ENTRY.description
    assert event.decoded("DTSTART") == ENTRY.starts_at
    assert event.decoded("DTEND") == ENTRY.ends_at
    assert b"DTSTART:20261122T173000Z\r\n" in raw


def test_calendar_file_ends_lines_with_crlf_and_folds_them() -> None:
    lines = calendar_file(replace(ENTRY, title="é" * 200)).split(b"\r\n")
    assert lines[-1] == b""
    assert max(map(len, lines)) <= 75
    assert not any(b"\n" in line or b"\r" in line for line in lines)


def test_calendar_file_of_a_cancelled_event_without_an_end() -> None:
    (event,) = Calendar.from_ical(calendar_file(replace(ENTRY, is_cancelled=True, ends_at=None))).walk("VEVENT")
    assert event["STATUS"] == "CANCELLED"
    assert "DTEND" not in event


def test_calendar_file_keeps_typed_text_in_its_line() -> None:
    title = "Party\r\nATTENDEE:mailto:v@example.org\nBEGIN:VALARM\x07"
    raw = calendar_file(replace(ENTRY, title=title, venue=title, description=title))
    assert [line for line in raw.split(b"\r\n") if line.startswith((b"ATTENDEE", b"BEGIN"))] == [
        b"BEGIN:VCALENDAR",
        b"BEGIN:VEVENT",
    ]


def test_ticket_pdf_shows_its_words_and_a_code_of_60_millimetres() -> None:
    pdf = ticket_pdf(PAGE)
    (found,) = zxingcpp.read_barcodes(pdf_picture(pdf))
    assert found.text == CODE
    width_in_points = (found.position.top_right.x - found.position.top_left.x) / 2
    assert width_in_points * 25.4 / 72 >= 60
    text = pdf_text(pdf)
    for line in (PAGE.title, PAGE.when, *PAGE.where.split("\n"), PAGE.name, PAGE.party_text, PAGE.short_code):
        assert line in text.split("\n")


@pytest.mark.parametrize(
    "name", ["Łukasz Żółć", "Σωκράτης Παπαδόπουλος", "Юрий Ґеник", "Nguyễn Thị Hạnh", "Şükrü {nb}", "שלום עליכם"]
)
def test_ticket_pdf_shows_names(name: str) -> None:
    assert name in pdf_text(ticket_pdf(replace(PAGE, name=name))).split("\n")


@pytest.mark.parametrize(
    "text",
    [
        "田中 太郎",
        "שלום עליכם",
        "محمد علي",
        "👩‍👩‍👧 Zoë",
        "ก้อง",
        "x\u202egnp",
        "\ud800",
        "\x00\t\n",
        "",
        "🏴" * 200,
        "W" * 200,
    ],
)
def test_ticket_pdf_takes_any_text_and_stays_readable(text: str, caplog: pytest.LogCaptureFixture) -> None:
    page = replace(PAGE, title=text, when=text, where=text + "\n" + text, name=text, party_text=text)
    assert read_codes(pdf_picture(ticket_pdf(page))) == [CODE]
    # The font library would write the letters of a name into the log.
    assert [record.getMessage() for record in caplog.records if record.name.startswith("fpdf")] == []


def test_ticket_pdf_keeps_long_text_clear_of_the_code() -> None:
    long = "Wonderful evening of machines " * 20
    page = replace(PAGE, title=long, when=long, where=long, name=long, party_text=long)
    text_page = pypdfium2.PdfDocument(ticket_pdf(page))[0].get_textpage()
    boxes = [text_page.get_charbox(index) for index in range(text_page.count_chars())]
    picture_bottom, picture_top = ((297 - millimetres) * 72 / 25.4 for millimetres in (156 + 84, 156))
    assert [box for box in boxes if box[1] < picture_top and box[3] > picture_bottom] == []


def test_ticket_files_are_the_same_each_time() -> None:
    assert ticket_pdf(PAGE) == ticket_pdf(PAGE)
    assert calendar_file(ENTRY) == calendar_file(ENTRY)
    assert qr_png(PAGE.matrix) == qr_png(qr_matrix(CODE))


def test_a_matrix_is_plain_black_and_white() -> None:
    matrix: Matrix = qr_matrix(CODE)
    assert {type(module) for row in matrix for module in row} == {int}
