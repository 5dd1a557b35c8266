"""What the tests of the organiser's pages share: the token of a form, and sending one."""

import re
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

FORM_TOKEN = re.compile(r'name="csrf_token" value="([0-9a-f]+)"')


def send(client: FlaskClient, path: str, **fields: Any) -> TestResponse:
    """Send a form of a signed-in browser, with the token that every page of it carries."""
    page = client.get("/organise/password")
    found = FORM_TOKEN.search(page.text)
    assert found is not None
    return client.post(path, data={"csrf_token": found.group(1), **fields})
