"""How many fields a form may have: Werkzeug counts the parts of a multipart form alone."""

from typing import IO, Any

from flask import Flask, Request
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

# The longest form of ours asks for some thirty answers.
MOST_FIELDS = 1000


class CountingFormParser(FormDataParser):
    """Refuses a form with too many fields (413)."""

    def parse(
        self, stream: IO[bytes], mimetype: str, content_length: int | None, options: dict[str, str] | None = None
    ) -> tuple[IO[bytes], MultiDict[str, str], MultiDict[str, FileStorage]]:
        """Return what Werkzeug makes of the form, unless it is too much."""
        parsed: tuple[Any, MultiDict[str, str], Any] = super().parse(stream, mimetype, content_length, options)
        if sum(map(len, parsed[1].listvalues())) > MOST_FIELDS:
            raise RequestEntityTooLarge
        return parsed


class CountingRequest(Request):
    """A request whose forms are counted."""

    form_data_parser_class = CountingFormParser


def configure_form_limits(app: Flask) -> None:
    """Count the fields of every form."""
    app.request_class = CountingRequest
