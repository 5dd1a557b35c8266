"""Organisers' Markdown: what is shown, and that none of it can do harm."""

import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetup.markdown import to_html

HARMLESS_TAGS = set("p br em strong a ul ol li h1 h2 h3 h4 h5 h6 blockquote code pre hr".split())
HARMLESS_ATTRIBUTES = {"href", "title", "class", "start"}
HARMLESS_SCHEME = re.compile(r"(?!javascript:|vbscript:|data:|file:)", re.IGNORECASE)
PIECES = st.sampled_from(
    [
        "<",
        ">",
        "script",
        "[",
        "](",
        ")",
        "javascript:",
        "data:",
        "!",
        "`",
        "*",
        "_",
        "\n",
        "&#106;",
        '"',
        " onload=",
        "x",
    ]
)


class Looker(HTMLParser):
    """Collects what a browser would do something about."""

    def __init__(self) -> None:
        super().__init__()
        self.harmful: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in HARMLESS_TAGS:
            self.harmful.append(tag)
        for name, value in attrs:
            if name not in HARMLESS_ATTRIBUTES or not HARMLESS_SCHEME.match((value or "").strip()):
                self.harmful.append(f"{tag} {name}={value}")


def harmful(html: str) -> list[str]:
    looker = Looker()
    looker.feed(html)
    looker.close()
    return looker.harmful


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("# A *fine* evening", "<h1>A <em>fine</em> evening</h1>\n"),
        ("one\ntwo", "<p>one<br />\ntwo</p>\n"),
        ("[map](https://example.org/?a=1&b=2)", '<p><a href="https://example.org/?a=1&amp;b=2">map</a></p>\n'),
        ("- **Hall**\n- Garden", "<ul>\n<li><strong>Hall</strong></li>\n<li>Garden</li>\n</ul>\n"),
        ("", ""),
    ],
)
def test_text_is_shown_as_it_is_meant(text: str, html: str) -> None:
    assert to_html(text) == html


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "![x](https://evil.example/who-reads.png)",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](java\tscript:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "[x](vbscript:x)",
        "<javascript:alert(1)>",
        "[x]: javascript:alert(1)\n\n[x]",
        '[x](https://e.org "\\" onmouseover=alert(1)")',
        "```\n</code><script>alert(1)</script>\n```",
        "</script><svg onload=alert(1)>",
        "{{7*7}} ${7*7} \u202e \x00",
    ],
)
def test_text_cannot_do_harm(text: str) -> None:
    assert harmful(to_html(text)) == []


@given(st.lists(PIECES, max_size=40).map("".join))
def test_no_text_can_do_harm(text: str) -> None:
    assert harmful(to_html(text)) == []


def test_harm_is_seen() -> None:
    assert harmful('<p onclick="x"><img src="y"><a href=" JavaScript:x">') == [
        "p onclick=x",
        "img",
        "img src=y",
        "a href= JavaScript:x",
    ]


@pytest.mark.parametrize(
    "text", ["[" * 20_000, "*a" * 10_000, "`" * 20_000, "> " * 10_000, "![[" * 7_000, "<" * 20_000]
)
def test_longest_description_is_shown_soon(text: str) -> None:
    started_at = time.monotonic()
    to_html(text)

    assert time.monotonic() - started_at < 2
