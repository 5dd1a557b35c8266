"""The QR symbol of a ticket code, drawn from tables that are learned once from the qrcode library. Pure.

With version, level and mask fixed, every module of a symbol is one bit of its codewords, turned over where the mask
says so, or never changes. Looking them all up takes a twentieth of the time that the library needs for a symbol.
"""

from collections.abc import Callable
from functools import cache
from operator import itemgetter
from typing import Any

from qrcode import QRCode
from qrcode.base import gexp, glog
from qrcode.constants import ERROR_CORRECT_M
from qrcode.LUT import rsPoly_LUT

Matrix = tuple[bytes, ...]

# Version 6 is the smallest that holds the 138 characters of an M1 code at level M (154; version 5 ends at 122).
# Any mask reads well here, because signed bytes are as good as random.
VERSION = 6
MASK_PATTERN = 2
SIDE = 41
BLOCKS, BLOCK_BYTES, CHECK_BYTES = 4, 27, 16
DATA_BITS = 8 * BLOCKS * BLOCK_BYTES
CODEWORDS = BLOCKS * (BLOCK_BYTES + CHECK_BYTES)
CODEWORD_BITS = 8 * CODEWORDS

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
NOT_IN_ALPHABET = 255
VALUES = bytes(ALPHABET.find(chr(byte)) if chr(byte) in ALPHABET else NOT_IN_ALPHABET for byte in range(256))
# The mode's number in four bits, then the length in nine.
HEAD_BITS = 13
ALPHANUMERIC_MODE = 0b0010
LONGEST_END_MARK = 4
FILLING = (0xEC, 0x11)
TURNED = bytes((1, 0))


def draw_symbol(code: str) -> Matrix:
    """Return the modules, one row of bytes after the other, 1 for black: 41 x 41, without the quiet zone.

    Raises ValueError for a text that is not in QR's alphanumeric set or is longer than 154 characters.
    """
    data = _data_bytes(code)
    blocks = [data[start : start + BLOCK_BYTES] for start in range(0, len(data), BLOCK_BYTES)]
    checks = [_check_bytes(block) for block in blocks]
    # The first byte of each block comes first, then the second of each, and so on.
    codewords = bytes(byte for group in (blocks, checks) for column in zip(*group, strict=True) for byte in column)
    modules = _pick_modules()(_sources(codewords))
    return tuple(modules[start : start + SIDE] for start in range(0, SIDE * SIDE, SIDE))


def _data_bytes(code: str) -> bytes:
    """Return the text as QR's alphanumeric mode packs it, two characters in eleven bits, filled up to the end."""
    values = code.encode("ascii").translate(VALUES)
    used = HEAD_BITS + 11 * (len(values) // 2) + 6 * (len(values) % 2)
    if NOT_IN_ALPHABET in values or used > DATA_BITS:
        raise ValueError("the text does not fit its QR code")
    bits = ALPHANUMERIC_MODE << 9 | len(values)
    for first, second in zip(values[::2], values[1::2], strict=False):
        bits = bits << 11 | first * len(ALPHABET) + second
    if len(values) % 2:
        bits = bits << 6 | values[-1]
    end_mark = min(LONGEST_END_MARK, DATA_BITS - used)
    end_mark += -(used + end_mark) % 8
    packed = (bits << end_mark).to_bytes((used + end_mark) // 8)
    missing = DATA_BITS // 8 - len(packed)
    return packed + bytes(FILLING[number % 2] for number in range(missing))


def _check_bytes(block: bytes) -> bytes:
    """Return the Reed-Solomon check bytes of one block: what is left of it when the generator divides it."""
    table = _remainders()
    rest = 0
    top, keep = 8 * (CHECK_BYTES - 1), (1 << 8 * (CHECK_BYTES - 1)) - 1
    for byte in block:
        rest = (rest & keep) << 8 ^ table[byte ^ rest >> top]
    return rest.to_bytes(CHECK_BYTES)


@cache
def _remainders() -> tuple[int, ...]:
    """Return, for each byte, what it adds to the check bytes when it is divided out."""
    _one, *generator = rsPoly_LUT[CHECK_BYTES]
    rows = [bytes(gexp(glog(byte) + glog(factor)) for factor in generator) for byte in range(1, 256)]
    return (0, *(int.from_bytes(row) for row in rows))


def _sources(codewords: bytes) -> bytes:
    """Return what a module can be: white, black, each bit of the codewords, and each of them turned over."""
    bits = f"{int.from_bytes(codewords):0{CODEWORD_BITS}b}".encode().translate(_BIT_VALUES)
    return b"\0\1" + bits + bits.translate(_TURN)


_BIT_VALUES = bytes.maketrans(b"01", b"\0\1")
_TURN = bytes.maketrans(b"\0\1", TURNED)


@cache
def _pick_modules() -> Callable[[bytes], bytes]:
    """Learn from the library which source each module shows.

    In each drawing those bits are set whose number has a certain binary digit, so that what became black tells
    the digits of the bit that a module shows; a module that never changes has none.
    """
    blank = _drawn(bytes(CODEWORDS))
    digits = CODEWORD_BITS.bit_length()
    numbers = [0] * (SIDE * SIDE)
    for digit in range(digits):
        bits = "".join(str(number >> digit & 1) for number in range(1, CODEWORD_BITS + 1))
        drawn = _drawn(int(bits, 2).to_bytes(CODEWORDS))
        for module, (before, after) in enumerate(zip(blank, drawn, strict=True)):
            numbers[module] |= (before != after) << digit
    picks = [
        1 + number + turned * CODEWORD_BITS if number else turned for number, turned in zip(numbers, blank, strict=True)
    ]
    pick = itemgetter(*picks)
    return lambda sources: bytes(pick(sources))


def _drawn(codewords: bytes) -> bytes:
    """Return the modules that the library draws for codewords."""
    symbol: QRCode[Any] = QRCode(VERSION, ERROR_CORRECT_M, border=0, mask_pattern=MASK_PATTERN)
    symbol.data_cache = list(codewords)
    symbol.makeImpl(False, MASK_PATTERN)
    return bytes(bool(module) for row in symbol.modules for module in row)
