"""One page of A4 on which every text fits: what tickets and posters are written on. Pure."""

import unicodedata
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

# fpdf2 takes 30 MB, which mail workers and most web workers never need: it is loaded with the first page.
if TYPE_CHECKING:
    from fpdf import FPDF

# Millimetres on A4.
MARGIN, LINE_WIDTH = 24, 162
SMALLEST_FONT = 8
INK, SOFT_INK, HAIRLINE = 20, 100, 205
# Persian and the scripts of India need these two format characters to spell a name.
JOINERS = "\u200c\u200d"


@dataclass(frozen=True)
class Block:
    """One piece of text: at most `height` millimetres, in `points` or as much smaller as it must be."""

    text: str
    points: float
    height: float
    is_bold: bool = False
    ink: int = INK
    align: Literal["L", "C"] = "L"


def printable(text: str) -> str:
    """Return one line without what XML, PDF and calendars cannot hold: controls, lone halves of a pair.

    Marks that turn the direction of writing go too: a name must not rearrange the words around it.
    """
    kept = (" " if character.isspace() else character for character in unicodedata.normalize("NFC", text))
    return " ".join("".join(c for c in kept if c in JOINERS or unicodedata.category(c)[0] != "C").split())


def new_page(title: str, language: str, font_folder: Path, made_at: datetime) -> "FPDF":
    """Return an empty page; `font_folder` holds DejaVuSans.ttf and DejaVuSans-Bold.ttf."""
    from fpdf import FPDF

    pdf = FPDF(format="A4")
    # Else the text {nb} in somebody's name would turn into the number of pages.
    pdf.alias_nb_pages("")
    pdf.add_font("DejaVu", "", font_folder / "DejaVuSans.ttf")
    pdf.add_font("DejaVu", "B", font_folder / "DejaVuSans-Bold.ttf")
    pdf.set_margin(MARGIN)
    pdf.c_margin = 0
    pdf.set_auto_page_break(False)
    pdf.set_creation_date(made_at)
    pdf.set_title(printable(title))
    pdf.set_lang(language)
    pdf.add_page()
    return pdf


def write(pdf: "FPDF", block: Block, after: float = 0) -> None:
    """Write the block at the margin and move below it, and `after` millimetres further.

    A letter that the font lacks becomes a box, and a text that fits in no size ends in an ellipsis.
    """
    pdf.set_font("DejaVu", "B" if block.is_bold else "", block.points)
    text = "\n".join(_drawable(pdf, line) for line in block.text.splitlines())
    points = block.points
    while _height(pdf, text) > block.height and points > SMALLEST_FONT:
        points = max(SMALLEST_FONT, points * 0.9)
        pdf.set_font_size(points)
    while _height(pdf, text) > block.height:
        text = text[: len(text) * 9 // 10] + "…"
    pdf.set_text_color(block.ink)
    pdf.set_x(MARGIN)
    pdf.multi_cell(LINE_WIDTH, _line_height(pdf), text, align=block.align, new_x="LMARGIN", new_y="NEXT")
    pdf.set_y(pdf.y + after)


def _line_height(pdf: "FPDF") -> float:
    return float(pdf.font_size) * 1.3


def _height(pdf: "FPDF", text: str) -> float:
    lines = pdf.multi_cell(LINE_WIDTH, _line_height(pdf), text, dry_run=True, output="LINES")
    return len(lines) * _line_height(pdf) if isinstance(lines, list) else 0


def _drawable(pdf: "FPDF", line: str) -> str:
    """Return the line with the letters that the font has, those from right to left put in reading order."""
    from fpdf.bidi import BidiParagraph
    from fpdf.fonts import TTFFont

    known = pdf.current_font.cmap if isinstance(pdf.current_font, TTFFont) else {}
    shown = "".join(
        c if ord(c) in known else "\u25a1"
        for c in printable(line)
        if ord(c) in known or unicodedata.category(c) not in ("Mn", "Cf")
    )
    if any(unicodedata.bidirectional(c) in ("R", "AL") for c in shown):
        return BidiParagraph(shown).get_reordered_string()
    return shown
