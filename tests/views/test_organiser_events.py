"""The organiser's events: who may see them, making, changing and publishing one."""

from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from meetup.storage.counters import get_seats
from meetup.storage.events import get_event
from tests.factories import World
from tests.views.organiser_pages import send

OWNER = "olga@example.org"
FIELDS = {
    "title": "Soirée d'été",
    "starts_at": "2026-12-05T18:30",
    "ends_at": "2026-12-05T23:00",
    "timezone": "Europe/Paris",
    "venue": "Halle",
    "address": "1 rue du Port",
    "capacity": "120",
    "venue_limit": "100",
    "guests": "2",
}
PAGES = ("", "/edit", "/registrations", "/registrations.csv", "/gates", "/messages")


@pytest.fixture
def organiser(world: World) -> FlaskClient:
    """Return a browser that is signed in."""
    return world.signed_in(OWNER)


def test_pages_without_sign_in_lead_to_the_form(client: FlaskClient, world: World) -> None:
    world.organiser(OWNER)
    world.event(owner=OWNER)

    answers = [client.get(f"/organise/e/evening{page}") for page in PAGES]

    assert [(answer.status_code, answer.location) for answer in answers] == [
        (303, f"/organise/sign-in?next=/organise/e/evening{page}") for page in PAGES
    ]


def test_pages_of_another_organiser_are_not_there(world: World, organiser: FlaskClient) -> None:
    world.organiser("other@example.org")
    world.event(owner="other@example.org")

    statuses = [organiser.get(f"/organise/e/evening{page}").status_code for page in PAGES]

    assert statuses == [404] * len(PAGES)


def test_pages_are_never_stored_nor_named_to_others(world: World, organiser: FlaskClient) -> None:
    world.event(owner=OWNER)

    answers = [organiser.get(f"/organise/e/evening{page}") for page in PAGES]

    headers = [(each.status_code, each.headers["Cache-Control"], each.headers["Referrer-Policy"]) for each in answers]
    assert headers == [(200, "no-store", "no-referrer")] * len(PAGES)


def test_list_shows_own_events_only(world: World, organiser: FlaskClient) -> None:
    world.organiser("other@example.org")
    world.event("mine", owner=OWNER, title="An evening of mine")
    world.event("theirs", owner="other@example.org", title="An evening of theirs")

    page = organiser.get("/organise").text

    assert ("An evening of mine" in page, "An evening of theirs" in page) == (True, False)


def test_list_without_events_says_so(organiser: FlaskClient) -> None:
    assert "No event yet" in organiser.get("/organise").text


def test_create_makes_a_draft_in_the_zone_of_the_event(organiser: FlaskClient, session: Session) -> None:
    answer = send(organiser, "/organise/events/new", **FIELDS)

    event = get_event(session, "soiree-d-ete")
    assert (answer.status_code, answer.location) == (303, "/organise/e/soiree-d-ete?done=created")
    assert event.starts_at == datetime(2026, 12, 5, 17, 30, tzinfo=UTC)
    assert (event.title, event.guests, event.is_published, event.has_waitlist) == ("Soirée d'été", 2, False, True)
    assert get_seats(session, event.id).capacity == 120


def test_create_without_a_waitlist(organiser: FlaskClient, session: Session) -> None:
    send(organiser, "/organise/events/new", **FIELDS, slug="small", has_waitlist="0")

    assert get_event(session, "small").has_waitlist is False


def test_create_with_a_taken_address_names_the_field(world: World, organiser: FlaskClient) -> None:
    world.event("taken")

    answer = send(organiser, "/organise/events/new", **FIELDS, slug="taken")

    assert answer.status_code == 409
    assert 'id="slug-error">This address is taken by another event.' in answer.text
    assert 'value="taken"' in answer.text


@pytest.mark.parametrize(
    ("field", "typed", "sentence"),
    [
        ("title", "", "Give the event a title"),
        ("slug", "no spaces", "Use small letters"),
        ("starts_at", "", "This is needed."),
        ("starts_at", "tomorrow", "This is no date and time"),
        ("starts_at", "2026-12-05T18:30Z", "This is no date and time"),
        ("starts_at", "0001-01-01T00:00", "This is no date and time"),
        ("starts_at", "2027-03-28T02:30", "This is no date and time"),
        ("ends_at", "2026-12-05T18:30", "The end must be after the start."),
        ("opens_at", "2027-03-28T02:30", "This is no date and time"),
        ("timezone", "Mars/Base", "This time zone is not known."),
        ("timezone", "../../etc/passwd", "This time zone is not known."),
        ("venue", "x" * 201, "This text is too long."),
        ("capacity", "-1", "Write a whole number"),
        ("capacity", "many", "Write a whole number"),
        ("venue_limit", "99999999999999999999", "Write a whole number"),
        ("guests", "21", "Choose a number from 0 to 20."),
        ("accent", "neon", "Choose one of the colours."),
        ("description", "x" * 20_001, "This text is too long: 20,000"),
    ],
)
def test_create_with_bad_input_names_the_field_and_keeps_what_was_typed(
    organiser: FlaskClient, field: str, typed: str, sentence: str
) -> None:
    answer = send(organiser, "/organise/events/new", **{**FIELDS, "venue": "Old mill", field: typed})

    assert answer.status_code == 422
    assert f'id="{field}-error">{sentence}' in answer.text
    assert 'value="2026-12-05T23:00"' in answer.text or field == "ends_at"
    assert "Old mill" in answer.text or field == "venue"


def test_edit_changes_the_event(world: World, organiser: FlaskClient, session: Session) -> None:
    world.event(owner=OWNER)

    answer = send(organiser, "/organise/e/evening/edit", **FIELDS, accent="teal")

    event = get_event(session, "evening")
    assert answer.location == "/organise/e/evening?done=saved"
    assert (event.title, event.venue, event.accent, event.revision) == ("Soirée d'été", "Halle", "teal", 1)


def test_edit_keeps_what_was_not_sent(world: World, organiser: FlaskClient, session: Session) -> None:
    world.event(owner=OWNER, capacity=7, venue="Halle", guests=3, has_waitlist=False)

    send(organiser, "/organise/e/evening/edit", title="Another evening")

    event = get_event(session, "evening")
    assert (event.title, event.venue, event.guests, event.has_waitlist) == ("Another evening", "Halle", 3, False)
    assert get_seats(session, event.id).capacity == 7


def test_edit_keeps_an_hour_that_the_clock_passes_twice(world: World, organiser: FlaskClient, session: Session) -> None:
    second_half_past_two = datetime(2026, 10, 25, 1, 30, 15, tzinfo=UTC)
    world.event(owner=OWNER, starts_at=second_half_past_two)

    send(organiser, "/organise/e/evening/edit", starts_at="2026-10-25T02:30", timezone="Europe/Paris")

    assert get_event(session, "evening").starts_at == second_half_past_two


def test_edit_finds_a_zone_in_any_spelling(world: World, organiser: FlaskClient, session: Session) -> None:
    world.event(owner=OWNER)

    send(organiser, "/organise/e/evening/edit", timezone=" america/new york ")

    assert get_event(session, "evening").timezone == "America/New_York"


def test_edit_with_more_seats_says_how_many_were_seated(world: World, organiser: FlaskClient) -> None:
    world.event(owner=OWNER, capacity=1)
    for _ in range(4):
        world.register()

    answer = send(organiser, "/organise/e/evening/edit", capacity="3")

    assert answer.location == "/organise/e/evening?done=saved&seated=2"
    assert "2 registrations from the waitlist have a seat now" in organiser.get(answer.location).text


def test_edit_seats_more_than_one_batch(
    world: World, organiser: FlaskClient, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    seat_waiting = "meetup.domain.waitlist.seat_waiting"
    monkeypatch.setattr("meetup.domain.waitlist.BATCH", 2)
    monkeypatch.setattr(f"{seat_waiting}.__defaults__", (2,))
    world.event(owner=OWNER, capacity=1)
    for _ in range(6):
        world.register()

    answer = send(organiser, "/organise/e/evening/edit", capacity="")

    seats = get_seats(session, get_event(session, "evening").id)
    assert (answer.location, seats.confirmed, seats.waitlisted) == ("/organise/e/evening?done=saved&seated=5", 6, 0)


def test_publish_shows_the_event_and_takes_it_away_again(
    client: FlaskClient, world: World, organiser: FlaskClient
) -> None:
    world.event(owner=OWNER, is_published=False)
    statuses = [client.get("/e/evening").status_code]

    for wanted in ("1", "0"):
        send(organiser, "/organise/e/evening/publish", is_published=wanted)
        statuses.append(client.get("/e/evening").status_code)

    assert statuses == [404, 200, 404]


@pytest.mark.parametrize(
    "path",
    [
        "/organise/events/new",
        "/organise/e/evening/edit",
        "/organise/e/evening/publish",
        "/organise/e/evening/gates",
        "/organise/e/evening/devices",
        "/organise/e/evening/messages/1/retry",
    ],
)
def test_form_without_its_token_is_refused(world: World, organiser: FlaskClient, session: Session, path: str) -> None:
    world.event(owner=OWNER)

    answer = organiser.post(path, data={**FIELDS, "slug": "new-one", "name": "North", "is_published": "0"})

    event = get_event(session, "evening")
    assert (answer.status_code, event.title, event.is_published) == (403, "An evening", True)


def test_form_with_the_token_of_another_session_is_refused(world: World, organiser: FlaskClient) -> None:
    world.event(owner=OWNER)
    other = world.signed_in("other@example.org")
    token = other.get("/organise/password").text.split('name="csrf_token" value="')[1].split('"')[0]

    answer = organiser.post("/organise/e/evening/publish", data={"csrf_token": token, "is_published": "0"})

    assert answer.status_code == 403
