"""The attendee's own page and its files (contract section 3)."""

import io

import pytest
import zxingcpp
from flask.testing import FlaskClient
from icalendar import Calendar
from PIL import Image

from tests.factories import MadeTicket, World


@pytest.fixture
def ticket(world: World) -> MadeTicket:
    world.event(guests=2, capacity=5)
    return world.register(guests=1)


def test_the_picture_carries_the_code(ticket: MadeTicket, client: FlaskClient) -> None:
    response = client.get(f"/t/{ticket.ticket_key}.png")

    read = zxingcpp.read_barcodes(Image.open(io.BytesIO(response.data)))
    assert [each.text for each in read] == [ticket.code]
    assert response.mimetype == "image/png"


def test_json_shows_the_ticket(ticket: MadeTicket, client: FlaskClient) -> None:
    assert client.get(f"/t/{ticket.ticket_key}.json").json == {
        "state": "confirmed",
        "waitlist_position": None,
        "code": ticket.code,
        "short_code": ticket.short_code,
        "name": "Ada Lovelace",
        "guests": 1,
        "event": "evening",
    }


@pytest.mark.parametrize(
    ("ending", "mimetype"),
    [
        ("", "text/html"),
        (".json", "application/json"),
        (".png", "image/png"),
        (".svg", "image/svg+xml"),
        (".ics", "text/calendar"),
        (".pdf", "application/pdf"),
    ],
)
def test_every_form_of_the_ticket_is_private(
    ticket: MadeTicket, client: FlaskClient, ending: str, mimetype: str
) -> None:
    response = client.get(f"/t/{ticket.ticket_key}{ending}")

    assert (response.status_code, response.mimetype) == (200, mimetype)
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Referrer-Policy"] == "no-referrer"


def test_unknown_and_malformed_keys_get_the_same_404(ticket: MadeTicket, client: FlaskClient) -> None:
    answers = [client.get(f"/t/{key}") for key in ("x", "A" * 32, ticket.ticket_key[:-1], "%00", "%F0%9F%98%80")]

    assert {each.status_code for each in answers} == {404}
    assert len({each.data for each in answers} - {b""}) <= len(answers)
    assert len({each.data.split(b"?lang")[0][:400] for each in answers}) == 1


def test_calendar_file_names_the_event_and_the_ticket(ticket: MadeTicket, client: FlaskClient) -> None:
    calendar = Calendar.from_ical(client.get(f"/t/{ticket.ticket_key}.ics").data)

    entry = calendar.walk("VEVENT")[0]
    assert str(entry["SUMMARY"]) == "An evening"
    assert f"/t/{ticket.ticket_key}" in str(entry["URL"])


def test_edit_keeps_the_code(ticket: MadeTicket, client: FlaskClient) -> None:
    response = client.post(f"/t/{ticket.ticket_key}/edit", data={"name": "Ada King", "email": "king@example.org"})

    assert (response.status_code, response.headers["Location"]) == (303, f"/t/{ticket.ticket_key}")
    shown = client.get(f"/t/{ticket.ticket_key}.json").json
    assert shown is not None
    assert (shown["name"], shown["code"]) == ("Ada King", ticket.code)


def test_edit_to_the_address_of_another_is_422_with_what_was_typed(
    world: World, ticket: MadeTicket, client: FlaskClient
) -> None:
    other = world.register(name="Grace Hopper")

    response = client.post(f"/t/{ticket.ticket_key}/edit", data={"name": "New name", "email": other.email.upper()})

    page = response.get_data(as_text=True)
    assert response.status_code == 422
    assert 'id="email-error"' in page
    assert "New name" in page


def test_edit_of_a_field_alone_leaves_the_other(ticket: MadeTicket, client: FlaskClient) -> None:
    client.post(f"/t/{ticket.ticket_key}/edit", data={"name": "Ada King"})

    with client.application.app_context():
        assert World(client.application).registration(ticket.ticket_key).email == ticket.email


def test_cancel_gives_the_seats_back(world: World, ticket: MadeTicket, client: FlaskClient) -> None:
    response = client.post(f"/t/{ticket.ticket_key}/cancel")

    assert (response.status_code, response.headers["Location"]) == (303, f"/t/{ticket.ticket_key}")
    count = world.headcount(world.device())
    assert (count["confirmed"], count["cancelled"]) == (0, 2)
    assert client.get(f"/t/{ticket.ticket_key}").status_code == 200


def test_cancel_after_being_inside_is_409(world: World, ticket: MadeTicket, client: FlaskClient) -> None:
    world.scan(world.device(), ticket.code)

    assert client.post(f"/t/{ticket.ticket_key}/cancel").status_code == 409


@pytest.mark.parametrize("action", ["cancel", "edit"])
def test_another_site_cannot_change_a_ticket(ticket: MadeTicket, client: FlaskClient, action: str) -> None:
    response = client.post(f"/t/{ticket.ticket_key}/{action}", headers={"Sec-Fetch-Site": "cross-site"})

    assert response.status_code == 403
    shown = client.get(f"/t/{ticket.ticket_key}.json").json
    assert shown is not None
    assert shown["state"] == "confirmed"


class TestMisses:
    """Somebody who tries keys."""

    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {"LIMIT_MISSES_PER_IP": "3 per minute"}

    def test_misses_are_limited_and_known_keys_never(self, ticket: MadeTicket, client: FlaskClient) -> None:
        statuses = [client.get(f"/t/guess-{number}").status_code for number in range(5)]

        assert statuses == [404, 404, 404, 429, 429]
        assert client.get(f"/t/{ticket.ticket_key}").status_code == 200
