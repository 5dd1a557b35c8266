"""What people type, brought into one form."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetup.text_input import LONGEST_EMAIL, BadAddress, clean_line, parse_email

ANY_TEXT = st.text(st.characters(codec=None, categories=None), max_size=60)


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("  Ada   Lovelace ", "Ada Lovelace"),
        ("Ada\r\nBcc: x", "Ada Bcc: x"),
        ("Ada\u2028\u2029\u00a0Lovelace", "Ada Lovelace"),
        ("Zoë \u202eevil\u202c \u200b\ufeff", "Zoë evil"),
        ("\x00A\x1bd\x7fa\ud800", "Ada"),
        ("\u200d \u200c", ""),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        ("O’Hara-Ngũgĩ, Jr.", "O’Hara-Ngũgĩ, Jr."),
        ("{{7*7}} <b>'\"%", "{{7*7}} <b>'\"%"),
    ],
)
def test_line_keeps_what_is_read_and_nothing_else(typed: str, line: str) -> None:
    assert clean_line(typed) == line


@given(ANY_TEXT)
def test_line_is_one_line_that_everything_can_keep(typed: str) -> None:
    line = clean_line(typed)

    assert clean_line(line) == line
    assert line == line.strip()
    assert len(line.splitlines()) <= 1
    assert not {unicodedata.category(c) for c in line} & {"Cc", "Cs", "Zl", "Zp"}
    assert line.encode().decode() == line


@given(st.lists(st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1), min_size=1, max_size=4))
def test_words_stay_as_they_are(words: list[str]) -> None:
    assert clean_line("\t".join(words)) == " ".join(words)


@pytest.mark.parametrize(
    ("typed", "email", "key"),
    [
        (" Ada@Example.ORG ", "Ada@example.org", "ada@example.org"),
        ("ada+tickets@example.org", "ada+tickets@example.org", "ada+tickets@example.org"),
        ("ada@BÜCHER.example", "ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("ada@xn--bcher-kva.example", "ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("ada@ｅｘａｍｐｌｅ。org", "ada@example.org", "ada@example.org"),
        ("o'hara@example.org", "o'hara@example.org", "o'hara@example.org"),
    ],
)
def test_every_spelling_of_an_address_has_one_key(typed: str, email: str, key: str) -> None:
    address = parse_email(typed)

    assert (address.email, address.key) == (email, key)


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "@",
        "ada",
        "ada@",
        "@example.org",
        "ada@localhost",
        "ada@[127.0.0.1]",
        "ada@127.0.0.1",
        "Ada <ada@example.org>",
        '"a b"@example.org',
        "a@x.org, v@y.org",
        "a@x.org;v@y.org",
        "a@x.org\nBcc: v@y.org",
        "a@x.org%0abcc:v@y.org\x00",
        "é@example.org",
        "ada@exa mple.org",
        "ada..l@example.org",
        ".ada@example.org",
        "ada@example..org",
        "ada@-example.org",
        "ada@\u202eexample.org",
        "ada@\ud800.org",
        "a" * 243 + "@example.org",
        "a@" + "b" * 64 + ".org",
        "a@" + "b." * 5000 + "org",
    ],
)
def test_what_is_no_address_is_refused(typed: str) -> None:
    with pytest.raises(BadAddress):
        parse_email(typed)


@given(st.one_of(ANY_TEXT, st.builds("{}@{}.org".format, ANY_TEXT, ANY_TEXT), st.emails()))
def test_address_is_read_or_refused(typed: str) -> None:
    try:
        address = parse_email(typed)
    except BadAddress:
        return

    assert address.key.isascii()
    assert address.key == address.key.casefold()
    assert address.key.count("@") == 1
    assert not set(address.email) & set(" ,;<>\r\n\x00")
    assert max(len(address.key), len(address.email)) <= LONGEST_EMAIL
    assert parse_email(address.email) == address
    assert parse_email(address.key).key == address.key
