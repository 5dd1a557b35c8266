"""The files that carry a ticket: QR picture (PNG, SVG), calendar entry and a page to print (PDF). Pure."""

import html
import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from icalendar import Calendar, Event, vDatetime, vInt, vText, vUri
from icalendar.parser import Contentline
from qrcode import QRCode
from qrcode.constants import ERROR_CORRECT_M
from qrcode.exceptions import DataOverflowError
from qrcode.util import QRData

from meetup.pdf_page import HAIRLINE, LINE_WIDTH, MARGIN, SOFT_INK, Block, new_page, printable, write
from meetup.qr_tables import MASK_PATTERN, Matrix, draw_symbol

if TYPE_CHECKING:
    from fpdf import FPDF

# QR's number for its byte mode.
BYTE_MODE: Literal[4] = 4
QUIET_ZONE = 4

# One byte of a picture is eight pixels, white where a bit is set.
WHITE = b"\xff"
PIXELS = bytes.maketrans(b"\0\1", b"\xff\0")
# How a line of a PNG is written: as it is, or as what differs from the line above it.
PLAIN_LINE, LIKE_ABOVE = b"\0", b"\2"
# A little larger than at the highest level, in a fifteenth of the time.
PNG_LEVEL = 4

# Millimetres on A4. The picture's 84 hold a symbol of 70 and its quiet zone; it stands at a fixed place, so that
# no length of title or name pushes it off the one page.
PICTURE_TOP, PICTURE_SIDE = 156, 84


def qr_matrix(code: str) -> Matrix:
    """Return the modules of an M1 code, a row of bytes each, 1 for black: 41 x 41, without the quiet zone.

    Raises ValueError for a text that is not in QR's alphanumeric set or is longer than 154 characters.
    """
    return draw_symbol(code)


def qr_matrix_for_url(url: str) -> Matrix:
    """Return the modules of any text, such as a pairing link, in the smallest version that holds it.

    Raises ValueError for more than level M can hold (2,331 bytes).
    """
    symbol: QRCode[Any] = QRCode(None, ERROR_CORRECT_M, border=0, mask_pattern=MASK_PATTERN)
    symbol.add_data(QRData(url.encode(), mode=BYTE_MODE), optimize=0)
    try:
        symbol.make(fit=True)
    except (DataOverflowError, ValueError) as error:
        raise ValueError("the text is too long for its QR code") from error
    return tuple(bytes(bool(module) for module in row) for row in symbol.modules)


def qr_png(matrix: Matrix, scale: int = 8) -> bytes:
    """Return a black-and-white PNG with the white quiet zone inside (rules 3.2).

    `scale`, the pixels a module, is a multiple of 8, so that a module fills whole bytes.
    """
    module_bytes = scale // 8
    blank = bytes(len(matrix))
    margin = WHITE * QUIET_ZONE * module_bytes
    width = (len(matrix) + 2 * QUIET_ZONE) * module_bytes
    repeated = (LIKE_ABOVE + bytes(width)) * (scale - 1)
    lines = []
    for row in (*[blank] * QUIET_ZONE, *matrix, *[blank] * QUIET_ZONE):
        pixels = row.translate(PIXELS)
        if module_bytes > 1:
            pixels = b"".join(pixels[at : at + 1] * module_bytes for at in range(len(pixels)))
        lines.append(PLAIN_LINE + margin + pixels + margin + repeated)
    side = width * 8
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"".join(lines), PNG_LEVEL)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, content) for name, content in chunks)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def qr_svg(matrix: Matrix, label: str) -> str:
    """Return an SVG, one unit a module, that works as a file and inline in a page; `label` is read aloud.

    White quiet zone inside, colours as attributes: no style sheet, dark mode or content policy changes it.
    """
    side = len(matrix) + 2 * QUIET_ZONE
    path = "".join(
        f"M{start + QUIET_ZONE} {row + QUIET_ZONE}h{length}v1h-{length}z" for row, start, length in _black_runs(matrix)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" shape-rendering="crispEdges" '
        f'role="img" aria-label="{html.escape(printable(label))}">'
        f'<rect width="{side}" height="{side}" fill="#fff"/><path fill="#000" d="{path}"/></svg>'
    )


def _black_runs(matrix: Matrix) -> Iterator[tuple[int, int, int]]:
    """Yield each run of black modules as row, first column, length."""
    for number, row in enumerate(matrix):
        start = None
        for column, module in enumerate((*row, False)):
            if module and start is None:
                start = column
            elif not module and start is not None:
                yield number, start, column - start
                start = None


EVENT_BEGIN = b"BEGIN:VEVENT\r\n"
LONGEST_CALENDAR_LINE = 75


@dataclass(frozen=True)
class CalendarEntry:
    """One event as calendars know it. Times are aware; `uid` stays, `sequence` grows with each change."""

    uid: str
    title: str
    starts_at: datetime
    ends_at: datetime | None
    timezone: str
    venue: str
    address: str
    description: str
    url: str
    sequence: int
    is_cancelled: bool
    made_at: datetime


def calendar_file(entry: CalendarEntry) -> bytes:
    """Return an iCalendar file (RFC 5545, METHOD:PUBLISH, UTC times, CRLF) for a mail or a download.

    PUBLISH and not REQUEST: the latter makes calendars ask for an answer that nobody reads.
    """
    before, after = _calendar_of_event(
        entry.title, entry.starts_at, entry.ends_at, entry.timezone, entry.venue, entry.address
    )
    description = "\n".join(printable(line) for line in entry.description.splitlines())
    own = (
        ("UID", vText(entry.uid)),
        ("DTSTAMP", vDatetime(entry.made_at.astimezone(UTC))),
        ("SEQUENCE", vInt(entry.sequence)),
        ("STATUS", vText("CANCELLED" if entry.is_cancelled else "CONFIRMED")),
        ("DESCRIPTION", vText(description)),
        ("URL", vUri(entry.url)),
    )
    return before + b"".join(_content_line(name, value.to_ical()) for name, value in own) + after


def _content_line(name: str, value: bytes) -> bytes:
    line = name.encode() + b":" + value
    # The library folds letter by letter, which takes longer than all the rest of a short line.
    if len(line) > LONGEST_CALENDAR_LINE:
        line = Contentline(line).to_ical()  # type: ignore[no-untyped-call]
    return line + b"\r\n"


@lru_cache(maxsize=64)
def _calendar_of_event(
    title: str, starts_at: datetime, ends_at: datetime | None, timezone: str, venue: str, address: str
) -> tuple[bytes, bytes]:
    """Return what all calendar files of an event have in common, before and after what is each one's own."""
    event = Event()
    event.add("dtstart", starts_at.astimezone(UTC))
    if ends_at is not None:
        event.add("dtend", ends_at.astimezone(UTC))
    event.add("summary", printable(title))
    places = [printable(place) for place in (venue, address)]
    event.add("location", ", ".join(place for place in places if place))
    calendar = Calendar()
    calendar.add("prodid", "-//Turnout//Turnout//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-timezone", timezone)
    calendar.add_component(event)
    before, begin, after = calendar.to_ical().partition(EVENT_BEGIN)
    return before + begin, after


@dataclass(frozen=True)
class TicketWords:
    """The words of the printed page in the attendee's language; `language` is its code, such as "fr"."""

    heading: str
    name: str
    when: str
    where: str
    short_code: str
    hint: str
    language: str


@dataclass(frozen=True)
class TicketPage:
    """What stands on a printed ticket. `when` and `where` may have several lines; `party_text` may be empty."""

    title: str
    when: str
    where: str
    name: str
    party_text: str
    short_code: str
    matrix: Matrix
    words: TicketWords
    font_folder: Path
    made_at: datetime


def ticket_pdf(page: TicketPage) -> bytes:
    """Return one A4 page to print or keep, with the QR code 70 mm wide.

    `font_folder` holds DejaVuSans.ttf and DejaVuSans-Bold.ttf (Latin, Greek, Cyrillic and more); a letter that
    they lack becomes a box. Takes about 70 ms, most of it for cutting the fonts down to the letters used.
    """
    pdf = new_page(page.title, page.words.language, page.font_folder, page.made_at)
    words = page.words
    write(pdf, Block(words.heading, 10, 6, ink=SOFT_INK), after=4)
    write(pdf, Block(page.title, 26, 34, is_bold=True), after=6)
    _write_labelled(pdf, words.when, Block(page.when, 13, 14))
    _write_labelled(pdf, words.where, Block(page.where, 13, 18))
    pdf.set_draw_color(HAIRLINE)
    pdf.line(MARGIN, pdf.y, MARGIN + LINE_WIDTH, pdf.y)
    pdf.set_y(pdf.y + 5)
    _write_labelled(pdf, words.name, Block(page.name, 20, 18, is_bold=True), after=1)
    write(pdf, Block(page.party_text, 12, 6))
    _draw_code(pdf, page)
    return bytes(pdf.output())


def _draw_code(pdf: "FPDF", page: TicketPage) -> None:
    """Draw the picture in the middle, the short code under it, and the hint."""
    pdf.image(
        io.BytesIO(qr_png(page.matrix, scale=16)),
        x=(pdf.w - PICTURE_SIDE) / 2,
        y=PICTURE_TOP,
        w=PICTURE_SIDE,
        alt_text=f"QR {page.short_code}",
    )
    pdf.set_y(PICTURE_TOP + PICTURE_SIDE)
    write(pdf, Block(page.words.short_code, 9, 5, ink=SOFT_INK, align="C"), after=1)
    write(pdf, Block(page.short_code, 26, 12, is_bold=True, align="C"), after=3)
    write(pdf, Block(page.words.hint, 10, 12, ink=SOFT_INK, align="C"))


def _write_labelled(pdf: "FPDF", label: str, block: Block, after: float = 5) -> None:
    write(pdf, Block(label, 9, 5, ink=SOFT_INK), after=1)
    write(pdf, block, after)
