"""The form behind the poster: filled in on the visitor's own phone, shown to the team, a ticket once they are in."""

import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from meetup.clock import utc_now
from meetup.domain.recount import find_differences
from meetup.storage.counters import get_seats
from meetup.storage.events import get_event
from meetup.storage.outbox import OutboxMessage
from meetup.storage.registrations import Registration
from tests.factories import World

DOOR = "/e/evening/door"
WAITING = "Waiting at the door: show this to the team"


def ask(client: FlaskClient, path: str = DOOR, **fields: Any) -> TestResponse:
    return client.post(path, data={"name": "Ada Lovelace", **fields})


def waiting(session: Session) -> list[tuple[str, str, str, bool]]:
    session.rollback()
    found = session.scalars(select(Registration).order_by(Registration.id))
    return [(each.name, each.email, each.state, each.is_at_door) for each in found]


def kinds(session: Session) -> list[str]:
    session.rollback()
    return list(session.scalars(select(OutboxMessage.kind).order_by(OutboxMessage.id)))


def test_form_makes_somebody_wait_without_taking_a_seat_or_sending_mail(
    world: World, client: FlaskClient, session: Session
) -> None:
    world.event(capacity=2)

    answer = ask(client, email="ada@example.org")

    seats = get_seats(session, get_event(session, "evening").id)
    assert (answer.status_code, (answer.location or "")[:3]) == (303, "/t/")
    assert waiting(session) == [("Ada Lovelace", "ada@example.org", "pending", True)]
    assert (seats.confirmed, seats.pending, kinds(session)) == (0, 1, [])
    assert find_differences(session) == []


def test_page_of_somebody_waiting_shows_the_name_and_no_code(world: World, client: FlaskClient) -> None:
    world.event()

    page = client.get(ask(client, name="Zoé <b>Martin</b>").location or "")

    assert (page.status_code, page.headers["Cache-Control"]) == (200, "no-store")
    assert WAITING in page.text
    assert '<p class="at-door-name">Zoé &lt;b&gt;Martin&lt;/b&gt;</p>' in page.text
    assert '<meta http-equiv="refresh" content="5">' in page.text
    assert ("ticket-qr" in page.text, "ticket-code" in page.text) == (False, False)


def test_page_turns_into_the_ticket_when_the_team_lets_them_in(
    world: World, client: FlaskClient, session: Session
) -> None:
    world.event()
    device = world.device()
    page = ask(client, email="ada@example.org").location or ""
    public_id = session.scalars(select(Registration.public_id)).one()

    verdict = world.scan(device, None, registration_id=public_id, admit_waiting=True).json or {}

    ticket = client.get(page).text
    assert (verdict["outcome"], world.headcount(device)["inside"]) == ("admitted", 1)
    assert (WAITING in ticket, "http-equiv" in ticket, "ticket-qr" in ticket) == (False, False, True)
    assert kinds(session) == ["registration_confirmed"]


def test_without_an_address_nothing_is_mailed_and_the_page_says_nothing_of_mail(
    world: World, client: FlaskClient, session: Session
) -> None:
    world.event()
    device = world.device()
    page = ask(client, email="  ").location or ""
    public_id = session.scalars(select(Registration.public_id)).one()

    world.scan(device, None, registration_id=public_id, admit_waiting=True)

    assert (kinds(session), "/resend" in client.get(page).text) == ([], False)


def test_the_same_form_twice_is_one_person(world: World, client: FlaskClient, session: Session) -> None:
    world.event()
    key = re.search(r'name="form_key" value="([\w-]+)"', client.get(DOOR).text)
    assert key is not None

    pages = {ask(client, form_key=key.group(1)).location for _ in range(2)}

    assert (len(pages), len(waiting(session))) == (1, 1)


def test_each_form_has_a_key_of_its_own(world: World, client: FlaskClient) -> None:
    world.event()

    keys = {re.search(r'name="form_key" value="([\w-]+)"', client.get(DOOR).text)[1] for _ in range(3)}  # type: ignore[index]

    assert (len(keys), client.get(DOOR).headers["Cache-Control"]) == (3, "no-store")


def test_address_that_is_registered_gets_its_ticket_by_mail_and_nobody_learns_of_it(
    world: World, client: FlaskClient, session: Session
) -> None:
    world.event()
    world.register(email="ada@example.org")

    answer = ask(client, email="ADA@example.org")

    assert (answer.status_code, answer.location) == (303, "/e/evening/sent")
    assert (kinds(session), len(waiting(session))) == (["registration_confirmed", "ticket_again"], 1)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"email": "ada@"}, "email"),
        ({"form_key": "x" * 101}, "form_key"),
    ],
)
def test_bad_input_names_the_field_and_keeps_what_was_typed(
    world: World, client: FlaskClient, session: Session, fields: dict[str, str], field: str
) -> None:
    world.event()

    answer = ask(client, **{"email": "grace@example.org"} | fields)

    typed = fields.get("email", "grace@example.org")
    assert (answer.status_code, f'value="{typed}"' in answer.text, waiting(session)) == (422, True, [])
    assert f'id="{field}-error"' in answer.text or field == "form_key"


@pytest.mark.parametrize(
    ("hours", "heading"),
    [
        ({"doors_open_at": 1}, "The doors are not open yet"),
        ({"doors_open_at": -3, "doors_close_at": -1}, "The doors are closed"),
        ({"starts_at": -5, "ends_at": -1}, "This event is over"),
    ],
)
def test_outside_the_doors_times_there_are_words_and_no_form(
    world: World, client: FlaskClient, session: Session, hours: dict[str, int], heading: str
) -> None:
    details: dict[str, Any] = {name: utc_now() + timedelta(hours=each) for name, each in hours.items()}
    world.event(**details)

    page, answer = client.get(DOOR), ask(client)

    assert [(each.status_code, heading in each.text, "<form" in each.text) for each in (page, answer)] == [
        (200, True, False),
        (409, True, False),
    ]
    assert waiting(session) == []


def test_page_stops_asking_when_the_doors_have_closed(world: World, client: FlaskClient, session: Session) -> None:
    world.event(doors_close_at=utc_now() + timedelta(hours=1))
    page = ask(client).location or ""
    event = get_event(session, "evening")
    event.doors_close_at = utc_now() - timedelta(minutes=1)
    session.commit()

    text = client.get(page).text

    assert ("http-equiv" in text, "The doors are closed" in text) == (False, True)


def test_form_of_another_site_is_refused(world: World, client: FlaskClient, session: Session) -> None:
    world.event()

    answer = client.post(DOOR, data={"name": "Ada"}, headers={"Sec-Fetch-Site": "cross-site"})

    assert (answer.status_code, waiting(session)) == (403, [])


def test_trap_for_programs_stores_nothing(world: World, client: FlaskClient, session: Session) -> None:
    world.event()

    answer = ask(client, website="https://spam.example")

    assert (answer.status_code, answer.location, waiting(session)) == (303, "/e/evening/sent", [])


@pytest.mark.parametrize("path", ["/e/nothing/door", "/e/hidden/door"])
def test_event_that_the_public_does_not_see_has_no_form(world: World, client: FlaskClient, path: str) -> None:
    world.event("hidden", is_published=False)

    assert [client.get(path).status_code, ask(client, path).status_code] == [404, 404]


def test_language_of_the_form_stays_that_of_the_page(world: World, client: FlaskClient, session: Session) -> None:
    world.event()

    ask(client, locale="fr")

    assert session.scalars(select(Registration.locale)).one() == "fr"


def test_withdrawing_takes_them_off_the_list_at_the_door(world: World, client: FlaskClient, session: Session) -> None:
    world.event()
    device = world.device()
    page = ask(client).location or ""

    client.post(f"{page}/cancel")

    public_id = session.scalars(select(Registration.public_id)).one()
    verdict = world.scan(device, None, registration_id=public_id, admit_waiting=True, scan_id=str(uuid.uuid4())).json
    assert ((verdict or {})["reason"], kinds(session)) == ("cancelled", [])


class TestLimit:
    """The limit is that of the public form."""

    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {"LIMIT_REGISTER_PER_IP": "2 per minute"}

    def test_too_many_from_one_address_keep_what_was_typed(self, world: World, client: FlaskClient) -> None:
        world.event()

        answers = [ask(client, name=f"Person {number}") for number in range(3)]

        assert [each.status_code for each in answers] == [303, 303, 429]
        # Without an address of its own the form goes to the address of its page.
        assert [part in answers[2].text for part in ('value="Person 2"', '<form method="post" class="stack">')] == [
            True,
            True,
        ]
