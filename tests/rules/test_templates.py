"""Templates parse, have a title, bring no inline code and nothing of other sites; each kind of mail has its files."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from flask import Flask

from meetup.domain.outbox import MessageKind
from tests.rules.public_routes import PUBLIC
from tests.rules.seeded_site import SeededSite, read
from tests.rules.sources import ROOT

TEMPLATES = ROOT / "templates"
STATIC = ROOT / "meetup" / "static"
MAIL_FILES = {"subject.txt", "body.txt", "body.html"}
DATA_TYPES = ("application/json", "application/ld+json")
LINKS = ("src", "href", "action", "formaction", "data", "poster", "srcset")
SITE = "Turnout"
# Fetched by the script of a page that shows it.
PARTS_OF_PAGES = ("live.chart",)
# A name of a format, which nobody fetches.
NAMESPACES = ("http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink")


def names(pattern: str = "**/*") -> list[str]:
    return sorted(path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.glob(pattern) if path.is_file())


def is_page(name: str) -> bool:
    """Tell whether a template is a page of its own: no part of one, no layout, no mail."""
    return not Path(name).name.startswith("_") and not name.startswith("email/") and name.endswith(".html")


def has_title(text: str) -> bool:
    """Tell whether a template names its page, itself or in what it extends; the name of the site is not enough."""
    block = re.search(r"{%-? *block title *-?%}(.*?){%-? *endblock", text, re.DOTALL)
    if block or "<title>" in text:
        return bool(block and block[1].strip()) or bool(re.search(r"<title>\s*[^\s<]", text))
    parent = re.search(r"{%-? *extends \"([^\"]+)\"", text)
    return bool(parent and parent[1] != "base.html" and has_title((TEMPLATES / parent[1]).read_text()))


def head_titles(html: str) -> list[str]:
    """Return the titles in the head of a page; drawings in its body have titles as well."""
    return re.findall(r"<title>\s*([^<]*?)\s*</title>", html.partition("</head>")[0])


class InlineFinder(HTMLParser):
    """Notes what a strict policy would stop: inline style and script, and addresses of other sites."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        for name, value in attrs:
            if name == "style" or re.fullmatch(r"on[a-z]+", name):
                self.found.append(f"{tag} {name}=")
            if name in LINKS and re.match(r"\s*(https?:|javascript:|data:)?//|\s*(javascript|data):", value or ""):
                self.found.append(f"{tag} {name}={value}")
        if tag == "style" or (tag == "script" and "src" not in values and values.get("type") not in DATA_TYPES):
            self.found.append(tag)


def inline_parts(html: str) -> list[str]:
    """Return what a page, or a template without its expressions, carries that it must not."""
    finder = InlineFinder()
    finder.feed(re.sub(r"{{.*?}}|{%.*?%}|{#.*?#}", "", html, flags=re.DOTALL))
    return finder.found


def static_texts() -> Iterator[tuple[str, str]]:
    for path in sorted(STATIC.rglob("*")):
        if path.suffix in (".css", ".js", ".svg", ".webmanifest") and "vendor" not in path.parts:
            yield path.relative_to(STATIC).as_posix(), path.read_text()


def foreign_addresses(text: str) -> list[str]:
    return [found for found in re.findall(r"(?:https?:|url\(['\"]?)//[^\s'\"<>)]+", text) if found not in NAMESPACES]


def test_every_template_parses(app: Flask) -> None:
    for name in names():
        app.jinja_env.get_template(name)


def test_every_page_has_a_title() -> None:
    assert [name for name in names() if is_page(name) and not has_title((TEMPLATES / name).read_text())] == []


def test_templates_have_nothing_inline_and_nothing_foreign() -> None:
    """Mail is left out: it brings its style along, and has no policy."""
    found = {name: inline_parts((TEMPLATES / name).read_text()) for name in names() if not name.startswith("email/")}

    assert {name: parts for name, parts in found.items() if parts} == {}


def test_mails_fetch_nothing_from_other_sites() -> None:
    found = {
        name: [part for part in inline_parts((TEMPLATES / name).read_text()) if "=" in part and "style" not in part]
        for name in names("email/**/*.html")
    }

    assert {name: parts for name, parts in found.items() if parts} == {}


def test_pages_as_sent_have_nothing_inline_and_one_title(site: SeededSite) -> None:
    client = site.client()
    found = {}
    for endpoint, path in site.paths("GET"):
        answer = read(client, path)
        if answer.mimetype == "text/html" and endpoint not in PARTS_OF_PAGES:
            titles = [title for title in head_titles(answer.text) if len(title) > len(SITE) and title[0] != "·"]
            found[endpoint] = (inline_parts(answer.text), len(titles))

    assert found == dict.fromkeys(found, ([], 1))
    assert {endpoint for endpoint in PUBLIC if endpoint in found} > {"public.event", "tickets.show", "door.app"}


def test_static_files_name_no_other_site() -> None:
    found = {name: foreign_addresses(text) for name, text in static_texts()}

    assert {name: addresses for name, addresses in found.items() if addresses} == {}


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ('<p style="color: red">', ["p style="]),
        ('<button onclick="go()">', ["button onclick="]),
        ("<script>go()</script>", ["script"]),
        ("<style>p {}</style>", ["style"]),
        ('<script src="https://cdn.example/x.js"></script>', ["script src=https://cdn.example/x.js"]),
        ('<img src="//cdn.example/x.png">', ["img src=//cdn.example/x.png"]),
        ('<a href="javascript:go()">', ["a href=javascript:go()"]),
        ('<script type="application/json">{}</script><a href="/e/x" data-on="1">', []),
    ],
)
def test_inline_and_foreign_parts_are_seen(html: str, found: list[str]) -> None:
    assert inline_parts(html) == found


def test_missing_titles_and_foreign_addresses_are_seen() -> None:
    assert not has_title("{% block title %}  {% endblock %}<title></title>")
    assert not has_title('{% extends "base.html" %}{% block main %}{% endblock %}')
    assert foreign_addresses("@import url(//fonts.example/a.css); x = 'https://cdn.example/a'") == [
        "url(//fonts.example/a.css",
        "https://cdn.example/a",
    ]


@pytest.mark.parametrize("kind", list(MessageKind))
def test_mail_kind_has_its_three_files_and_a_subject_of_one_line(kind: MessageKind) -> None:
    folder = TEMPLATES / "email" / kind

    assert {path.name for path in folder.iterdir()} == MAIL_FILES
    assert len((folder / "subject.txt").read_text().strip().splitlines()) == 1
