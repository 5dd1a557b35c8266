"""Past the ceiling of one address: proof of work, or a mail (rules 5.5)."""

import base64
import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from limits import parse
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from meetup.clock import utc_now
from meetup.storage.counters import get_seats
from meetup.storage.events import get_event
from meetup.storage.outbox import OutboxMessage
from meetup.storage.registrations import Registration
from meetup.views import proof
from tests.factories import World
from tests.views.proofs import challenge_of, pack, solve

FREE = 2


@pytest.fixture
def environ() -> dict[str, str]:
    return {"LIMIT_REGISTER_PER_IP": f"{FREE} per 10 minutes"}


@pytest.fixture(autouse=True)
def easy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the tests spend their time on other things than hashing."""
    monkeypatch.setattr(proof, "EASIEST", 64)


@pytest.fixture
def crowd(world: World, client: FlaskClient) -> None:
    """Let so many register that the next is past the ceiling."""
    world.event(capacity=10)
    for number in range(FREE):
        assert register(client, f"free{number}@example.org").status_code == 303


def register(client: FlaskClient, email: str = "grace@example.org", **more: Any) -> TestResponse:
    return client.post("/e/evening/register", data={"name": "Grace Hopper", "email": email} | more)


def challenge(client: FlaskClient) -> dict[str, Any]:
    answer = register(client)
    assert answer.status_code == 429
    return challenge_of(answer.get_data(as_text=True))


def states(session: Session) -> dict[str, str]:
    session.rollback()
    return {email: state for email, state in session.execute(select(Registration.email, Registration.state))}


@pytest.mark.usefixtures("crowd")
class TestProof:
    def test_the_page_keeps_what_was_typed_and_says_when_to_come_back(self, client: FlaskClient) -> None:
        answer = register(client, **{"answer-why": "Because", "form_key": "key-1"})
        page = answer.get_data(as_text=True)

        assert answer.status_code == 429
        assert 1 <= int(answer.headers["Retry-After"]) <= 600
        assert answer.headers["Cache-Control"] == "no-store"
        for name, value in (("name", "Grace Hopper"), ("answer-why", "Because"), ("form_key", "key-1")):
            assert f'<input type="hidden" name="{name}" value="{value}">' in page

    def test_a_proof_opens_the_way_to_the_ticket(self, client: FlaskClient, session: Session) -> None:
        answer = register(client, proof=solve(challenge(client)))

        assert answer.status_code == 303
        assert answer.headers["Location"].startswith("/t/")
        assert states(session)["grace@example.org"] == "confirmed"

    def test_a_proof_is_good_once(self, client: FlaskClient) -> None:
        given = challenge(client)
        proved = solve(given)
        assert register(client, "first@example.org", proof=proved).status_code == 303

        assert register(client, "second@example.org", proof=proved).status_code == 429

    def test_another_spelling_of_a_used_proof_is_the_same_proof(self, client: FlaskClient) -> None:
        given = challenge(client)
        proved = solve(given)
        number = json.loads(base64.b64decode(proved))["number"]
        assert register(client, "first@example.org", proof=proved).status_code == 303

        respelt = pack(given, number, salt=given["salt"].rstrip("&"))

        assert register(client, "second@example.org", proof=respelt).status_code == 429

    def test_a_proof_expires(self, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
        proved = solve(challenge(client))
        later = utc_now() + proof.VALID_FOR + timedelta(seconds=2)
        monkeypatch.setattr(proof, "utc_now", lambda: later)

        assert register(client, proof=proved).status_code == 429

    def test_a_proof_may_not_be_much_easier_than_what_is_asked_now(
        self, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, second = solve(challenge(client)), solve(challenge(client))
        monkeypatch.setattr(proof, "EASIEST", 64 * proof.STALE_FACTOR)
        assert register(client, "first@example.org", proof=first).status_code == 303
        monkeypatch.setattr(proof, "EASIEST", 64 * proof.STALE_FACTOR * 2)

        assert register(client, "second@example.org", proof=second).status_code == 429

    @pytest.mark.parametrize("number", [-1, 65, "1", True, None, 1.5, [], 10**30])
    def test_a_wrong_number_is_no_proof(self, client: FlaskClient, number: object) -> None:
        assert register(client, proof=pack(challenge(client), number)).status_code == 429

    @pytest.mark.parametrize(
        "text",
        ["", "x", "é", "\x00", "e30=", "W10=", "bnVsbA==", "A" * 5000, base64.b64encode(b"[" * 700).decode()],
    )
    def test_nonsense_is_no_proof(self, client: FlaskClient, text: str) -> None:
        assert register(client, proof=text).status_code == 429

    @pytest.mark.parametrize(
        ("part", "value"),
        [
            ("salt", "0011223344556677?expires=9999999999&m=1&"),
            ("salt", ["a"]),
            ("salt", "é?expires=9999999999&m=1&"),
            ("signature", "00" * 32),
            ("algorithm", "SHA-1"),
            ("algorithm", 7),
            ("extra", "part"),
        ],
    )
    def test_a_forged_part_is_no_proof(self, client: FlaskClient, part: str, value: object) -> None:
        given = challenge(client)
        number = json.loads(base64.b64decode(solve(given)))["number"]

        assert register(client, proof=pack(given, number, **{part: value})).status_code == 429

    def test_a_challenge_that_the_sender_made_is_no_proof(self, client: FlaskClient) -> None:
        salt = "0011223344556677?expires=9999999999&m=1&"
        forged = {"algorithm": "SHA-256", "salt": salt, "maxNumber": 1, "signature": "00" * 32}
        forged["challenge"] = hashlib.sha256(f"{salt}0".encode()).hexdigest()

        assert register(client, proof=pack(forged, 0)).status_code == 429

    def test_tries_are_counted_on_the_page(self, client: FlaskClient) -> None:
        page = register(client, attempt="3").get_data(as_text=True)

        assert '<input type="hidden" name="attempt" value="4">' in page

    def test_another_sites_form_is_refused_and_not_kept(self, client: FlaskClient) -> None:
        answer = client.post(
            "/e/evening/register",
            data={"name": "Grace Hopper", "email": "grace@example.org"},
            headers={"Sec-Fetch-Site": "cross-site"},
        )

        assert answer.status_code == 403
        assert "grace@example.org" not in answer.get_data(as_text=True)


@pytest.mark.parametrize(
    ("came_through", "doublings"), [(0, 0), (99, 0), (100, 1), (250, 2), (400, 4), (600, 6), (100_000, 6)]
)
def test_work_doubles_with_each_crowd_until_it_is_hard_enough(
    app: Flask, monkeypatch: pytest.MonkeyPatch, came_through: int, doublings: int
) -> None:
    monkeypatch.setattr(proof, "EASIEST", 50_000)
    monkeypatch.setattr(proof, "_ceiling", lambda: parse("600 per 10 minutes"))

    assert proof._difficulty(came_through) == 50_000 * 2**doublings


@pytest.mark.usefixtures("crowd")
class TestMail:
    def test_whoever_confirms_by_mail_holds_no_seat_yet(self, client: FlaskClient, session: Session) -> None:
        answer = register(client, confirm="email")

        assert (answer.status_code, answer.headers["Location"]) == (303, "/e/evening/sent")
        assert states(session)["grace@example.org"] == "unverified"
        event = get_event(session, "evening")
        assert (get_seats(session, event.id).unverified, get_seats(session, event.id).confirmed) == (1, FREE)
        promised = session.execute(select(OutboxMessage.kind, OutboxMessage.state).order_by(OutboxMessage.id.desc()))
        assert promised.first() == ("registration_unverified", "due")

    def test_neither_a_repeat_nor_the_form_key_gives_the_ticket_away(
        self, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(proof, "_most_mails", lambda: 3)

        answers = [register(client, confirm="email", form_key="key-1") for _ in range(2)]
        answers.append(register(client, confirm="email", form_key="key-1", email="other@example.org"))

        assert {answer.headers["Location"] for answer in answers} == {"/e/evening/sent"}

    def test_one_address_sends_few_such_mails(self, client: FlaskClient) -> None:
        assert register(client, "one@example.org", confirm="email").status_code == 303

        answer = register(client, "two@example.org", confirm="email")

        assert answer.status_code == 429
        assert 'value="email"' not in answer.get_data(as_text=True)

    def test_within_the_ceiling_nobody_needs_a_mail(self, world: World, client: FlaskClient, session: Session) -> None:
        answer = client.post(
            "/e/evening/register",
            data={"name": "Ada", "email": "elsewhere@example.org", "confirm": "email"},
            environ_base={"REMOTE_ADDR": "192.0.2.7"},
        )

        assert answer.headers["Location"].startswith("/t/")
        assert states(session)["elsewhere@example.org"] == "confirmed"


def test_a_proof_of_an_app_with_another_secret_is_none(world: World, client: FlaskClient, app: Flask) -> None:
    world.event()
    for number in range(FREE):
        register(client, f"free{number}@example.org")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(proof, "_signing_key", lambda: b"another")
        proved = solve(challenge(client))

    assert register(client, proof=proved).status_code == 429
