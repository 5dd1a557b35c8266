"""The M1 code and the short code: round trips, and nothing else passes (contract section 4)."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetup import ticket_code
from meetup.ticket_code import SHORT_CODE_ALPHABET, TicketCode

PRIVATE_KEY = bytes(range(32))
PUBLIC_KEY = ticket_code.public_key_of(PRIVATE_KEY)
SECRET = bytes(range(16))
CODE = ticket_code.pack(7, SECRET, PRIVATE_KEY)
BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
QR_ALPHANUMERIC = set("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:")


def test_code_is_what_the_contract_says() -> None:
    prefix, body = CODE[:3], CODE[3:]
    raw = base64.b32decode(body + "=" * (-len(body) % 8))

    assert prefix == "M1:"
    assert len(raw) == 4 + 16 + 64
    assert raw[:4] == (7).to_bytes(4, "big")
    assert raw[4:20] == SECRET
    assert "=" not in CODE
    assert set(CODE) <= QR_ALPHANUMERIC


@given(st.integers(0, 2**32 - 1), st.binary(min_size=16, max_size=16), st.binary(min_size=32, max_size=32))
def test_code_that_is_packed_is_parsed_and_signed(event_number: int, secret: bytes, private_key: bytes) -> None:
    code = ticket_code.parse(ticket_code.pack(event_number, secret, private_key))

    assert code is not None
    assert (code.event_number, code.secret) == (event_number, secret)
    assert code.is_signed_by(ticket_code.public_key_of(private_key))


@given(st.integers(0, 83), st.integers(1, 255))
def test_code_with_any_byte_changed_is_not_signed(position: int, change: int) -> None:
    raw = bytearray(base64.b32decode(CODE[3:] + "=" * (-len(CODE[3:]) % 8)))
    raw[position] ^= change
    code = ticket_code.parse("M1:" + base64.b32encode(raw).decode().rstrip("="))

    assert code is not None
    assert not code.is_signed_by(PUBLIC_KEY)


def test_code_of_another_events_key_is_not_signed() -> None:
    code = ticket_code.parse(CODE)

    assert code is not None
    assert not code.is_signed_by(ticket_code.public_key_of(ticket_code.new_signing_key()))


@pytest.mark.parametrize("spelling", [CODE.lower(), f" {CODE}\n", CODE[:3].lower() + CODE[3:]])
def test_spelling_of_a_reader_does_not_matter(spelling: str) -> None:
    assert ticket_code.parse(spelling) == ticket_code.parse(CODE) != None  # noqa: E711


@given(st.sampled_from(BASE32))
def test_one_text_alone_stands_for_the_bytes(last: str) -> None:
    """The last character has spare bits: only the canonical one passes."""
    code = ticket_code.parse(CODE[:-1] + last)

    assert (code == ticket_code.parse(CODE)) == (last == CODE[-1])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "M1:",
        CODE[:-1],
        CODE + "A",
        "M2:" + CODE[3:],
        CODE[3:],
        CODE[:50] + "1" + CODE[51:],
        CODE[:50] + "=" + CODE[51:],
    ],
)
def test_what_is_no_code_is_none(text: str) -> None:
    assert ticket_code.parse(text) is None


@given(st.one_of(st.text(), st.text(min_size=135, max_size=135).map("M1:".__add__)))
def test_any_text_is_parsed_or_none(text: str) -> None:
    code = ticket_code.parse(text)

    assert code is None or not code.is_signed_by(PUBLIC_KEY)


def test_signature_that_is_no_point_is_not_signed() -> None:
    assert not TicketCode(7, SECRET, b"\xff" * 64).is_signed_by(PUBLIC_KEY)


def test_short_code_has_no_look_alikes() -> None:
    made = {ticket_code.new_short_code() for _ in range(200)}

    assert len(made) == 200
    assert all(len(code) == 8 and set(code) <= set(SHORT_CODE_ALPHABET) for code in made)
    assert not set(SHORT_CODE_ALPHABET) & set("ILOUBSZ01")


@given(st.text(SHORT_CODE_ALPHABET, min_size=8, max_size=8), st.data())
def test_short_code_is_read_however_it_is_typed(short_code: str, data: st.DataObject) -> None:
    shown = ticket_code.format_short_code(short_code)
    assert shown == f"{short_code[:4]}-{short_code[4:]}"
    gaps = data.draw(st.lists(st.sampled_from(["", " ", "-", "\t"]), min_size=10, max_size=10))
    typed = "".join(
        (letter.lower() if len(gap) else letter) + gap for letter, gap in zip(" " + shown, gaps, strict=True)
    )

    assert ticket_code.normalise_short_code(typed) == short_code


@pytest.mark.parametrize("typed", ["", "ABCD-EFG", "ACDE-FGHJK", "ACDE-FGH0", "ACDE_FGHJ", "ÀCDE-FGHJ", CODE])
def test_what_is_no_short_code_is_none(typed: str) -> None:
    assert ticket_code.normalise_short_code(typed) is None


def test_secrets_and_keys_are_new_each_time() -> None:
    assert len({ticket_code.new_secret() for _ in range(100)}) == 100
    assert len({ticket_code.new_signing_key() for _ in range(20)}) == 20


def test_token_is_stored_as_its_hash() -> None:
    assert ticket_code.hash_token("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
