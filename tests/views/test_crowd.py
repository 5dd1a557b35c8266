"""Two hundred people and a bot behind one address, with the limits as they are by default (rules 5.5)."""

import pytest
from flask.testing import FlaskClient

from meetup.views import proof
from tests.factories import World
from tests.views.proofs import challenge_of, solve

CEILING = 600
BOT_TRIES = 1000
HALL = 200
ONE_ADDRESS = {"REMOTE_ADDR": "203.0.113.9"}


def register(client: FlaskClient, email: str, **more: str) -> int:
    typed = {"name": "Somebody", "email": email} | more
    return client.post("/e/evening/register", data=typed, environ_base=ONE_ADDRESS).status_code


def register_by_browser(client: FlaskClient, email: str) -> tuple[int, int]:
    """Register as a browser does, which solves what it is given; return the status and how hard it was."""
    typed = {"name": "Somebody", "email": email}
    answer = client.post("/e/evening/register", data=typed, environ_base=ONE_ADDRESS)
    if answer.status_code != 429:
        return answer.status_code, 0
    challenge = challenge_of(answer.get_data(as_text=True))
    return register(client, email, proof=solve(challenge)), int(challenge["maxNumber"])


def test_a_hall_registers_behind_the_address_of_a_bot_that_is_stopped(
    world: World, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "EASIEST", 16)
    world.event()

    bot = [register(client, f"bot{number}@example.org") for number in range(BOT_TRIES)]
    hall = [register_by_browser(client, f"person{number}@example.org") for number in range(HALL)]

    assert bot == [303] * CEILING + [429] * (BOT_TRIES - CEILING)
    assert [status for status, _work in hall] == [303] * HALL
    # Each further crowd of a hundred costs twice as much as the one before.
    assert [work for _status, work in hall] == [16] * 100 + [32] * 100


def test_a_hall_of_two_hundred_is_asked_for_nothing(world: World, client: FlaskClient) -> None:
    world.event()

    assert [register(client, f"person{number}@example.org") for number in range(HALL)] == [303] * HALL
