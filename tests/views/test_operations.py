"""For whoever runs the site, and what every answer carries."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session

from tests.factories import World


def test_healthz_and_readyz(client: FlaskClient) -> None:
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 200


def test_readyz_is_503_without_the_schema(client: FlaskClient, session: Session) -> None:
    session.execute(text("DROP TABLE alembic_version"))
    session.connection().exec_driver_sql("COMMIT")

    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").status_code == 200


def test_metrics_are_for_this_machine(client: FlaskClient) -> None:
    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", environ_base={"REMOTE_ADDR": "192.0.2.1"}).status_code == 404


@pytest.mark.parametrize("path", ["/", "/e/evening", "/nowhere", "/t/unknown", "/api/v1/scans", "/static/css/app.css"])
def test_every_answer_carries_the_headers(world: World, client: FlaskClient, path: str) -> None:
    world.event()

    with client.get(path) as response:
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe-inline" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "localhost@evil.example", ""])
def test_another_host_name_is_400(world: World, client: FlaskClient, host: str) -> None:
    world.event()

    response = client.post("/e/evening/register", data={"name": "A", "email": "a@b.org"}, headers={"Host": host})

    assert response.status_code == 400


def test_a_forwarded_address_is_not_believed_without_a_proxy(world: World, client: FlaskClient) -> None:
    statuses = [
        client.get(f"/t/guess{number}", headers={"X-Forwarded-For": f"203.0.113.{number}"}).status_code
        for number in range(31)
    ]

    assert statuses[-1] == 429


def test_language_is_asked_for_by_the_switch_and_remembered(world: World, client: FlaskClient) -> None:
    world.event()

    switched = client.get("/e/evening?lang=fr", headers={"Accept-Language": "en"})
    later = client.get("/", headers={"Accept-Language": "en"})

    assert b'lang="fr"' in switched.data
    assert b'lang="fr"' in later.data


def test_errors_speak_the_callers_language(client: FlaskClient) -> None:
    page = client.get("/nowhere", headers={"Accept-Language": "fr"})
    problem = client.get("/api/v1/nowhere", headers={"Accept-Language": "fr"})

    assert "Cette page n’existe pas" in page.get_data(as_text=True)
    assert problem.json is not None
    assert (problem.json["code"], problem.json["title"]) == ("not_found", "Cette page n’existe pas")


def test_a_failure_shows_nothing_of_the_inside(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object) -> None:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr("meetup.storage.events.list_events_to_come", fail)

    response = client.get("/")

    assert response.status_code == 500
    assert "secret of the inside" not in response.get_data(as_text=True)
    assert "Traceback" not in response.get_data(as_text=True)
