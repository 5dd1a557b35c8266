"""The poster for the door, read back by programs that are not ours."""

import pypdfium2  # type: ignore[import-untyped]
import pytest
import zxingcpp
from werkzeug.test import TestResponse

from tests.factories import World

OWNER = "olga@example.org"
POSTER = "/organise/e/evening/poster.pdf"


def read(answer: TestResponse) -> tuple[int, str, list[str]]:
    """Return a PDF's number of pages, the words on its first, and the codes that a camera finds there."""
    document = pypdfium2.PdfDocument(answer.data)
    page = document[0]
    picture = page.render(scale=1).to_pil()
    words = " ".join(page.get_textpage().get_text_range().split())
    pages = len(document)
    document.close()
    return pages, words, [found.text for found in zxingcpp.read_barcodes(picture)]


def test_poster_leads_to_the_form_at_the_door(world: World) -> None:
    client = world.signed_in(OWNER)
    world.event(owner=OWNER, title="Une soirée")

    answer = client.get(POSTER)

    assert (answer.status_code, answer.mimetype) == (200, "application/pdf")
    assert read(answer) == (
        1,
        "Une soirée No ticket? Scan, type your name, show your phone. http://localhost/e/evening/door",
        ["http://localhost/e/evening/door"],
    )
    assert client.get("/e/evening/door").status_code == 200


@pytest.mark.parametrize("title", ["A", "Soirée " * 28, "x" * 200, "مساء الخير", "{nb} 🎉"])
def test_any_title_fits_on_the_one_page(world: World, title: str) -> None:
    client = world.signed_in(OWNER)
    world.event("a-very-long-address" * 4, owner=OWNER, title=title.strip())

    pages, _words, codes = read(client.get(f"/organise/e/{'a-very-long-address' * 4}/poster.pdf"))

    assert (pages, codes) == (1, [f"http://localhost/e/{'a-very-long-address' * 4}/door"])


def test_poster_of_another_organisers_event_is_not_there(world: World) -> None:
    client = world.signed_in(OWNER)
    world.event()

    assert client.get(POSTER).status_code == 404


def test_gates_page_links_to_the_poster_once_the_form_can_be_reached(world: World) -> None:
    client = world.signed_in(OWNER)
    world.event(owner=OWNER)
    world.event("hidden", owner=OWNER, is_published=False)

    pages = [client.get(f"/organise/e/{slug}/gates").text for slug in ("evening", "hidden")]

    assert ["poster.pdf" in page for page in pages] == [True, False]
