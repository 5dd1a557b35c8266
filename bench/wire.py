"""Requests as bytes, made before the clock runs, and the little that the load generator has to know of an answer."""

import itertools
import random
import re
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import quote_plus

HOST = "127.0.0.1"
COME_BACK_STATUS = (b"503", b"429")
MOST_SECONDS_AWAY = 30.0

Check = Callable[[bytes], object]

_RETRY_AFTER = re.compile(rb"\r\nretry-after: *(\d+)", re.IGNORECASE)
_DETAIL = re.compile(rb'\r\nlocation: *(?:https?://[^/\r]+)?(/[^/\r]*)|"code": ?"(\w+)"', re.IGNORECASE)
# A seat: sent on to a ticket page, and not to "look in your inbox".
is_seated: Check = re.compile(rb"HTTP/1\.1 303 .*?\r\nlocation: *(?:https?://[^/\r]+)?/t/", re.I | re.S).match
is_admitted: Check = re.compile(rb'HTTP/1\.1 200 .*"outcome": ?"admitted"', re.S).match
is_ok: Check = re.compile(rb"HTTP/1\.1 200 ").match

_source_numbers = itertools.count(1)


def next_source() -> str:
    """Return an address of this machine that no client of this run has had: each is a person of its own.

    So the limits for one address stand as in production, and no port has to wait for an earlier connection.
    """
    number = next(_source_numbers)
    return f"127.{1 + number // 62_500 % 250}.{number // 250 % 250}.{1 + number % 250}"


def is_whole(answer: bytes) -> bool:
    """Tell whether an answer has arrived to its end; one without a length ends with its connection."""
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return False
    at = answer.find(b"Content-Length: ", 0, end)
    if at < 0:
        return answer[9:12] in (b"204", b"304")
    return len(answer) - end - 4 >= int(answer[at + 16 : answer.find(b"\r\n", at)])


def status_of(answer: bytes) -> str:
    """Return the status of an answer, with the beginning of a redirect's path or the code of a refusal."""
    status = answer[9:12].decode(errors="replace")
    found = _DETAIL.search(answer)
    detail = next((each for each in found.groups() if each), b"") if found else b""
    return f"{status} {detail.decode(errors='replace')}".strip()


def seconds_away(answer: bytes) -> float | None:
    """Return after how many seconds a client that was sent away shall come back; None for every other answer."""
    if answer[9:12] not in COME_BACK_STATUS:
        return None
    found = _RETRY_AFTER.search(answer)
    return min(float(found[1]), MOST_SECONDS_AWAY) if found else None


def get(path: str, token: str = "") -> bytes:
    """Return a GET; `token` is a bearer token, sent where there is one."""
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{authorization}Accept: */*\r\n\r\n".encode()


def post(path: str, content_type: str, body: bytes, more: str = "") -> bytes:
    """Return a POST; `more` is further header lines, each with its line end."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\n{more}"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def registrations(slug: str, crowd: str) -> Iterator[bytes]:
    """Yield filled-in forms as a browser sends them, each of a person of its own; `crowd` names one run."""
    more = "Accept: text/html\r\nAccept-Language: en\r\nSec-Fetch-Site: same-origin\r\n"
    for number in itertools.count():
        name, email = quote_plus(f"Ada Lovelace {number}"), quote_plus(f"{crowd}-{number}@example.org")
        body = f"name={name}&email={email}&website=&form_key={crowd}-{number:012d}&locale=en"
        yield post(f"/e/{slug}/register", "application/x-www-form-urlencoded", body.encode(), more)


def scans(codes: Sequence[str], tokens: Sequence[str]) -> Iterator[bytes]:
    """Yield one check-in for each ticket code, by the devices in turn; ends with the codes."""
    for code, token in zip(codes, itertools.cycle(tokens), strict=False):
        digits = f"{random.getrandbits(128):032x}"
        scan_id = f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"
        body = (
            f'{{"scan_id": "{scan_id}", "code": "{code}", "direction": "in", "scanned_at": "2026-11-22T18:02:11.120Z"}}'
        )
        yield post("/api/v1/scans", "application/json", body.encode(), f"Authorization: Bearer {token}\r\n")


def bare_posts() -> Iterator[bytes]:
    """Yield the request of the bare endpoint: a small JSON POST."""
    request = post("/bare", "application/json", b'{"name": "Ada Lovelace", "email": "ada@example.org"}')
    return itertools.repeat(request)
