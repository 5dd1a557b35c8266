"""The poster for the door: a large QR code that opens the walk-in form on a visitor's own phone (PDF). Pure."""

import io
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from meetup.pdf_page import SOFT_INK, Block, new_page, write
from meetup.qr_tables import Matrix
from meetup.ticket_files import qr_png

if TYPE_CHECKING:
    from fpdf import FPDF

# Millimetres on A4. The code is read from three steps away, and stands at a fixed place however long the title is.
TITLE_TOP, CALL_TOP, STEPS_TOP = 22, 50, 86
CODE_TOP, CODE_SIDE = 114, 148


@dataclass(frozen=True)
class Poster:
    """What stands on a poster, in `language` ("fr"): the question that calls, what to do, and where the code leads."""

    title: str
    call: str
    steps: str
    address: str
    matrix: Matrix
    language: str
    font_folder: Path
    made_at: datetime


def poster_pdf(poster: Poster) -> bytes:
    """Return one A4 page to hang up at the door, black on white."""
    pdf = new_page(poster.title, poster.language, poster.font_folder, poster.made_at)
    pdf.set_y(TITLE_TOP)
    write(pdf, Block(poster.title, 22, 22, ink=SOFT_INK, align="C"))
    pdf.set_y(CALL_TOP)
    write(pdf, Block(poster.call, 66, 34, is_bold=True, align="C"))
    pdf.set_y(STEPS_TOP)
    write(pdf, Block(poster.steps, 26, 26, align="C"))
    _draw_code(pdf, poster)
    write(pdf, Block(poster.address, 15, 16, is_bold=True, align="C"))
    return bytes(pdf.output())


def _draw_code(pdf: "FPDF", poster: Poster) -> None:
    picture = io.BytesIO(qr_png(poster.matrix, scale=24))
    pdf.image(picture, x=(pdf.w - CODE_SIDE) / 2, y=CODE_TOP, w=CODE_SIDE, alt_text=f"QR {poster.address}")
    pdf.set_y(CODE_TOP + CODE_SIDE)
