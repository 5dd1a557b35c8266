"""Flask without what no view here uses, but every request would pay for."""

from collections.abc import Callable
from typing import Any

from flask import Flask, Request, Response
from flask.sessions import SessionInterface, SessionMixin


class NoSessions(SessionInterface):
    """No session in a cookie: those of organisers are rows of the database (rules 5.3)."""

    def open_session(self, app: Flask, request: Request) -> None:
        """Open none; Flask puts one in its place that refuses to be written to."""

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Save nothing."""


class LeanFlask(Flask):
    """A Flask application of which no view is a coroutine."""

    session_interface = NoSessions()

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function as it is: asking whether it is a coroutine costs as much as routing."""
        return func
