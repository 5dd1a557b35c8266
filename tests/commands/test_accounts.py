"""create-organiser and create-api-token."""

import re

from flask import Flask

from tests.commands.terminal import refusal, run
from tests.factories import PASSWORD, World, bearer


def sign_in(app: Flask, email: str, password: str) -> int:
    return app.test_client().post("/organise/sign-in", data={"email": email, "password": password}).status_code


def test_organiser_signs_in_with_the_password_of_standard_input(app: Flask) -> None:
    answer = run(app, "create-organiser", "Olga@Example.org", typed=f"{PASSWORD}\nignored\n")

    assert answer == {"email": "Olga@example.org", "sign_in_url": "http://localhost/organise/sign-in"}
    assert sign_in(app, "olga@example.org", PASSWORD) == 303


def test_organiser_without_a_password_gets_one_that_is_printed(app: Flask) -> None:
    answer = run(app, "create-organiser", "olga@example.org")

    assert re.fullmatch(r"([a-z2-9]{5}-){3}[a-z2-9]{5}", answer["password"])
    assert sign_in(app, "olga@example.org", answer["password"]) == 303


def test_weak_password_is_refused(app: Flask) -> None:
    too_short_or_long = dict.fromkeys(("short", "x" * 129), "invalid: password (bad_password_length)")
    common = dict.fromkeys(("qwertyuiop", "QwertyUIOP"), "invalid: password (common_password)")
    weak = too_short_or_long | common

    assert {each: refusal(app, "create-organiser", "olga@example.org", typed=f"{each}\n") for each in weak} == weak
    assert {sign_in(app, "olga@example.org", each) for each in weak} == {401}


def test_second_account_of_an_address_is_refused(app: Flask) -> None:
    run(app, "create-organiser", "olga@example.org", typed=f"{PASSWORD}\n")

    assert refusal(app, "create-organiser", "OLGA@example.org ", typed="another evening in may\n") == "account_exists"
    assert sign_in(app, "olga@example.org", PASSWORD) == 303


def test_address_that_is_none_is_refused(app: Flask) -> None:
    for email in ("olga", "", "olga@localhost", "a@x.org, b@x.org", "\udcff@x.org"):
        words = refusal(app, "create-organiser", email, typed=f"{PASSWORD}\n")
        assert words.startswith("Invalid value for EMAIL: "), email


def test_api_token_reads_the_headcount_of_its_own_events_alone(app: Flask, world: World) -> None:
    world.event("evening", owner=world.organiser())
    world.event("other", owner=world.organiser("oscar@example.org"))

    token = run(app, "create-api-token", "olga@example.org")["token"]

    client = app.test_client()
    answers = [client.get(f"/api/v1/events/{slug}/headcount", headers=bearer(token)) for slug in ("evening", "other")]
    assert [answer.status_code for answer in answers] == [200, 404]


def test_api_token_of_nobody_is_refused(app: Flask) -> None:
    assert refusal(app, "create-api-token", "nobody@example.org") == "no account has the address nobody@example.org"
