"""The signed place: a number in an event's line that only this site can give out, kept by the browser in a cookie."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from flask import Response, after_this_request, request
from itsdangerous import BadData, URLSafeSerializer

from meetup.site import current_site
from meetup.views.guards import cookie_name, set_cookie

# A line is over long before; an older place is somebody else's evening.
PLACE_LASTS = timedelta(hours=24)
FARTHEST_NUMBER = 2**31 - 1


@dataclass(frozen=True)
class Place:
    """What the cookie says: the number, when it was taken, how many were ahead then, when its browser came in turn.

    Times are whole seconds since 1970; `came_at` is None until the turn has come.
    """

    event_id: int
    number: int
    taken_at: int
    ahead: int
    came_at: int | None = None

    def came(self) -> datetime | None:
        """Return when the browser came for the form."""
        return None if self.came_at is None else datetime.fromtimestamp(self.came_at, UTC)


@dataclass(frozen=True)
class Shown:
    """The place that a request shows, None without a good one; `is_refused` when it shows one that is not good."""

    place: Place | None
    is_refused: bool


def read_place(event_id: int, now: datetime) -> Shown:
    """Return the place in this event's line that the request shows: a forged, altered or old one is none."""
    text = request.cookies.get(cookie_name(_name(event_id)))
    if not text:
        return Shown(None, is_refused=False)
    place = _parse(text, event_id)
    is_good = place is not None and 0 <= now.timestamp() - place.taken_at < PLACE_LASTS.total_seconds()
    return Shown(place if is_good else None, is_refused=not is_good)


def _parse(text: str, event_id: int) -> Place | None:
    try:
        values = _serializer().loads(text)
        place = Place(*values)
    except (BadData, TypeError):
        return None
    return place if place.event_id == event_id else None


def keep_place(place: Place) -> None:
    """Set the cookie on the answer to this request, whatever it becomes."""

    @after_this_request
    def _set(response: Response) -> Response:
        values = (place.event_id, place.number, place.taken_at, place.ahead, place.came_at)
        text = _serializer().dumps(values)
        set_cookie(response, _name(place.event_id), str(text), int(PLACE_LASTS.total_seconds()))
        # No cache between here and the browser may give this place to somebody else.
        response.headers["Cache-Control"] = "no-store"
        return response


def keep_arrival(place: Place, now: datetime) -> None:
    """Note in the cookie that this browser came when it was its turn."""
    if place.came_at is None:
        keep_place(replace(place, came_at=int(now.timestamp())))


def _name(event_id: int) -> str:
    return f"turnout_place_{event_id}"


def _serializer() -> URLSafeSerializer:
    return URLSafeSerializer(current_site().config.secret_key, salt="waiting room place")
