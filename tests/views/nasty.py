"""Texts that break what is careless, and a reader of pages that tells whether they did."""

from collections.abc import Iterable
from html.parser import HTMLParser
from urllib.parse import quote

# A product that stands on no page by chance; in place of the usual 7 times 7.
FACTORS, PRODUCT = "191*7919", "1512529"
NASTY = {
    "quotes": "' \" \\ % ; --",
    "nul": "a\x00b",
    "half a surrogate pair": "\ud800",
    "ten kilobytes": "x" * 10_000,
    "four bytes each": "\U0001f388" * 201,
    "jinja": "{{" + FACTORS + "}}",
    "template literal": "${" + FACTORS + "}#{" + FACTORS + "}<%=" + FACTORS + "%>",
    "script end": "</script><script>alert(1)</script>",
    "right to left": "\u202eevil\u2066",
    "format": "%s%d%n %(name)s {0} {name.__class__}",
    "number": "99999999999999999999",
    "other digits": "١٢",
    "not a number": "NaN",
    "path": "../../etc/passwd",
    "line ends": "a\r\nSet-Cookie: evil=1\r\n\r\n<b>",
    "spaces": " \t\u3000\u200b ",
}
# It breaks out of most places where a text can stand: attributes, comments, scripts, styles, text areas.
POLYGLOT = (
    "jaVasCript:/*-/*`/*\\`/*'/*\"/**/(/* */oNcliCk=alert() )//%0D%0A//"
    "</stYle/</titLe/</teXtarEa/</scRipt/--!><sVg/oNloAd=alert()//>"
)


def quoted(text: str) -> str:
    """Return a text as it stands in an address or a form, halves of surrogate pairs as their bytes."""
    return quote(text, safe="", errors="surrogatepass")


def form_body(fields: dict[str, str]) -> bytes:
    """Return fields as a browser without manners would send them."""
    return "&".join(f"{quoted(name)}={quoted(value)}" for name, value in fields.items()).encode()


OWN_SCRIPTS = ("/static/", "/door/app/")


class PageReader(HTMLParser):
    """Reads a page as a browser does; `scripts` are the parts that would run, `texts` what is shown or typed in."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.texts: list[str] = []
        self.json: list[str] = []
        self._json_type = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self._json_type = tag == "script" and values.get("type", "").endswith("json")
        if tag == "script" and not self._json_type and not values.get("src", "").startswith(OWN_SCRIPTS):
            self.scripts.append(f"<script src={values.get('src')}>")
        if tag in ("iframe", "object", "embed", "base", "style"):
            self.scripts.append(f"<{tag}>")
        for name, value in values.items():
            is_address = name in ("href", "src", "action", "formaction", "xlink:href")
            if name.startswith("on") or name == "style" or (is_address and _runs(value)):
                self.scripts.append(f"<{tag} {name}={value}>")
            self.texts.append(value)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_data(self, text: str) -> None:
        (self.json if self._json_type else self.texts).append(text)

    def handle_endtag(self, tag: str) -> None:
        self._json_type = False

    def shows(self, text: str) -> bool:
        """Tell whether a text is shown as it is, or stands in a field."""
        return any(text in each for each in self.texts)


def _runs(address: str) -> bool:
    return address.strip().lower().startswith(("javascript:", "data:", "vbscript:"))


def bad_answers(answers: Iterable[tuple[str, int, str]]) -> list[str]:
    """Return those of (what was sent, status, text) that failed, or in which something was worked out."""
    return [f"{sent}: {status}" for sent, status, text in answers if status >= 500 or PRODUCT in text]
