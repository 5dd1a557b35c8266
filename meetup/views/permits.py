"""Whether open streams may go on, asked once for all that show the same credentials."""

import threading
import time
import weakref
from collections.abc import Callable

from flask import Flask

# Together with the time between two questions of a stream this is how long one outlives its credentials.
PERMIT_LASTS_SECONDS = 4.0
EXTENSION = "turnout_permits"


class Permit:
    """One answer for many streams, a few seconds old at most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answer = True
        self._asked_at: float | None = None

    def holds(self, ask: Callable[[], bool]) -> bool:
        """Return the answer, asking anew when the last one is too old; of many who come at once one asks."""
        with self._lock:
            if self._asked_at is None or time.monotonic() - self._asked_at >= PERMIT_LASTS_SECONDS:
                self._answer = ask()
                self._asked_at = time.monotonic()
            return self._answer


def find_permit(app: Flask, key: tuple[str | None, ...]) -> Permit:
    """Return the permit of these credentials in this process; it is forgotten with the last stream that holds it."""
    permits = app.extensions.setdefault(EXTENSION, weakref.WeakValueDictionary[tuple[str | None, ...], Permit]())
    permit: Permit = permits.setdefault(key, Permit())
    return permit
