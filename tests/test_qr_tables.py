"""The symbol of a ticket, compared bit for bit with the one that the qrcode library draws."""

import random
from typing import Any

import pytest
from qrcode import QRCode
from qrcode.constants import ERROR_CORRECT_M
from qrcode.util import QRData

from meetup import ticket_code
from meetup.qr_tables import ALPHABET, MASK_PATTERN, VERSION, Matrix, draw_symbol

LONGEST = 154


def drawn_by_the_library(text: str) -> Matrix:
    symbol: QRCode[Any] = QRCode(VERSION, ERROR_CORRECT_M, border=0, mask_pattern=MASK_PATTERN)
    symbol.add_data(QRData(text, mode=2), optimize=0)
    symbol.make(fit=False)
    return tuple(bytes(bool(module) for module in row) for row in symbol.modules)


@pytest.mark.parametrize("length", [1, 2, 3, 64, 137, 138, 152, 153, LONGEST])
def test_symbol_is_the_librarys_for_any_text(length: int) -> None:
    chance = random.Random(length)
    for _ in range(5):
        text = "".join(chance.choice(ALPHABET) for _ in range(length))
        assert draw_symbol(text) == drawn_by_the_library(text)


def test_symbol_is_the_librarys_for_tickets() -> None:
    for number in range(50):
        code = ticket_code.pack(number, ticket_code.new_secret(), ticket_code.new_signing_key())
        assert draw_symbol(code) == drawn_by_the_library(code)


@pytest.mark.parametrize("text", ["lower", "É", "A" * (LONGEST + 1), "A\n"])
def test_text_that_no_ticket_carries_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        draw_symbol(text)
