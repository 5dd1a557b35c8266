"""Solves the task of the 429 page as a browser does, in Python."""

import base64
import hashlib
import html
import json
import re
from typing import Any

CHALLENGE = re.compile(r'<script type="application/json" id="proof-challenge">(.*?)</script>', re.DOTALL)


def challenge_of(page: str) -> dict[str, Any]:
    """Return the challenge that stands in a page."""
    found = CHALLENGE.search(page)
    assert found is not None, "there is no challenge in the page"
    challenge: dict[str, Any] = json.loads(html.unescape(found[1]))
    return challenge


def solve(challenge: dict[str, Any]) -> str:
    """Return the proof for a challenge."""
    salt = challenge["salt"].encode()
    for number in range(challenge["maxNumber"] + 1):
        if hashlib.sha256(salt + str(number).encode()).hexdigest() == challenge["challenge"]:
            return pack(challenge, number)
    raise AssertionError("the challenge has no solution")


def pack(challenge: dict[str, Any], number: Any, **changed: Any) -> str:
    """Return a proof with this number in it, whether it is right or not."""
    parts = {name: challenge[name] for name in ("algorithm", "challenge", "salt", "signature")}
    return base64.b64encode(json.dumps(parts | {"number": number} | changed).encode()).decode()
