"""The mail server and the worker's clock."""

from collections.abc import Iterator

import pytest
from flask import Flask

from meetup import worker
from tests.mail_desk import open_desk
from tests.worker.mailroom import Clock, Mailroom, MoodyDesk


@pytest.fixture
def desk() -> MoodyDesk:
    return MoodyDesk()


@pytest.fixture
def environ(desk: MoodyDesk) -> Iterator[dict[str, str]]:
    with open_desk(desk, authenticator=desk.sign_in, auth_require_tls=False) as (_, port):
        yield {"MAIL_URL": f"smtp://us:right@127.0.0.1:{port}", "MAIL_FROM": "Turnout <tickets@example.org>"}


@pytest.fixture
def mailroom(app: Flask, desk: MoodyDesk, monkeypatch: pytest.MonkeyPatch) -> Mailroom:
    clock = Clock()
    monkeypatch.setattr(worker, "utc_now", clock)
    return Mailroom(app, desk, clock)
