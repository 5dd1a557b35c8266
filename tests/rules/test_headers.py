"""What every answer carries: a strict policy for scripts and frames, and no word to others about personal pages."""

import pytest
from werkzeug.test import TestResponse

from tests.rules.public_routes import ASKS_ITSELF, OWN_KEY, PUBLIC
from tests.rules.seeded_site import SeededSite, read


def weak_headers(answer: TestResponse) -> list[str]:
    """Return what an answer's headers lack."""
    policy = dict(
        part.strip().partition(" ")[::2] for part in answer.headers.get("Content-Security-Policy", "").split(";")
    )
    wanted = {
        "nosniff": answer.headers.get("X-Content-Type-Options") == "nosniff",
        "default-src": policy.get("default-src") == "'none'",
        "frame-ancestors": policy.get("frame-ancestors") == "'none'",
        "no unsafe source": not {"'unsafe-inline'", "'unsafe-eval'", "*", "data:"}
        & set(" ".join(policy.values()).split()),
        "own sources": "//" not in " ".join(policy.values()),
        "referrer": answer.headers.get("Referrer-Policy") in ("no-referrer", "same-origin"),
    }
    return [name for name, is_there in wanted.items() if not is_there]


def test_every_answer_carries_the_headers(site: SeededSite) -> None:
    client = site.client()
    strange = site.app.test_client()

    weak = {
        (endpoint, who): lacking
        for endpoint, path in site.paths("GET")
        for who, browser in (("owner", client), ("stranger", strange))
        if (lacking := weak_headers(read(browser, path)))
    }

    assert weak == {}


def test_every_refusal_carries_the_headers(site: SeededSite) -> None:
    def fail() -> str:
        raise RuntimeError("on purpose")

    site.app.view_functions["public.home"] = fail
    client = site.app.test_client()
    register = "/e/evening/register"
    answers = {
        400: client.get("/e/evening", headers={"Host": "elsewhere.example"}),
        401: client.get("/door"),
        403: client.post(register, headers={"Sec-Fetch-Site": "cross-site"}),
        404: client.get("/nowhere"),
        405: client.delete("/e/evening"),
        410: client.get("/door/pair/unknown"),
        413: client.post(register, data={"name": "x" * 2_000_000}),
        422: client.post(register, data={"name": ""}),
        500: client.get("/"),
    }

    assert {expected: answer.status_code for expected, answer in answers.items()} == {code: code for code in answers}
    assert {code: answer.mimetype for code, answer in answers.items()} == dict.fromkeys(answers, "text/html")
    assert {code: lacking for code, answer in answers.items() if (lacking := weak_headers(answer))} == {}


def test_weak_headers_are_seen(site: SeededSite) -> None:
    answer = site.app.test_client().get("/")
    answer.headers["Content-Security-Policy"] = "default-src 'self' https://cdn.example; style-src 'unsafe-inline'"
    del answer.headers["X-Content-Type-Options"]

    assert weak_headers(answer) == ["nosniff", "default-src", "frame-ancestors", "no unsafe source", "own sources"]


def test_personal_pages_are_never_stored_nor_named_elsewhere(site: SeededSite) -> None:
    client = site.client()
    kept = {}
    for endpoint, path in site.paths("GET"):
        if PUBLIC.get(endpoint) in (None, OWN_KEY, ASKS_ITSELF):
            answer = read(client, path)
            found = (answer.headers.get("Cache-Control"), answer.headers.get("Referrer-Policy"))
            if found != ("no-store", "no-referrer"):
                kept[endpoint] = found

    assert kept == {}


@pytest.mark.parametrize("host", ["elsewhere.example", "localhost.elsewhere.example", "localhost@elsewhere.example"])
def test_other_host_names_are_not_answered(site: SeededSite, host: str) -> None:
    client = site.app.test_client()

    answers = {path: client.get(path, headers={"Host": host}).status_code for _endpoint, path in site.paths("GET")}

    assert answers == dict.fromkeys(answers, 400)
