"""The waiting room: who may see and send the form now, the page for those who wait, the polls that keep it true."""

import hashlib
import json
import random
from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, Response, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from meetup.clock import utc_now
from meetup.domain import waiting_room as rules
from meetup.domain.waiting_room import Admission, Standing, Turn, spend
from meetup.errors import Waiting
from meetup.i18n import current_locale, number
from meetup.storage.db import db
from meetup.storage.events import Event
from meetup.views.event_cache import get_published_event
from meetup.views.waiting_frame import BLANKS, fill_frame, get_frame
from meetup.views.waiting_line import FRESH_LASTS, NOW, count_arrival, get_standing, take_number
from meetup.views.waiting_place import Place, keep_arrival, keep_place, read_place
from meetup.views.waiting_words import Loss, ahead_words, countdown, estimate, here_words, line_words, loss_words

__all__ = ["Admission", "bp", "gate_page", "require_admission", "spend"]

bp = Blueprint("waiting_room", __name__)

# How often a page asks: a quarter of the time it has to wait, within these seconds, a fifth more or less.
SOONEST_POLL, LATEST_POLL = 2, 30
JITTER = 0.2
# A form that is sent too early is asked to come back at its turn, or to show after so long that it is still there.
LATEST_RETRY = 60
# Without a script the page loads itself again; more often than this nobody could read it.
SOONEST_REFRESH = 5


@dataclass(frozen=True)
class Claim:
    """What a browser has in the line: its place, an admission when its turn has come, why it lost an earlier place."""

    standing: Standing
    place: Place
    rank: int
    admission: Admission | None = None
    loss: Loss | None = None

    @property
    def ahead(self) -> int:
        """How many are admitted before this one."""
        return max(0, self.rank - self.standing.room.admitted - 1)

    @property
    def seconds(self) -> float | None:
        """In how many seconds this one is admitted; None when nobody can say."""
        return self.standing.seconds_to(self.rank)


def gate_page(event: Event) -> Response | None:
    """Return the waiting page for a browser that has to wait, None for one that may see the form.

    Takes a place for a browser that has none; raises Busy when that cannot be written.
    """
    now = utc_now()
    standing = _active_standing(event, now)
    if standing is None:
        return None
    if request.method == "HEAD" or "prefetch" in request.headers.get("Sec-Purpose", ""):
        # Nobody looks yet, so nobody takes a place. A browser throws a refused prefetch away.
        return Response(status=503, headers={"Cache-Control": "no-store", "Retry-After": str(SOONEST_POLL)})
    claim = _claim(event, standing, now)
    if claim.admission is not None:
        keep_arrival(claim.place, now)
        return None
    return _page(event, claim, now)


def require_admission(event: Event) -> Admission | None:
    """Return the admission that lets this form pass, None where nobody has to wait; raise Waiting (503).

    Whoever sends the form without a place gets one with the refusal.
    """
    now = utc_now()
    if rules.is_lobby(event, now):
        # The rules say when registration opens, and nobody is better placed for having tried.
        return None
    standing = _active_standing(event, now)
    if standing is None:
        return None
    claim = _claim(event, standing, now)
    if claim.admission is None:
        seconds = LATEST_RETRY if claim.seconds is None else claim.seconds
        raise Waiting(round(_jittered(min(max(seconds, SOONEST_POLL), LATEST_RETRY))))
    return claim.admission


def _active_standing(event: Event, now: datetime) -> Standing | None:
    """Return how the line stands when browsers wait; else count this one, which may open the room."""
    if not rules.is_in_use(event, now):
        return None
    standing = get_standing(event, now)
    if standing is not None and standing.is_active:
        return standing
    count_arrival(event.id)
    return None


def _claim(event: Event, standing: Standing, now: datetime) -> Claim:
    shown = read_place(event.id, now)
    loss = Loss.REFUSED if shown.is_refused else None
    if shown.place is not None:
        claim = _judge(event, standing, shown.place, now)
        if claim.loss is None:
            return claim
        standing, loss = claim.standing, claim.loss
        if standing.is_lobby:
            # It is of an earlier line, and everybody begins anew here.
            loss = None
    taken = take_number(event.id)
    ahead = 0 if standing.is_lobby else max(0, taken - standing.room.admitted - 1)
    place = Place(event.id, taken, int(now.timestamp()), ahead)
    keep_place(place)
    return Claim(standing, place, taken, loss=loss)


def _judge(event: Event, standing: Standing, place: Place, now: datetime) -> Claim:
    standing = _near_standing(event, standing, place, now)
    rank = rules.place_of(standing.room, place.number)
    claim = Claim(standing, place, rank)
    if place.number > standing.room.last_place:
        return Claim(standing, place, rank, loss=Loss.REFUSED)
    turn = rules.judge(standing.room, rank, place.came(), now)
    if turn is Turn.WAITING:
        return claim
    admission = Admission(event.id, rank)
    if turn is Turn.LAPSED or standing.is_lobby:
        return Claim(standing, place, rank, loss=Loss.LAPSED)
    if rules.is_spent(db.session(), admission):
        return Claim(standing, place, rank, loss=Loss.SPENT)
    return Claim(standing, place, rank, admission)


def _near_standing(event: Event, standing: Standing, place: Place, now: datetime) -> Standing:
    """Return how the line stands, asked anew for a place that was taken, or whose turn came, in the last second."""
    if place.number > standing.room.last_place:
        return get_standing(event, now, NOW) or standing
    soon = standing.room.admitted + standing.per_minute / 30 + 1
    if rules.place_of(standing.room, place.number) <= soon:
        return get_standing(event, now, FRESH_LASTS) or standing
    return standing


def _page(event: Event, claim: Claim, now: datetime) -> Response:
    to_opening = (event.opens_at - now).total_seconds() if claim.standing.is_lobby and event.opens_at else None
    seconds = claim.seconds if to_opening is None else to_opening
    frame, words = _frame(event, claim, now)
    room = claim.standing.room
    blanks = {
        "number": number(claim.ahead + 1) if to_opening is None else countdown(to_opening),
        "estimate": estimate(seconds, words),
        "detail": ahead_words(claim.ahead, words) if to_opening is None else here_words(room.line, words),
        "done": _done(claim, to_opening),
        "refresh": max(SOONEST_REFRESH, poll_seconds(seconds)),
        "place": claim.rank if to_opening is None else "null",
        "ahead": claim.place.ahead,
        "now": now.isoformat(),
    }
    response = Response(fill_frame(frame, blanks), mimetype="text/html")
    response.headers["Cache-Control"] = "no-store"
    return response


def _frame(event: Event, claim: Claim, now: datetime) -> tuple[str, dict[str, str]]:
    """Return the page with blanks for what is one browser's own, and the words it is filled in with.

    Thousands come in the same seconds, and most of a page is the same for all of them.
    """

    def render() -> tuple[str, dict[str, str]]:
        words = line_words()
        page = render_template(
            "waiting_room/waiting.html",
            event=event,
            is_lobby=claim.standing.is_lobby,
            words=words,
            loss=loss_words(claim.loss),
            blank=BLANKS,
            turn_minutes=int(rules.TURN.total_seconds() // 60),
            config=_config(event, claim.standing, words),
        )
        return page, words

    return get_frame((event.id, request.full_path, current_locale(), claim.standing.is_lobby, claim.loss), now, render)


def _done(claim: Claim, to_opening: float | None) -> int:
    """Return how much of the wait is over, in per cent."""
    if to_opening is not None:
        whole, left = rules.LOBBY.total_seconds(), to_opening
    else:
        whole, left = claim.place.ahead + 1, claim.ahead + 1
    return round(100 * min(1, max(0, 1 - left / whole)))


def _config(event: Event, standing: Standing, words: dict[str, str]) -> dict[str, object]:
    """Return what the page's script needs, but for the browser's own place."""
    return {
        "state_url": url_for("waiting_room.show_state", slug=event.slug),
        "place_url": url_for("waiting_room.show_place", slug=event.slug),
        "state": _state(event, standing),
        "lobby_seconds": int(rules.LOBBY.total_seconds()),
        "words": words,
    }


def poll_seconds(seconds: float | None) -> int:
    """Return after how many seconds it is worth asking again, for a wait of so many."""
    if seconds is None:
        return LATEST_POLL
    return int(min(max(seconds / 4, SOONEST_POLL), LATEST_POLL))


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(1 - JITTER, 1 + JITTER)


@bp.get("/e/<slug>/waiting-room.json")
def show_state(slug: str) -> BaseResponse:
    """Say how the line stands: one answer for all who wait, each knows its own place."""
    now = utc_now()
    event = get_published_event(slug)
    standing = get_standing(event, now) if rules.is_in_use(event, now) else None
    body = json.dumps(_state(event, standing))
    response = Response(body, mimetype="application/json")
    response.set_etag(hashlib.sha256(body.encode()).hexdigest()[:16])
    response.headers["Cache-Control"] = "public, max-age=1"
    return response.make_conditional(request)


def _state(event: Event, standing: Standing | None) -> dict[str, object]:
    """Return the line as the polls see it. `phase`: `lobby`, `line`, or `open` when nobody has to wait."""
    if standing is None or not standing.is_active:
        return {"phase": "open", "admitted": 0, "waiting": 0, "per_minute": 0.0, "opens_at": None}
    return {
        "phase": "lobby" if standing.is_lobby else "line",
        "admitted": standing.room.admitted,
        "waiting": standing.room.line,
        "per_minute": round(standing.per_minute, 1),
        "opens_at": event.opens_at.isoformat() if standing.is_lobby and event.opens_at else None,
    }


@bp.get("/e/<slug>/waiting-room/place.json")
def show_place(slug: str) -> Response:
    """Say which place this browser has, for those whose lot was drawn; null for who has none. Takes no place."""
    now = utc_now()
    event = get_published_event(slug)
    shown = read_place(event.id, now)
    standing = get_standing(event, now) if rules.is_in_use(event, now) else None
    place = None
    if shown.place is not None and standing is not None and not standing.is_lobby:
        place = rules.place_of(standing.room, shown.place.number)
    response = Response(json.dumps({"place": place}), mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response
