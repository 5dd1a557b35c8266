"""/metrics: what was asked and refused, and how the site stands. Counts go on through all tests of a process."""

import uuid
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from sqlalchemy.orm import Session

from meetup import metrics
from meetup.storage.db import transaction
from tests.factories import World, bearer

Read = Callable[..., float]


@pytest.fixture
def read(client: FlaskClient) -> Read:
    """Return a function that reads one figure: 0 where there is none of these labels."""

    def read(name: str, **labels: str) -> float:
        shown = client.get("/metrics").text
        for family in text_string_to_metric_families(shown):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return sample.value
        return 0.0

    return read


def test_requests_are_counted_by_endpoint_method_and_status(world: World, client: FlaskClient, read: Read) -> None:
    world.event()
    labels = {"endpoint": "public.event", "method": "GET", "status": "2xx"}
    before = read("turnout_request_seconds_count", **labels)

    for _ in range(3):
        assert client.get("/e/evening").status_code == 200

    assert read("turnout_request_seconds_count", **labels) == before + 3
    assert read("turnout_request_seconds_bucket", **labels, le="+Inf") == before + 3


def test_a_made_up_method_or_address_makes_no_label(client: FlaskClient) -> None:
    known = len(metrics._requests)

    for number in range(5):
        client.open(f"/made/up/{number}", method=f"MADE{number}")

    shown = client.get("/metrics").text
    assert "MADE" not in shown and "made/up" not in shown
    assert 'endpoint="none",method="other",status="4xx"' in shown
    assert len(metrics._requests) <= known + 1


def test_every_refusal_is_counted_by_its_code(world: World, client: FlaskClient, read: Read) -> None:
    world.event(capacity=0, has_waitlist=False)
    codes = ("not_found", "full", "invalid", "unknown_device", "cross_site")
    before = {code: read("turnout_refusals_total", code=code) for code in codes}
    form = {"name": "Ada", "email": "ada@example.org"}

    client.get("/t/unknown")
    client.post("/e/evening/register", data=form)
    client.post("/e/evening/resend", data=form, headers={"Sec-Fetch-Site": "cross-site"})
    client.post("/api/v1/scans", json={}, headers=bearer("nonsense"))
    client.post("/api/v1/scans", json={}, headers=bearer(world.device().token))

    assert {code: read("turnout_refusals_total", code=code) - before[code] for code in codes} == dict.fromkeys(codes, 1)


class TestLimits:
    """Limits that are soon passed."""

    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {"LIMIT_SCANS_PER_DEVICE": "1 per minute", "LIMIT_MISSES_PER_IP": "1 per minute"}

    def test_a_limit_that_is_passed_is_counted_by_name(self, world: World, client: FlaskClient, read: Read) -> None:
        world.event()
        device = world.device()
        names = ("scans", "misses")
        before = {name: read("turnout_limits_passed_total", limit=name) for name in names}

        for number in range(3):
            client.get(f"/t/unknown{number}")
            world.scan(device, "AAAA-AAAA", scan_id=str(uuid.uuid4()))

        assert {name: read("turnout_limits_passed_total", limit=name) - before[name] for name in names} == {
            "scans": 2,
            "misses": 2,
        }


def test_the_seats_and_the_door_are_told(world: World, read: Read) -> None:
    world.event(capacity=2)
    device = world.device()
    tickets = [world.register(name=name) for name in ("Ada", "Grace", "Zoë")]
    world.scan(device, tickets[0].code)
    world.scan(device, tickets[0].code)

    counts = ("capacity", "confirmed", "waitlisted", "inside", "arrived", "refused")
    told = {count: read("turnout_event_people", event="evening", count=count) for count in counts}

    assert told == {"capacity": 2, "confirmed": 2, "waitlisted": 1, "inside": 1, "arrived": 1, "refused": 1}


def test_an_event_that_nobody_may_see_is_not_told(world: World, client: FlaskClient) -> None:
    world.event("secret-evening", is_published=False)

    assert "secret-evening" not in client.get("/metrics").text


def test_mails_that_wait_are_told_with_their_age(world: World, session: Session, read: Read) -> None:
    world.event()
    world.register()
    session.rollback()
    assert read("turnout_outbox_messages", state="due") == 1
    assert read("turnout_outbox_oldest_due_seconds") < 60

    with transaction() as writing:
        writing.execute(text("UPDATE outbox SET next_attempt_at = '2026-01-01 00:00:00+00:00'"))
    session.rollback()

    assert read("turnout_outbox_oldest_due_seconds") > 60
    assert read("turnout_mail_stopped") == 0


def test_what_phones_have_not_sent_is_told(world: World, client: FlaskClient, read: Read) -> None:
    world.event()
    for length in (14, 3):
        report = {"queue_length": length, "sent_at": "2026-11-22T18:00:00Z"}
        answer = client.post("/api/v1/door/heartbeat", json=report, headers=bearer(world.device().token))
        assert answer.status_code == 200

    assert read("turnout_phone_queue", event="evening") == 17


def test_the_process_tells_of_itself(read: Read) -> None:
    assert read("turnout_resident_bytes") > 10_000_000
    assert read("turnout_database_up") == 1
    assert read("turnout_limits_in_memory") == 0


def test_without_its_database_the_process_still_tells(world: World, session: Session, read: Read) -> None:
    world.event()
    session.execute(text("DROP TABLE search_marks"))
    session.connection().exec_driver_sql("COMMIT")

    assert read("turnout_database_up") == 0
    assert read("turnout_resident_bytes") > 10_000_000


def test_nobody_is_named(world: World, client: FlaskClient) -> None:
    world.event()
    ticket = world.register(name="Ada Lovelace", email="ada@example.org")
    client.get(f"/t/{ticket.ticket_key}")

    shown = client.get("/metrics").text

    named = (ticket.ticket_key, ticket.public_id, ticket.short_code, "Ada", "ada@", "127.0.0.1")
    assert [each for each in named if each in shown] == []
