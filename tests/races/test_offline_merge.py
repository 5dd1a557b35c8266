"""Eight phones come back at once with the same hundred tickets: counted once each, whatever the order (rules 4.5)."""

import random
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from meetup.storage import roster as roster_rows
from meetup.storage import scans
from meetup.storage.scans import Outcome, Scan
from tests.factories import MadeDevice, MadeTicket, World, bearer
from tests.races.crowd import all_at_once, seen

PHONES = 8
TICKETS = 100
BATCH = 40
MOST_TRIES = 20
REDELIVERED = 0.3
CUT = 0.25
ONLINE_SCANS = 12
LARGEST_SKEW = timedelta(hours=3)
# So far apart are the scans of one ticket that the time between sending and arriving changes no order.
APART = timedelta(seconds=30)
ANSWER = ("outcome", "reason", "first")


class Phone:
    """A phone that was offline: its wrong clock, its queue, and all that the server ever told it."""

    def __init__(self, app: Flask, device: MadeDevice, number: int) -> None:
        self.device = device
        self.random = random.Random(number)
        self.skew = self.random.uniform(-1, 1) * LARGEST_SKEW
        self.queue: list[dict[str, Any]] = []
        self.answers: dict[str, list[list[Any]]] = defaultdict(list)
        self.told: set[str] = set()
        self._client = app.test_client()
        self._cursor = ""

    def judge(self, code: str, at: datetime) -> str:
        """Let somebody in without a network, at a true time, and return the scan's id."""
        scan_id = str(uuid.uuid4())
        scanned_at = (at + self.skew).isoformat()
        self.queue.append({"scan_id": scan_id, "code": code, "scanned_at": scanned_at, "judged": "admitted"})
        return scan_id

    def come_back(self, tickets: list[MadeTicket]) -> None:
        """Upload everything in no order, much of it twice, and scan on online between two uploads."""
        again = self.random.sample(self.queue, int(len(self.queue) * REDELIVERED))
        sent = self.queue + again
        self.random.shuffle(sent)
        online = self.random.sample(tickets, ONLINE_SCANS)
        for start in range(0, len(sent), BATCH):
            self.upload(sent[start : start + BATCH])
            for ticket in online[:3]:
                self._scan(ticket.code)
            online = online[3:]
            self.read_roster()

    def upload(self, items: list[dict[str, Any]]) -> None:
        if self.random.random() < CUT:
            # The answer is lost on its way: the phone knows nothing and sends again.
            self._post("/api/v1/scans/batch", self.batch(items))
        answer = self._post("/api/v1/scans/batch", self.batch(items))
        for result in answer["results"]:
            self._keep(result)
        self.told |= {line["scan_id"] for line in answer["conflicts"]}

    def batch(self, items: list[dict[str, Any]]) -> dict[str, Any]:
        return {"sent_at": (datetime.now(UTC) + self.skew).isoformat(), "scans": items}

    def _scan(self, code: str) -> None:
        body = {"scan_id": str(uuid.uuid4()), "code": code}
        for _ in range(2):
            self._keep(self._post("/api/v1/scans", body))

    def _keep(self, answer: dict[str, Any]) -> None:
        self.answers[answer["scan_id"]].append([answer[name] for name in ANSWER])

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        # As a phone does: where the server is busy with the others' queues, the same again a little later.
        for _ in range(MOST_TRIES):
            answer = self._client.post(path, json=body, headers=bearer(self.device.token))
            if answer.status_code != 503:
                break
            time.sleep(self.random.random())
        assert answer.status_code == 200, answer.data
        return dict(answer.json or {})

    def read_roster(self) -> None:
        """Read what is new, as after each upload."""
        query = {"since": self._cursor}
        answer = self._client.get("/api/v1/door/roster", query_string=query, headers=bearer(self.device.token))
        assert answer.json is not None
        self._cursor = answer.json["cursor"]
        self.told |= {line["scan_id"] for line in answer.json["conflicts"]}


@pytest.fixture
def phones(app: Flask, world: World) -> list[Phone]:
    """Make an event and its phones, two at each gate."""
    world.event(capacity=TICKETS)
    return [Phone(app, world.device(gate=f"Gate {number % 4}"), number) for number in range(PHONES)]


def let_in_everywhere(phones: list[Phone], tickets: list[MadeTicket]) -> dict[str, str]:
    """Have every phone let every ticket in; return the scan that was truly the first of each registration."""
    chance = random.Random(7)
    end = datetime.now(UTC) - timedelta(minutes=2)
    first = {}
    for ticket in tickets:
        order = chance.sample(phones, len(phones))
        ids = [phone.judge(ticket.code, end - place * APART) for place, phone in enumerate(order)]
        first[ticket.public_id] = ids[-1]
    return first


def admitted(session: Session) -> list[Scan]:
    session.rollback()
    return [scan for scan in session.query(Scan) if scan.outcome == Outcome.ADMITTED]


def test_each_ticket_counts_once_and_every_other_admission_is_told(
    app: Flask, world: World, session: Session, phones: list[Phone], recount: Callable[[], list[str]]
) -> None:
    tickets = [world.register() for _ in range(TICKETS)]
    first = let_in_everywhere(phones, tickets)

    all_at_once([lambda phone=phone: phone.come_back(tickets) for phone in phones])  # type: ignore[misc]

    headcount = world.headcount(phones[0].device)
    assert (headcount["inside"], headcount["arrived"]) == (TICKETS, TICKETS)
    scans_in = admitted(session)
    assert {scan.scan_id for scan in scans_in if scan.people} == set(first.values())
    # What the server told is told again, word for word, however often it is asked.
    answers = [each for phone in phones for each in phone.answers.values()]
    assert all(each == [each[0]] * len(each) for each in answers)
    assert sum(len(each) for each in answers) > len(answers)
    conflicts = roster_rows.list_conflicts(session, scans_in[0].event_id, since_revision=0)
    assert {row["scan"].scan_id for row in conflicts} == {scan.scan_id for scan in scans_in if not scan.people}
    assert {row["other"].scan_id for row in conflicts} == set(first.values())
    assert recount() == []
    for phone in phones:
        phone.read_roster()
        concerned = {
            row["scan"].scan_id for row in conflicts for side in ("scan", "other") if is_of(session, row[side], phone)
        }
        assert phone.told >= concerned


def is_of(session: Session, scan: Scan, phone: Phone) -> bool:
    device = scans.get_scan_with_place(session, scan.id)[2]
    return device.public_id == phone.device.public_id


def test_one_queue_sent_by_many_hands_at_once_counts_once(
    app: Flask, world: World, session: Session, phones: list[Phone], recount: Callable[[], list[str]]
) -> None:
    """A proxy delivers one batch again and again: every copy is answered alike."""
    tickets = [world.register() for _ in range(20)]
    phone = phones[0]
    for number, ticket in enumerate(tickets):
        phone.judge(ticket.code, datetime.now(UTC) - timedelta(minutes=1, seconds=number))
    copies = [phone.batch(random.Random(number).sample(phone.queue, 20)) for number in range(PHONES)]

    def deliver(body: dict[str, Any]) -> Counter[tuple[Any, ...]]:
        answer = app.test_client().post("/api/v1/scans/batch", json=body, headers=bearer(phone.device.token))
        assert answer.status_code == 200, answer.data
        assert answer.json is not None
        return Counter((each["scan_id"], each["outcome"], each["conflict"]) for each in answer.json["results"])

    answers = all_at_once([lambda body=body: deliver(body) for body in copies])  # type: ignore[misc]

    assert answers == [answers[0]] * PHONES
    assert {key[1:] for key in answers[0]} == {("admitted", None)}
    assert world.headcount(phone.device)["inside"] == 20
    assert len(admitted(session)) == 20
    assert recount() == []


def test_one_walk_in_sent_by_many_hands_at_once_is_one_person(
    app: Flask, world: World, phones: list[Phone], recount: Callable[[], list[str]]
) -> None:
    body = {"name": "Wanda Walker", "email": "wanda@example.org", "scan_id": str(uuid.uuid4())}

    def send() -> tuple[int, str]:
        headers = bearer(phones[0].device.token)
        answer = app.test_client().post("/api/v1/door/walk-ins", json=body, headers=headers)
        assert answer.json is not None
        return answer.status_code, answer.json["registration"]["id"]

    answers = all_at_once([send] * PHONES)

    assert answers == [(201, answers[0][1])] * PHONES
    headcount = world.headcount(phones[0].device)
    assert (headcount["confirmed"], headcount["inside"]) == (1, 1)
    assert recount() == []


def test_without_the_fresh_read_under_the_lock_one_ticket_counts_twice(
    app: Flask,
    world: World,
    session: Session,
    phones: list[Phone],
    recount: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The control: a replay that does not wait for its neighbours sees none of their scans, and counts its own."""
    ticket = world.register()
    for phone in phones:
        phone.judge(ticket.code, datetime.now(UTC) - timedelta(minutes=5))
    list_admitted = scans.list_admitted

    def careless_list_admitted(session: Session, registration_id: int) -> list[Scan]:
        return [scan for scan in list_admitted(session, registration_id) if scan.scan_id in seen.own]

    def upload(phone: Phone) -> None:
        seen.own = {item["scan_id"] for item in phone.queue}
        phone.upload(phone.queue)

    monkeypatch.setattr(scans, "list_admitted", careless_list_admitted)

    all_at_once([lambda phone=phone: upload(phone) for phone in phones])  # type: ignore[misc]

    assert sum(scan.people for scan in admitted(session)) > 1
    assert any("inside by parties" in line for line in recount())
