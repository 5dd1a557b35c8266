"""The side desk: people without a ticket, new tickets, overrides, practice; with a network and without (rules 4.11)."""

import urllib.request

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, Route

from tests.browser.conftest import SLUG, LiveServer
from tests.browser.door_fixtures import Phones
from tests.browser.fake_camera import film_codes, wait_js


def test_undo_walk_in_and_clicks_survive_without_a_network(
    phones: Phones, live_server: LiveServer, scanner_token: str
) -> None:
    ticket = live_server.ticket(name="Ulla Backagain")
    door = phones()
    door.prepare()
    arrived, inside = live_server.headcount(scanner_token)
    door.go_offline()
    assert door.scan(ticket.code) == ("admitted", None)
    door.page.click("#verdict >> text=Undo")
    wait_js(door.page, "document.getElementById('hint').textContent.startsWith('Undone')")
    assert door.inside() == inside
    door.page.click("#open-desk")
    door.page.click("#open-walk-in")
    door.page.click("#walk-in-submit")
    assert door.page.inner_text("#walk-in-name-error") == "Please type a name."
    door.page.fill("#walk-in-name", "Wanda Walk-in")
    door.page.click("#walk-in-submit")
    door.wait_for("admitted")
    assert door.says()[:2] == ["Admitted", "Wanda Walk-in"]
    door.page.keyboard.press("Escape")
    door.page.click("#open-desk")
    for _ in range(2):
        door.page.click("#click-in")
        wait_js(door.page, "document.getElementById('click-words').textContent === '+1'")
    door.page.click("#desk [data-close]")
    assert door.inside() == inside + 3
    assert "5 to send" in door.status()
    door.go_online()
    door.wait_for_sync()
    assert live_server.headcount(scanner_token) == (arrived + 1, inside + 3)
    assert door.inside() == inside + 3


def test_reissued_ticket_is_refused_offline(phones: Phones, live_server: LiveServer) -> None:
    ticket = live_server.ticket(name="Renée Reissued")
    door = phones()
    door.prepare()
    door.page.click("#open-search")
    door.page.fill("#search-query", "renee reissued")
    door.page.click(".person")
    door.page.click("text=New ticket, old code dead")
    wait_js(door.page, "document.getElementById('confirm-question').textContent.includes('has a new ticket')")
    door.page.click("#confirm >> text=Back")
    door.page.click("#search [data-close]")
    door.wait_for_sync()
    door.go_offline()
    assert door.scan(ticket.code) == ("refused", "revoked")


def test_who_waits_is_admitted_with_one_tap_and_a_note_pops_up(phones: Phones, live_server: LiveServer) -> None:
    form = b"name=Pia+Poster"
    urllib.request.urlopen(f"{live_server.base_url}/e/{SLUG}/door", form).close()
    door = phones()
    door.prepare()

    def add_note(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        body["attendee"]["note"] = "Give her the speaker's badge"
        route.fulfill(response=answer, json=body)

    door.page.route("**/api/v1/scans", add_note)
    door.page.click("#open-desk")
    door.page.click("[aria-label='Admit Pia Poster']")
    door.wait_for("admitted")
    assert "Give her the speaker's badge" in door.says()


def test_practice_ticket_counts_nowhere(phones: Phones, live_server: LiveServer) -> None:
    door = phones()
    film_codes(door.film, ["TURNOUT-PRACTICE"])
    door.page.goto(f"{door.base_url}/door")
    door.start()
    door.wait_for("practice")
    assert door.says()[0] == "Practice"
    assert (door.sent, door.kept()["databases"]["scans"]) == ([], [])


def test_supervisor_lets_somebody_in_with_a_reason(phones: Phones, live_server: LiveServer) -> None:
    live_server.command(
        "create-event", "--slug", "early", "--title", "Early", "--starts-at", "2036-01-01T18:00",
        "--doors-open-at", "2036-01-01T17:00",
    )  # fmt: skip
    device = live_server.command("create-device", "early", "--gate", "North", "--supervisor")
    form = b"name=Eve+Early&email=eve@example.org"
    with urllib.request.urlopen(f"{live_server.base_url}/e/early/register", form) as response:
        key = response.url.rpartition("/")[2]
    code = live_server.get_json(f"/t/{key}.json")["code"]
    door = phones(device)
    door.prepare()
    assert door.scan(code) == ("refused", "too_early")
    door.page.click("text=Let in anyway")
    door.page.fill("#override-reason", "She is the speaker")
    door.page.keyboard.press("Enter")
    door.wait_for("admitted")
    assert door.sent[-1]["override"] == "She is the speaker"


def test_every_new_sheet_passes_axe(phones: Phones, live_server: LiveServer) -> None:
    door = phones()
    door.prepare()
    door.go_offline()
    door.scan("XXXXXX")
    door.page.keyboard.press("Escape")
    door.page.click("#open-desk")
    assert violations(door.page) == []
    for sheet in ("walk-in", "conflicts", "preflight"):
        door.page.click(f"#open-{sheet}")
        assert (sheet, violations(door.page)) == (sheet, [])
        door.page.click(f"#{sheet} [data-close]")


def violations(page: Page) -> list[str]:
    return [violation["id"] for violation in Axe().run(page).response["violations"]]
