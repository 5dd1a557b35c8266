"""Past the ceiling of one address: a proof of work, or a mail to the attendee (rules 5.5).

A hall shares one address, so past the ceiling nobody is shut out, but registering costs work: a little at first, and
twice as much with each further crowd that came through. The challenge is ALTCHA's, version 1: signed, dated, good once.
It says in its salt until when it holds and how hard it is, and the signature covers both.
"""

import base64
import json
from datetime import timedelta
from enum import Enum
from urllib.parse import parse_qs

from altcha import v1 as altcha
from flask import request
from limits import RateLimitItem, parse_many
from limits.errors import StorageError

from meetup.clock import utc_now
from meetup.errors import ProofNeeded
from meetup.site import current_site
from meetup.views import limits

# Numbers to try: a tenth of a second on a phone; at most some seconds on a slow one.
EASIEST = 50_000
HARDEST = 3_200_000
# The work doubles each time a sixth of the ceiling has come through on top of it, small ceilings apart.
DOUBLINGS_PER_CEILING = 6
SMALLEST_CROWD = 20
# A proof may be this much easier than what is asked for by now: others came through while it was being made.
STALE_FACTOR = 4
# Mails that strangers can have sent from one address, as a share of the ceiling.
MAIL_SHARE = 10
VALID_FOR = timedelta(minutes=10)
# Longer than it is valid, so that none is forgotten while it could be used.
GOOD_ONCE_SECONDS = 2 * int(VALID_FOR.total_seconds())
SALT_BYTES = 8
LONGEST_PROOF = 1000


class Passage(Enum):
    """How a registration got past the ceiling of its address."""

    FREE = "free"
    PROVED = "proved"
    BY_MAIL = "by_mail"


def require_within_limit() -> Passage:
    """Count this registration for its address and say how it passes; raise ProofNeeded when it does not.

    Called once a request, after the checks that cost nothing. BY_MAIL: it may hold no seat until its mail was answered.
    """
    wait_seconds = limits.hit_register_limit()
    if wait_seconds is None:
        return Passage.FREE
    difficulty = _difficulty(_counted(_key("proved")))
    if _is_proved(request.form.get("proof", ""), difficulty):
        _count(_key("proved"), _ceiling().get_expiry())
        return Passage.PROVED
    if request.form.get("confirm") == "email" and _take_mail():
        return Passage.BY_MAIL
    has_mails = _counted(_key("mail")) < _most_mails()
    raise ProofNeeded(wait_seconds, _make_challenge(difficulty), may_confirm_by_mail=has_mails)


def _ceiling() -> RateLimitItem:
    return parse_many(current_site().config["LIMIT_REGISTER_PER_IP"])[0]


def _key(what: str) -> str:
    return f"register-{what}/{limits.client_address()}"


def _count(key: str, seconds: int) -> int | None:
    """Count one more under a key; return how many there are since the first, None when the counters are away."""
    try:
        return limits.limiter.limiter.storage.incr(key, seconds)
    except StorageError:
        # The next request counts in memory.
        return None


def _counted(key: str) -> int:
    try:
        return limits.limiter.limiter.storage.get(key)
    except StorageError:
        return 0


def _difficulty(crowd: int) -> int:
    """Return how many numbers a browser may have to try, after how many came through past the ceiling."""
    doublings = crowd // max(SMALLEST_CROWD, _ceiling().amount // DOUBLINGS_PER_CEILING)
    return min(HARDEST, EASIEST << min(doublings, HARDEST.bit_length()))


def _make_challenge(difficulty: int) -> dict[str, str | int]:
    options = altcha.ChallengeOptions(
        max_number=difficulty,
        hmac_key=_signing_key(),
        salt_length=SALT_BYTES,
        expires=utc_now() + VALID_FOR,
        params={"m": str(difficulty)},
    )
    return altcha.create_challenge(options).to_dict()


def _is_proved(text: str, difficulty: int) -> bool:
    """Tell whether a proof is ours, in time, hard enough and new; it is used up by this."""
    proof = _read(text)
    if proof is None or not altcha.verify_solution(proof, _signing_key(), check_expires=False)[0]:
        return False
    # Signed, so it is as we wrote it.
    stamp = parse_qs(proof.salt.partition("?")[2])
    if int(stamp["expires"][0]) < utc_now().timestamp() or int(stamp["m"][0]) * STALE_FACTOR < difficulty:
        return False
    # By the hash: the salt may be written in two ways that hash alike.
    return _count(f"proof/{proof.challenge}", GOOD_ONCE_SECONDS) == 1


def _read(text: str) -> altcha.Payload | None:
    """Return the parts of a proof in their right shapes; None for whatever else was sent."""
    if not text or len(text) > LONGEST_PROOF:
        return None
    try:
        parts = json.loads(base64.b64decode(text, validate=True))
    except (ValueError, RecursionError):
        return None
    shapes = {"algorithm": str, "challenge": str, "number": int, "salt": str, "signature": str}
    if not isinstance(parts, dict) or set(parts) != set(shapes):
        return None
    if not all(type(parts[name]) is shape and str(parts[name]).isascii() for name, shape in shapes.items()):
        return None
    return altcha.Payload(**parts) if parts["algorithm"] == altcha.SHA256 else None


def _signing_key() -> bytes:
    return b"registration proof " + current_site().config.secret_key.encode()


def _most_mails() -> int:
    return max(1, _ceiling().amount // MAIL_SHARE)


def _take_mail() -> bool:
    count = _count(_key("mail"), _ceiling().get_expiry())
    return count is not None and count <= _most_mails()
