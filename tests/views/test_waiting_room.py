"""The waiting room as browsers meet it: the page, the place in the cookie, the polls, the form before one's turn."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event as database_events
from sqlalchemy import update
from werkzeug.test import TestResponse

from meetup.clock import utc_now
from meetup.storage.db import db, transaction
from meetup.storage.waiting_room import WaitingRoom
from tests.factories import World
from tests.views.organiser_pages import send

SECOND = timedelta(seconds=1)
NUMBER = re.compile(r'id="waiting-number">([^<]+)<')
OWN = re.compile(r'id="waiting-own">(.+?)</script>')
FORM = 'id="registration-form"'
LOST = "at the end of the line"


class Clock:
    """The time of the waiting room, moved by the test."""

    def __init__(self) -> None:
        self.now = utc_now()

    def __call__(self) -> datetime:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("meetup.views.waiting_room.utc_now", clock)
    return clock


@pytest.fixture
def environ() -> dict[str, str]:
    return {"LIMIT_REGISTER_PER_EMAIL": "1000 per hour"}


class Crowd:
    """An event with a waiting room that admits one person a second, and browsers that come to it."""

    def __init__(self, app: Flask, world: World, clock: Clock, **details: Any) -> None:
        self.app, self.world, self.clock = app, world, clock
        usual = {"starts_at": clock.now + timedelta(days=2), "waiting_room": "automatic", "waiting_room_rate": 60}
        wanted: dict[str, Any] = usual | details
        world.event(**wanted)

    def browser(self) -> FlaskClient:
        return self.app.test_client()

    def open_room(self) -> None:
        """Let more people come than the rate lets through."""
        for _visit in range(11):
            assert FORM in self.browser().get("/e/evening").text
        self.clock.pass_seconds(1)

    def waiting(self, count: int) -> list[FlaskClient]:
        """Return browsers that wait in line, in order."""
        browsers = [self.browser() for _number in range(count)]
        assert [position(each.get("/e/evening")) for each in browsers] == [str(place + 1) for place in range(count)]
        return browsers

    def wait(self, seconds: int, step: int = 1) -> None:
        """Let time pass while somebody asks now and then."""
        for _ask in range(0, seconds, step):
            self.clock.pass_seconds(step)
            assert self.state()["phase"] != "open"

    def set_last_place(self, number: int) -> None:
        """Let the line end at another place: as many more wait, or the database was put back."""
        with self.app.app_context(), transaction() as session:
            session.execute(update(WaitingRoom).values(last_place=number))

    def state(self) -> dict[str, Any]:
        answer = self.browser().get("/e/evening/waiting-room.json")
        assert answer.status_code == 200
        return dict(answer.get_json())


@pytest.fixture
def crowd(app: Flask, world: World, clock: Clock) -> Crowd:
    return Crowd(app, world, clock)


def position(answer: TestResponse) -> str | None:
    """Return the number that a waiting page shows; None for the event page with its form."""
    assert answer.status_code == 200
    if FORM in answer.text:
        return None
    found = NUMBER.search(answer.text)
    assert found is not None
    return found.group(1)


def register(browser: FlaskClient, email: str = "ada@example.org", **more: str) -> TestResponse:
    return browser.post("/e/evening/register", data={"name": "Ada Lovelace", "email": email} | more)


@pytest.fixture
def statements(app: Flask) -> Iterator[list[str]]:
    """Yield the SQL that is sent to the database."""
    sent: list[str] = []
    with app.app_context():
        engine = db.engine

    def note(_conn: object, _cursor: object, statement: str, *_more: object) -> None:
        sent.append(statement)

    database_events.listen(engine, "before_cursor_execute", note)
    yield sent
    database_events.remove(engine, "before_cursor_execute", note)


def test_event_without_a_waiting_room_is_never_asked_about_one(world: World, statements: list[str], app: Flask) -> None:
    world.event()
    statements.clear()

    for number in range(30):
        assert FORM in app.test_client().get("/e/evening").text
        assert register(app.test_client(), f"ada{number}@example.org").status_code == 303

    assert [each for each in statements if "waiting_room" in each and "FROM events" not in each] == []


def test_quiet_room_asks_the_database_once_a_second(crowd: Crowd, statements: list[str]) -> None:
    statements.clear()

    for _visit in range(5):
        crowd.browser().get("/e/evening")
    first = len([each for each in statements if "waiting_rooms" in each])
    register(crowd.browser())
    crowd.state()

    assert first > 0
    assert len([each for each in statements if "waiting_rooms" in each]) == first


def test_programs_are_served_as_ever_while_nobody_has_to_wait(crowd: Crowd) -> None:
    assert register(crowd.browser()).status_code == 303


def test_crowd_waits_in_line(crowd: Crowd) -> None:
    crowd.open_room()
    answer = crowd.browser().get("/e/evening")

    assert position(answer) == "1"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "HttpOnly" in answer.headers["Set-Cookie"]
    assert [position(crowd.browser().get("/e/evening")) for _visit in range(3)] == ["2", "3", "4"]


def test_loading_again_keeps_the_place(crowd: Crowd) -> None:
    crowd.open_room()
    browsers = crowd.waiting(5)

    assert [position(browsers[2].get("/e/evening")) for _visit in range(3)] == ["3", "3", "3"]
    assert position(crowd.browser().get("/e/evening")) == "6"


def test_line_moves_and_the_form_comes_in_turn(crowd: Crowd) -> None:
    crowd.open_room()
    browsers = crowd.waiting(6)
    crowd.wait(2)

    assert [position(each.get("/e/evening")) for each in browsers] == [None, None, "1", "2", "3", "4"]


def test_admitted_browser_registers_once(crowd: Crowd) -> None:
    crowd.open_room()
    browsers = crowd.waiting(20)
    crowd.wait(2)
    first = browsers[0]
    assert position(first.get("/e/evening")) is None

    assert register(first).status_code == 303
    again = register(first, "grace@example.org")
    assert again.status_code == 503
    page = first.get("/e/evening")
    assert position(page) == "19"


def test_spent_turn_is_explained_on_the_page(crowd: Crowd) -> None:
    crowd.open_room()
    first = crowd.waiting(20)[0]
    crowd.wait(1)
    register(first)

    page = first.get("/e/evening")
    assert position(page) == "20"
    assert "Your turn was used for a registration." in page.text


def test_answer_that_takes_no_seat_spends_no_admission(crowd: Crowd) -> None:
    crowd.open_room()
    first = crowd.waiting(20)[0]
    crowd.wait(1)

    assert register(first, email="no address").status_code == 422
    assert register(first).status_code == 303


def test_form_before_its_turn_is_kept_and_gets_a_place(crowd: Crowd) -> None:
    crowd.open_room()
    crowd.waiting(5)
    browser = crowd.browser()
    answer = register(browser, "early@example.org")

    assert answer.status_code == 503
    assert 2 <= int(answer.headers["Retry-After"]) <= 60
    assert 'value="early@example.org"' in answer.text
    assert position(browser.get("/e/evening")) == "6"
    crowd.wait(6)
    assert register(browser, "early@example.org").status_code == 303


def test_program_is_told_to_come_back(crowd: Crowd) -> None:
    crowd.open_room()
    answer = crowd.browser().post(
        "/e/evening/register",
        data={"name": "Ada", "email": "ada@example.org"},
        headers={"Accept": "application/json"},
    )

    assert (answer.status_code, answer.get_json()["code"]) == (503, "waiting")
    assert int(answer.headers["Retry-After"]) >= 2


@pytest.mark.parametrize(
    "value", ["", "x", "0", "null", "[1,2]", "WzEsMSwxLDEsbnVsbF0.forged", "é", "a" * 4000, "....", "W10.x"]
)
def test_forged_place_goes_to_the_end_of_the_line(crowd: Crowd, value: str) -> None:
    crowd.open_room()
    crowd.waiting(3)
    browser = crowd.browser()
    browser.set_cookie("turnout_place_1", value)
    answer = browser.get("/e/evening")

    assert position(answer) == "4"
    assert (LOST in answer.text) is bool(value)
    assert register(browser).status_code == 503


def test_altered_place_goes_to_the_end_of_the_line(crowd: Crowd) -> None:
    crowd.open_room()
    browsers = crowd.waiting(3)
    cookie = browsers[0].get_cookie("turnout_place_1")
    assert cookie is not None
    answers = []
    for index in range(0, len(cookie.value), 9):
        other = "A" if cookie.value[index] != "A" else "B"
        altered = cookie.value[:index] + other + cookie.value[index + 1 :]
        browser = crowd.browser()
        browser.set_cookie("turnout_place_1", altered)
        answers.append(browser.get("/e/evening"))

    assert [position(answer) for answer in answers] == [str(4 + number) for number in range(len(answers))]
    assert all(LOST in answer.text for answer in answers)


def test_place_of_another_event_is_none_here(crowd: Crowd) -> None:
    crowd.open_room()
    cookie = crowd.waiting(2)[0].get_cookie("turnout_place_1")
    assert cookie is not None
    crowd.world.event("other", waiting_room="automatic", waiting_room_rate=1, starts_at=crowd.clock.now + 50 * SECOND)
    crowd.browser().get("/e/other")
    crowd.clock.pass_seconds(1)

    browser = crowd.browser()
    browser.set_cookie("turnout_place_2", cookie.value)
    answer = browser.get("/e/other")
    assert position(answer) == "1"
    assert LOST in answer.text


def test_place_of_a_database_that_was_put_back_is_none(crowd: Crowd) -> None:
    crowd.open_room()
    browsers = crowd.waiting(5)
    crowd.set_last_place(2)
    crowd.clock.pass_seconds(1)

    answer = browsers[4].get("/e/evening")
    assert position(answer) == "2"
    assert LOST in answer.text


def test_old_place_goes_to_the_end_of_the_line(crowd: Crowd) -> None:
    crowd.open_room()
    first = crowd.waiting(3)[0]
    crowd.set_last_place(5000)
    crowd.clock.pass_seconds(24 * 3600)

    answer = first.get("/e/evening")
    assert "not valid, or too old" in answer.text
    assert position(answer) == "4,986"


def test_turn_that_was_not_used_is_over_after_ten_minutes(crowd: Crowd) -> None:
    crowd.open_room()
    browsers = crowd.waiting(3)
    crowd.set_last_place(5000)
    crowd.wait(3)
    assert position(browsers[1].get("/e/evening")) is None
    crowd.wait(595, step=5)
    assert position(browsers[2].get("/e/evening")) is None
    crowd.wait(10)

    gone = browsers[0].get("/e/evening")
    assert "Your turn was not used in time" in gone.text
    # Ten minutes since each came for the form: over for the one, not yet for the other.
    assert "Your turn was not used in time" in browsers[1].get("/e/evening").text
    assert register(browsers[2]).status_code == 303


def test_polls_tell_everybody_the_same_and_cost_nothing_when_nothing_moved(crowd: Crowd) -> None:
    crowd.open_room()
    browsers = crowd.waiting(4)
    first = browsers[0].get("/e/evening/waiting-room.json")
    crowd.clock.pass_seconds(0.5)
    again = browsers[3].get("/e/evening/waiting-room.json", headers={"If-None-Match": first.headers["ETag"]})

    assert first.headers["Cache-Control"] == "public, max-age=1"
    assert "Set-Cookie" not in first.headers
    assert again.status_code == 304
    crowd.wait(1)
    assert crowd.state() == {
        "phase": "line",
        "admitted": 1,
        "waiting": 3,
        "per_minute": 60.0,
        "opens_at": None,
    }


def test_polls_of_a_second_ask_the_database_once(crowd: Crowd, statements: list[str]) -> None:
    crowd.open_room()
    crowd.waiting(4)
    crowd.clock.pass_seconds(1)
    crowd.state()
    statements.clear()

    for _poll in range(50):
        crowd.state()

    assert statements == []


def test_polls_of_no_event_are_not_found(app: Flask) -> None:
    paths = ["/e/nowhere/waiting-room.json", "/e/nowhere/waiting-room/place.json"]

    assert [app.test_client().get(path).status_code for path in paths] == [404, 404]


def test_poll_of_a_room_that_is_not_open_sends_to_the_form(crowd: Crowd) -> None:
    assert crowd.state()["phase"] == "open"


def test_restarted_site_keeps_the_line(crowd: Crowd) -> None:
    crowd.open_room()
    browsers = crowd.waiting(8)
    crowd.wait(2)
    crowd.app.extensions["waiting_lines"].clear()

    assert [position(each.get("/e/evening")) for each in browsers] == [None, None, "1", "2", "3", "4", "5", "6"]


def test_page_that_nobody_looks_at_yet_takes_no_place(crowd: Crowd) -> None:
    crowd.open_room()
    ahead = crowd.browser().get("/e/evening", headers={"Sec-Purpose": "prefetch"})
    head = crowd.browser().head("/e/evening")

    assert (ahead.status_code, head.status_code) == (503, 503)
    assert position(crowd.browser().get("/e/evening")) == "1"


def test_page_works_without_a_script(crowd: Crowd) -> None:
    crowd.open_room()
    page = crowd.waiting(2)[1].get("/e/evening").text

    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in page
    assert "One person is ahead of you." in page


def test_announced_opening_draws_those_who_are_there(app: Flask, world: World, clock: Clock) -> None:
    crowd = Crowd(app, world, clock, waiting_room="opening", opens_at=clock.now + timedelta(minutes=10))
    present = [crowd.browser() for _number in range(60)]
    pages = [each.get("/e/evening") for each in present]
    before = [each.get("/e/evening/waiting-room/place.json").get_json() for each in present]
    clock.pass_seconds(1)
    states = [crowd.state()]
    clock.pass_seconds(599)
    states.append(crowd.state())
    late = crowd.browser()
    late_page = late.get("/e/evening")
    drawn = [each.get("/e/evening/waiting-room/place.json").get_json()["place"] for each in present]

    assert {position(page) for page in pages} == {"10:00"}
    assert before == [{"place": None}] * 60
    assert [(each["phase"], each["waiting"]) for each in states] == [("lobby", 60), ("line", 60)]
    assert sorted(drawn) == list(range(1, 61))
    assert drawn != list(range(1, 61))
    assert position(late_page) == "61"
    assert [int(position(each.get("/e/evening")) or 0) for each in present] == drawn


def test_form_before_the_announced_opening_is_not_yet_open(app: Flask, world: World, clock: Clock) -> None:
    crowd = Crowd(app, world, clock, waiting_room="opening", opens_at=clock.now + timedelta(minutes=10))

    assert register(crowd.browser()).status_code == 409


def test_event_page_is_shown_until_the_lobby_opens(app: Flask, world: World, clock: Clock) -> None:
    crowd = Crowd(app, world, clock, waiting_room="opening", opens_at=clock.now + timedelta(minutes=31))

    assert "Registration opens on" in crowd.browser().get("/e/evening").text
    clock.pass_seconds(61)
    assert "Registration opens at" in crowd.browser().get("/e/evening").text


def test_script_of_the_page_gets_its_own_place(crowd: Crowd) -> None:
    crowd.open_room()
    pages = [each.get("/e/evening").text for each in crowd.waiting(3)]
    own = [json.loads(found.group(1)) for page in pages if (found := OWN.search(page))]

    assert [(each["place"], each["ahead"]) for each in own] == [(1, 0), (2, 1), (3, 2)]
    assert datetime.fromisoformat(own[0]["now"]).tzinfo == UTC


def test_pages_of_one_second_keep_each_its_language_and_address(crowd: Crowd) -> None:
    crowd.open_room()
    crowd.waiting(1)
    french = crowd.browser().get("/e/evening?from=mail", headers={"Accept-Language": "fr"}).text
    english = crowd.browser().get("/e/evening", headers={"Accept-Language": "en"}).text

    assert ('lang="fr"' in french, "from=mail" in french) == (True, True)
    assert ('<html lang="en"' in english, "from=mail" in english, "@@" in english + french) == (True, False, False)


def test_organiser_sets_how_the_waiting_room_is_used(world: World) -> None:
    organiser = world.signed_in()
    world.event(owner="olga@example.org")
    page = organiser.get("/organise/e/evening/edit").text
    changed = {"title": "An evening", "waiting_room": "automatic", "waiting_room_rate": "240"}
    answer = send(organiser, "/organise/e/evening/edit", **changed)
    later = organiser.get("/organise/e/evening/edit").text

    assert 'name="waiting_room" value="off" checked' in page
    assert answer.status_code == 303
    assert 'name="waiting_room" value="automatic" checked' in later
    assert re.search(r'name="waiting_room_rate"[^>]* value="240"', later)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"waiting_room": "sometimes"}, "Choose one of the three ways."),
        ({"waiting_room_rate": "0"}, "Write a whole number from 1 to 100,000."),
        ({"waiting_room_rate": ""}, "Write a whole number from 1 to 100,000."),
        ({"waiting_room_rate": "100001"}, "Write a whole number from 1 to 100,000."),
        ({"waiting_room_rate": "many"}, "Write a whole number from 1 to 100,000."),
        ({"waiting_room": "opening"}, "Say when registration opens: the waiting room opens before it."),
    ],
)
def test_organisers_mistake_is_named(world: World, typed: dict[str, str], sentence: str) -> None:
    organiser = world.signed_in()
    world.event(owner="olga@example.org")
    answer = send(organiser, "/organise/e/evening/edit", title="An evening", **typed)

    assert answer.status_code == 422
    assert sentence in answer.text
