"""The whole evening: the form, the mail with its picture, the camera, the green screen, the number that moves."""

import io
import re
from email.message import Message
from pathlib import Path

import zxingcpp
from icalendar import Calendar
from PIL import Image
from playwright.sync_api import Browser, Page

from tests.browser.conftest import PASSWORD, SLUG, LiveServer
from tests.browser.fake_camera import camera_browser, film_picture, wait_js

GUEST_EMAIL = "ada.lovelace@example.org"


def part(message: Message, content_type: str) -> Message:
    """Return the one part of a mail that has this type."""
    found = [each for each in message.walk() if each.get_content_type() == content_type]
    assert len(found) == 1
    return found[0]


def payload(message: Message, content_type: str) -> bytes:
    content = part(message, content_type).get_payload(decode=True)
    assert isinstance(content, bytes)
    return content


def register(page: Page, live_server: LiveServer) -> str:
    """Fill the form in on the phone and return the short code that the ticket page shows."""
    page.goto(f"{live_server.base_url}/e/{SLUG}")
    page.fill("input[name=name]", "Ada Lovelace")
    page.fill("input[name=email]", GUEST_EMAIL)
    page.click("main form button[type=submit]")
    page.wait_for_url("**/t/**")
    found = re.search(r"[A-Z2-9]{4}-[A-Z2-9]{4}", page.inner_text("main"))
    assert found is not None
    return found.group()


def check_mail(message: Message, page_url: str, short_code: str) -> bytes:
    """Check the ticket mail against contract section 4 and return its QR picture."""
    assert message["Auto-Submitted"] == "auto-generated"
    text = payload(message, "text/plain").decode()
    assert page_url in text
    assert short_code in text
    calendar = Calendar.from_ical(payload(message, "text/calendar"))
    assert str(calendar.walk("VEVENT")[0]["SUMMARY"]) == "Woodstock of AI"
    return payload(message, "image/png")


def check_picture(page: Page, picture: bytes, code: str) -> None:
    """Check that the mailed picture and the one on the screen carry the ticket's code."""
    mailed = zxingcpp.read_barcodes(Image.open(io.BytesIO(picture)))
    shown = zxingcpp.read_barcodes(Image.open(io.BytesIO(page.locator("main svg").first.screenshot())))
    assert [each.text for each in mailed] == [code]
    assert [each.text for each in shown] == [code]


def test_the_whole_evening(
    live_server: LiveServer, page: Page, organiser_page: Page, browser: Browser, tmp_path: Path
) -> None:
    short_code = register(page, live_server)
    ticket = live_server.get_json(page.url.removeprefix(live_server.base_url) + ".json")
    message = live_server.inbox.wait_for(GUEST_EMAIL)[0]
    picture = check_mail(message, page.url, short_code)
    check_picture(page, picture, ticket["code"])

    organiser_page.goto(f"{live_server.base_url}/organise/e/{SLUG}/live")
    wait_js(organiser_page, "document.querySelector('[data-connection=open]')")
    before = int(organiser_page.inner_text(".live-number").replace(",", ""))

    film = tmp_path / "ticket.mjpeg"
    film_picture(film, picture)
    with camera_browser(browser.browser_type, film) as with_camera:
        door = with_camera.new_page(viewport={"width": 390, "height": 844}, locale="en-GB")
        door.goto(live_server.pair_url)
        door.click("main form button")
        door.wait_for_url("**/door")
        wait_js(door, "document.documentElement.dataset.ready")
        door.click("#start-scanning")
        wait_js(door, "document.documentElement.dataset.state === 'admitted'")
        assert "Ada Lovelace" in door.inner_text("#verdict")

        wait_js(organiser_page, f"document.querySelector('.live-number').innerText === '{before + 1}'", seconds=2)

        door.reload()
        wait_js(door, "document.documentElement.dataset.ready")
        door.click("#start-scanning")
        wait_js(door, "document.documentElement.dataset.state === 'refused'")
        assert door.get_attribute("#verdict", "data-reason") == "already_in"
        assert "North" in door.inner_text("#verdict")


def test_an_organiser_makes_an_event_and_pairs_a_phone(live_server: LiveServer, organiser_page: Page) -> None:
    page = organiser_page
    page.goto(f"{live_server.base_url}/organise/events/new")
    page.fill("input[name=title]", "A second evening")
    page.fill("input[name=starts_at]", "2036-12-01T18:30")
    page.fill("input[name=timezone]", "Europe/Paris")
    page.click("main form button[type=submit]")
    page.wait_for_url("**/organise/e/a-second-evening**")
    page.click("main form[action$='/publish'] button")
    page.wait_for_load_state()
    assert live_server.get_json("/readyz")["status"] == "ready"

    page.goto(f"{live_server.base_url}/organise/e/a-second-evening/gates")
    page.fill("input[name=name]", "North")
    page.click("form[action$='/gates'] button")
    page.wait_for_load_state()
    page.click("form[action$='/devices'] button")
    page.wait_for_load_state()

    link = re.search(r"http://127\.0\.0\.1:\d+/door/pair/[\w-]+", page.inner_text("main"))
    assert link is not None
    shown = zxingcpp.read_barcodes(Image.open(io.BytesIO(page.locator("main svg").first.screenshot())))
    assert [each.text for each in shown] == [link.group()]


def test_everything_an_attendee_needs_works_without_javascript(live_server: LiveServer, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 844}, locale="en-GB")
    page = context.new_page()
    page.goto(f"{live_server.base_url}/e/{SLUG}")
    page.fill("input[name=name]", "Grace Hopper")
    page.fill("input[name=email]", "grace@example.org")
    page.click("main form button[type=submit]")
    page.wait_for_url("**/t/**")
    ticket_url = page.url

    page.goto(f"{ticket_url}/edit")
    page.fill("input[name=name]", "Rear Admiral Hopper")
    page.click("main form button[type=submit]")
    page.wait_for_url(ticket_url)
    assert "Rear Admiral Hopper" in page.inner_text("main")

    page.click("main details summary")
    page.click("main details form button")
    page.wait_for_load_state()
    assert live_server.get_json(ticket_url.removeprefix(live_server.base_url) + ".json")["state"] == "cancelled"
    context.close()


def test_signing_out_ends_it(live_server: LiveServer, browser: Browser) -> None:
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    page.goto(f"{live_server.base_url}/organise/sign-in")
    page.fill("input[name=email]", "olga@example.org")
    page.fill("input[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_url("**/organise/**")
    cookies = context.cookies()

    page.click("form[action$='/sign-out'] button")
    page.wait_for_url("**/sign-in**")
    context.add_cookies(cookies)  # type: ignore[arg-type]
    page.goto(f"{live_server.base_url}/organise/e/{SLUG}")

    assert "/sign-in" in page.url
    context.close()
