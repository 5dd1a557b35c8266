"""The waiting page without what is one browser's own: drawn once a second, filled in for each."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from flask import current_app
from markupsafe import escape

FRAME_LASTS = timedelta(seconds=1)
# More kinds of page than languages and phases make are somebody's play with addresses.
MOST_FRAMES = 200
# What a blank looks like in the drawn page; no sentence and no address holds it.
BLANKS = {name: f"@@{name}@@" for name in ("number", "estimate", "detail", "done", "refresh", "place", "ahead", "now")}

Frame = tuple[str, dict[str, str]]


def get_frame(key: tuple[object, ...], now: datetime, render: Callable[[], Frame]) -> Frame:
    """Return the page for a key as it was drawn at most a second ago, and its words."""
    known: dict[tuple[object, ...], tuple[datetime, Frame]] = current_app.extensions.setdefault("waiting_frames", {})
    found = known.get(key)
    if found is not None and abs(now - found[0]) < FRAME_LASTS:
        return found[1]
    if len(known) >= MOST_FRAMES:
        known.clear()
    frame = render()
    known[key] = (now, frame)
    return frame


def fill_frame(frame: str, values: Mapping[str, object]) -> str:
    """Return the page with its blanks filled in, escaped."""
    for name, blank in BLANKS.items():
        frame = frame.replace(blank, str(escape(values[name])))
    return frame
