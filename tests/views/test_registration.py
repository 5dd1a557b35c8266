"""The public form: POST /e/<slug>/register (contract section 3)."""

from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from meetup.clock import utc_now
from meetup.storage.outbox import OutboxMessage
from meetup.storage.registrations import Registration
from tests.factories import World


def register(client: FlaskClient, headers: dict[str, str] | None = None, **form: Any) -> TestResponse:
    typed = {"name": "Ada Lovelace", "email": "ada@example.org"} | form
    return client.post("/e/evening/register", data=typed, headers=headers or {})


def count(session: Session) -> int:
    session.rollback()
    return session.execute(select(func.count()).select_from(Registration)).scalar_one()


def mails(session: Session) -> list[tuple[str, str]]:
    session.rollback()
    rows = session.execute(select(OutboxMessage.kind, OutboxMessage.state).order_by(OutboxMessage.id))
    return [(kind, state) for kind, state in rows]


def test_register_leads_to_the_ticket(world: World, client: FlaskClient) -> None:
    world.event()

    response = register(client)

    assert response.status_code == 303
    page = client.get(response.headers["Location"])
    assert page.status_code == 200
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert b"Ada Lovelace" in page.data
    assert b"<svg" in page.data


def test_register_again_leads_to_the_inbox(world: World, client: FlaskClient, session: Session) -> None:
    world.event()
    register(client)

    response = register(client, email="ADA@example.org ")

    assert (response.status_code, response.headers["Location"]) == (303, "/e/evening/sent")
    assert count(session) == 1
    assert mails(session) == [("registration_confirmed", "due"), ("ticket_again", "due")]


@pytest.mark.parametrize(
    ("form", "field", "words"),
    [
        ({"name": ""}, "name", "Please tell us your name."),
        ({"name": " \t\u200b\u0000"}, "name", "Please tell us your name."),
        ({"name": "x" * 201}, "name", "This name is too long: 200 characters at most."),
        ({"email": "nonsense"}, "email", "This does not look like an e-mail address."),
        ({"email": "a@x.org, victim@y.org"}, "email", "This does not look like an e-mail address."),
        ({"email": "a@x.org\nBcc: v@y.org"}, "email", "This does not look like an e-mail address."),
        ({"email": "a" * 250 + "@x.org"}, "email", "This does not look like an e-mail address."),
        ({"guests": "9"}, "guests", "That is more guests than one person may bring."),
        ({"guests": "-1"}, "guests", "Choose how many guests come along from the list."),
        ({"guests": "many"}, "guests", "Choose how many guests come along from the list."),
    ],
)
def test_bad_input_names_the_field_and_keeps_what_was_typed(
    world: World, client: FlaskClient, session: Session, form: dict[str, str], field: str, words: str
) -> None:
    world.event(guests=2)

    typed: dict[str, Any] = {"name": "Grace Hopper", "email": "grace@example.org"} | form
    response = register(client, **typed)

    page = response.get_data(as_text=True)
    assert response.status_code == 422
    assert words in page
    assert f'id="{field}-error"' in page
    kept = "grace@example.org" if field == "name" else "Grace Hopper"
    assert kept in page
    assert count(session) == 0


def test_a_filled_honeypot_is_thanked_and_stored_nowhere(world: World, client: FlaskClient, session: Session) -> None:
    world.event()

    response = register(client, website="https://spam.example")

    assert (response.status_code, response.headers["Location"]) == (303, "/e/evening/sent")
    assert count(session) == 0
    assert mails(session) == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 303),
        ({"Sec-Fetch-Site": "same-origin"}, 303),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, 303),
        ({"Sec-Fetch-Site": "none"}, 303),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"}, 403),
        ({"Origin": "http://localhost"}, 303),
        ({"Origin": "null"}, 303),
        ({"Origin": "https://evil.example"}, 403),
    ],
)
def test_a_form_of_another_site_is_refused(
    world: World, client: FlaskClient, session: Session, headers: dict[str, str], status: int
) -> None:
    world.event()

    assert register(client, headers).status_code == status
    assert count(session) == (1 if status == 303 else 0)


def test_full_without_waitlist_is_409_with_the_page(world: World, client: FlaskClient, session: Session) -> None:
    world.event(capacity=1, has_waitlist=False)
    world.register()

    response = register(client)

    assert response.status_code == 409
    assert count(session) == 1


def test_full_with_waitlist_shows_the_place(world: World, client: FlaskClient) -> None:
    world.event(capacity=1)
    world.register()
    world.register()

    response = register(client)

    ticket = client.get(response.headers["Location"] + ".json").json
    assert ticket is not None
    assert (ticket["state"], ticket["waitlist_position"]) == ("waitlisted", 2)
    page = client.get(response.headers["Location"]).get_data(as_text=True)
    assert "2nd" in page
    assert 'shape-rendering="crispEdges"' not in page


def test_closed_registration_is_409(world: World, client: FlaskClient) -> None:
    world.event(closes_at=utc_now() - timedelta(minutes=1))

    assert register(client).status_code == 409


def test_unpublished_and_unknown_events_look_the_same(world: World, client: FlaskClient) -> None:
    world.event(is_published=False)

    assert register(client).status_code == 404
    assert client.get("/e/evening").status_code == 404
    assert client.get("/e/nowhere").status_code == 404


def test_the_same_form_key_gives_the_first_ticket(world: World, client: FlaskClient, session: Session) -> None:
    world.event()
    first = register(client, form_key="0c3f")

    again = register(client, form_key="0c3f", email="other@example.org", name="Other")

    assert again.headers["Location"] == first.headers["Location"]
    assert count(session) == 1


def test_three_mails_an_hour_to_one_address_and_no_more(world: World, client: FlaskClient, session: Session) -> None:
    world.event()
    for _ in range(3):
        location = register(client).headers["Location"]
        if location.startswith("/t/"):
            client.post(f"{location}/cancel")

    assert [state for _kind, state in mails(session)] == ["due", "due", "due", "held", "held", "held"]


def test_resend_is_the_same_for_everybody_and_bounded(world: World, client: FlaskClient, session: Session) -> None:
    world.event()
    ticket = world.register()

    answers = [client.post("/e/evening/resend", data={"email": ticket.email}) for _ in range(5)]
    answers += [client.post("/e/evening/resend", data={"email": "stranger@example.org"})]
    answers += [client.post("/e/evening/resend", data={"email": "nonsense"})]

    assert {(each.status_code, each.headers["Location"]) for each in answers} == {(303, "/e/evening/sent")}
    assert [kind for kind, _state in mails(session)].count("ticket_again") == 2


def test_a_hall_behind_one_address_registers(world: World, client: FlaskClient) -> None:
    world.event()

    statuses = {register(client, email=f"p{number}@example.org").status_code for number in range(200)}

    assert statuses == {303}


class TestPastTheCeiling:
    """One address that registers more than the ceiling allows."""

    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {"LIMIT_REGISTER_PER_IP": "2 per minute"}

    def test_429_says_when_to_come_back_and_keeps_what_was_typed(self, world: World, client: FlaskClient) -> None:
        world.event()
        for number in range(2):
            assert register(client, email=f"p{number}@example.org").status_code == 303

        response = register(client, name="Grace Hopper", email="grace@example.org")

        assert response.status_code == 429
        assert 1 <= int(response.headers["Retry-After"]) <= 60
        assert 'value="Grace Hopper"' in response.get_data(as_text=True)


def test_event_page_is_small_and_answers_304(world: World, client: FlaskClient) -> None:
    world.event(description="A long text. " * 300)

    page = client.get("/e/evening")
    again = client.get("/e/evening", headers={"If-None-Match": page.headers["ETag"]})
    size = len(page.data)
    for path in ("/static/css/app.css", "/static/js/registration.js"):
        with client.get(path) as file:
            assert file.status_code == 200
            size += len(file.data)

    assert again.status_code == 304
    assert size < 50_000


def test_event_page_changes_its_etag_with_the_language(world: World, client: FlaskClient) -> None:
    world.event()

    english = client.get("/e/evening", headers={"Accept-Language": "en"})
    french = client.get("/e/evening", headers={"Accept-Language": "fr-FR,fr;q=0.9"})

    assert english.headers["ETag"] != french.headers["ETag"]
    assert b'lang="fr"' in french.data


def test_the_form_does_not_carry_a_key_that_two_visitors_would_share(world: World, client: FlaskClient) -> None:
    world.event()

    page = client.get("/e/evening").get_data(as_text=True)

    assert 'name="form_key" value=""' in page


def test_description_is_markdown_that_cannot_do_harm(world: World, client: FlaskClient) -> None:
    world.event(description="**Bold** <script>alert(1)</script> ![x](https://evil.example/p.png) [a](javascript:1)")

    page = client.get("/e/evening").get_data(as_text=True)

    assert "<strong>Bold</strong>" in page
    assert "<script>alert" not in page
    assert "<img" not in page
    assert 'href="javascript' not in page


def test_home_lists_published_events_to_come(world: World, client: FlaskClient) -> None:
    world.event("shown", title="Shown")
    world.event("draft", title="Draft", is_published=False)
    hours = {"starts_at": utc_now() - timedelta(hours=3), "ends_at": utc_now() - timedelta(hours=1)}
    world.event("over", None, True, title="Over", **hours)

    page = client.get("/").get_data(as_text=True)

    assert "Shown" in page
    assert "Draft" not in page
    assert "Over" not in page
