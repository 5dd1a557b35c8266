"""What people typed is shown as they typed it, wherever it stands, and nothing of it runs."""

import csv
import io
import json
from dataclasses import dataclass
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.factories import MadeDevice, MadeTicket, World, bearer
from tests.views.nasty import FACTORS, POLYGLOT, PRODUCT, PageReader, form_body
from tests.views.organiser_pages import send

TEMPLATES = "{{" + FACTORS + "}} ${" + FACTORS + "}"
OWNER = "olga@example.org"


@dataclass(frozen=True)
class Shown:
    """An event full of text that would run, the people in it, and who may see them."""

    world: World
    organiser: FlaskClient
    device: MadeDevice
    inside: MadeTicket
    waiting: MadeTicket

    @property
    def phone(self) -> FlaskClient:
        client = self.world.app.test_client()
        client.set_cookie("turnout_device", self.device.token)
        return client


@pytest.fixture
def shown(world: World) -> Shown:
    world.organiser(OWNER)
    texts: dict[str, Any] = {
        "title": POLYGLOT,
        "description": POLYGLOT,
        "venue": POLYGLOT,
        "address": POLYGLOT + TEMPLATES,
    }
    world.event(owner=OWNER, capacity=1, **texts)
    inside, waiting = world.register(name=POLYGLOT), world.register(name=TEMPLATES)
    device = world.device(gate=POLYGLOT[:80])
    assert world.scan(device, inside.code).status_code == 200
    return Shown(world, world.signed_in(OWNER), device, inside, waiting)


def pages(shown: Shown) -> dict[str, str]:
    """Return every page on which the texts stand, by its path."""
    own = f"/t/{shown.inside.ticket_key}"
    seen = {
        shown.world.app.test_client(): (
            "/",
            "/e/evening",
            "/e/evening/sent",
            "/e/evening/resend",
            own,
            f"{own}/edit",
            f"/t/{shown.waiting.ticket_key}",
            shown.device.pairing_path,
        ),
        shown.organiser: (
            "/organise/",
            "/organise/e/evening",
            "/organise/e/evening/edit",
            "/organise/e/evening/registrations",
            "/organise/e/evening/messages",
            "/organise/e/evening/gates",
            "/organise/e/evening/live",
        ),
        shown.phone: ("/door",),
    }
    found = {}
    for client, paths in seen.items():
        for path in paths:
            answer = client.get(path)
            assert answer.status_code == 200, path
            found[path] = answer.text
    return found


def test_nothing_typed_runs_on_any_page(shown: Shown) -> None:
    found = pages(shown)

    assert {path: scripts for path, page in found.items() if (scripts := PageReader(page).scripts)} == {}
    assert [path for path, page in found.items() if PRODUCT in page] == []
    # The control: each page does show it.
    missing = [path for path, page in found.items() if not _is_shown(PageReader(page))]
    assert missing == []


def _is_shown(reader: PageReader) -> bool:
    in_json = any(json.dumps(POLYGLOT)[1:41] in each or POLYGLOT[:20] in each for each in reader.json)
    return in_json or reader.shows(POLYGLOT[:80]) or reader.shows(TEMPLATES)


def test_name_is_shown_and_kept_as_it_was_typed(shown: Shown) -> None:
    found = pages(shown)

    for path in (f"/t/{shown.inside.ticket_key}", f"/t/{shown.inside.ticket_key}/edit"):
        assert PageReader(found[path]).shows(POLYGLOT)
    assert PageReader(found["/organise/e/evening/registrations"]).shows(POLYGLOT)
    assert PageReader(found["/organise/e/evening/registrations"]).shows(TEMPLATES)


def test_form_that_was_wrong_keeps_what_was_typed(shown: Shown) -> None:
    body = form_body({"name": POLYGLOT, "email": f"{POLYGLOT}@x"})

    answer = shown.world.app.test_client().post(
        "/e/evening/register", data=body, content_type="application/x-www-form-urlencoded"
    )

    assert answer.status_code == 422
    reader = PageReader(answer.text)
    assert reader.scripts == []
    assert reader.shows(POLYGLOT)
    assert reader.shows(f"{POLYGLOT}@x")


def test_search_for_it_shows_it(shown: Shown) -> None:
    answer = shown.organiser.get("/organise/e/evening/registrations", query_string={"q": POLYGLOT})

    reader = PageReader(answer.text)
    assert answer.status_code == 200
    assert reader.scripts == []
    assert reader.shows(POLYGLOT)


@pytest.mark.parametrize("typed", ["jaVasCript", "{{"])
def test_door_search_gives_the_name_in_json(shown: Shown, typed: str) -> None:
    answer = shown.world.app.test_client().get(
        "/api/v1/door/search", query_string={"q": typed}, headers=bearer(shown.device.token)
    )

    assert answer.mimetype == "application/json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.json is not None
    assert [each["name"] for each in answer.json["items"]] == [POLYGLOT if typed == "jaVasCript" else TEMPLATES]


def test_scan_and_ticket_give_the_name_in_json(shown: Shown) -> None:
    scan = shown.world.scan(shown.device, shown.inside.code).json
    ticket = shown.world.app.test_client().get(f"/t/{shown.inside.ticket_key}.json").json

    assert scan is not None
    assert ticket is not None
    assert scan["attendee"]["name"] == ticket["name"] == POLYGLOT
    assert scan["first"]["gate"] == POLYGLOT[:80]


def test_description_of_the_event_for_programs_stays_json(shown: Shown) -> None:
    reader = PageReader(shown.world.app.test_client().get("/e/evening").text)

    (described,) = [json.loads(each) for each in reader.json if "schema.org" in each]
    assert described["name"] == POLYGLOT
    assert described["location"] == {"@type": "Place", "name": POLYGLOT, "address": POLYGLOT + TEMPLATES}


def test_door_app_gets_its_settings_as_json(shown: Shown) -> None:
    reader = PageReader(shown.phone.get("/door").text)

    (settings,) = [json.loads(each) for each in reader.json]
    assert settings["event"]["title"] == POLYGLOT
    assert settings["gate"] == POLYGLOT[:80]


def test_export_has_no_formula(world: World) -> None:
    world.event(owner=world.organiser(OWNER))
    for name in ('=HYPERLINK("http://evil")', "+1", "-1", "@SUM(A1)", POLYGLOT):
        world.register(name=name)

    answer = world.signed_in(OWNER).get("/organise/e/evening/registrations.csv")

    rows = list(csv.DictReader(io.StringIO(answer.get_data().decode("utf-8-sig"))))
    assert {row["name"] for row in rows} == {
        '\'=HYPERLINK("http://evil")',
        "'+1",
        "'-1",
        "'@SUM(A1)",
        POLYGLOT,
    }


def test_characters_that_turn_a_line_round_are_gone(shown: Shown) -> None:
    evil = "Eve \u202egnp.exe\u2066"
    response = shown.world.app.test_client().post(
        "/e/evening/register", data={"name": evil, "email": "eve@example.org"}
    )
    page = shown.world.app.test_client().get(response.headers["Location"]).text
    saved = send(shown.organiser, "/organise/e/evening/gates", name=f"Gate {evil}")

    assert "Eve gnp.exe" in page
    assert "\u202e" not in page
    assert saved.status_code == 303
    assert "\u202e" not in shown.organiser.get("/organise/e/evening/gates").text


def test_what_runs_is_seen() -> None:
    page = f'<p title="{POLYGLOT}">{POLYGLOT}</p><a href=" javascript:x">'

    found = PageReader(page).scripts

    assert any(each.startswith("<svg onload=") for each in found)
    assert "<a href= javascript:x>" in found
