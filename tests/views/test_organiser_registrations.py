"""The organiser's registrations: found, paged, sent again, cancelled, taken away as CSV."""

import csv
import io
import re

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from meetup.storage.audit import AuditEntry
from meetup.storage.outbox import OutboxMessage
from meetup.views.organiser_registrations import csv_line
from tests.factories import World
from tests.views.organiser_pages import send

OWNER = "olga@example.org"
LIST = "/organise/e/evening/registrations"
VERBS = ("resend", "reissue", "note", "cancel")


@pytest.fixture
def organiser(world: World) -> FlaskClient:
    """Return a browser that is signed in, with an event of its own."""
    client = world.signed_in(OWNER)
    world.event(owner=OWNER, capacity=60, guests=3)
    return client


def shown(client: FlaskClient, path: str) -> list[str]:
    """Return the names on a page of the list, in their order."""
    answer = client.get(path)
    assert answer.status_code == 200
    return re.findall(r'<td><a href="/t/[^"]+">([^<]+)</a></td>', answer.text)


def export(client: FlaskClient) -> list[list[str]]:
    """Return the rows of the export, its byte order mark checked and taken off."""
    answer = client.get(f"{LIST}.csv")
    assert answer.data.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(answer.data.decode("utf-8-sig"))))


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("zoe", ["Zoé Martin"]),
        ("MARTIN", ["Ann Martin", "Zoé Martin"]),
        ("martin ann", ["Ann Martin"]),
        ("ada@exam", ["Ada Lovelace"]),
        ("100%25", []),
        ("_", []),
        ("%00", ["Ada Lovelace", "Ann Martin", "Zoé Martin"]),
    ],
)
def test_search_ignores_accents_and_case(world: World, organiser: FlaskClient, words: str, names: list[str]) -> None:
    world.register(name="Zoé Martin", email="z@example.org")
    world.register(name="Ann Martin", email="ann@example.org")
    world.register(name="Ada Lovelace", email="ada@example.org")

    assert shown(organiser, f"{LIST}?q={words}") == names


def test_list_shows_fifty_a_page_newest_first(world: World, organiser: FlaskClient) -> None:
    for number in range(53):
        world.register(name=f"Person {number}")

    pages = [shown(organiser, f"{LIST}?page={page}") for page in ("1", "2", "999999999999999999999", "-3", "x")]

    first = [f"Person {number}" for number in range(52, 2, -1)]
    last = ["Person 2", "Person 1", "Person 0"]
    assert pages == [first, last, last, first, first]


def test_waitlist_comes_in_its_order_with_the_place(world: World, organiser: FlaskClient) -> None:
    world.event("small", owner=OWNER, capacity=1)
    for name in ("Seated", "First", "Second"):
        world.register("small", name=name)

    page = organiser.get("/organise/e/small/registrations?state=waitlisted").text

    places = re.findall(r">(Seated|First|Second)</a>.*?(\w+ in line)", page, re.DOTALL)
    assert places == [("First", "1st in line"), ("Second", "2nd in line")]


def test_filter_shows_one_state_and_counts_all(world: World, organiser: FlaskClient) -> None:
    world.register(name="Staying")
    world.cancel(world.register(name="Gone"))

    page = organiser.get(f"{LIST}?state=cancelled").text

    chips = re.findall(r">([A-Z][^<]*) <span>(\d+)</span></a>", page)
    assert chips == [("All", "2"), ("Confirmed", "1"), ("On the waitlist", "0"), ("Cancelled", "1")]
    assert shown(organiser, f"{LIST}?state=cancelled") == ["Gone"]


def test_unknown_state_shows_all(world: World, organiser: FlaskClient) -> None:
    world.register(name="Staying")

    assert shown(organiser, f"{LIST}?state=nonsense") == ["Staying"]


def test_resend_promises_the_ticket_once_more(world: World, organiser: FlaskClient, session: Session) -> None:
    ticket = world.register()

    answer = send(organiser, f"{LIST}/{ticket.public_id}/resend", q="Ada", page="1")

    kinds = session.scalars(select(OutboxMessage.kind).order_by(OutboxMessage.id)).all()
    assert kinds == ["registration_confirmed", "ticket_again"]
    assert (answer.status_code, answer.location) == (303, f"{LIST}?done=resent&q=Ada&page=1")


def test_cancel_passes_the_seat_on_and_names_the_account(
    world: World, organiser: FlaskClient, session: Session
) -> None:
    world.event("small", owner=OWNER, capacity=1)
    seated, waiting = world.register("small"), world.register("small")

    send(organiser, f"/organise/e/small/registrations/{seated.public_id}/cancel")

    states = [world.registration(each.ticket_key).state for each in (seated, waiting)]
    entry = session.scalars(select(AuditEntry).filter_by(action="registration.cancelled")).one()
    assert (states, entry.actor_kind) == (["cancelled", "confirmed"], "account")


def test_cancel_of_somebody_inside_leaves_the_headcount_alone(world: World, organiser: FlaskClient) -> None:
    ticket, device = world.register(), world.device()
    world.scan(device, ticket.code)

    answer = send(organiser, f"{LIST}/{ticket.public_id}/cancel")

    count = world.headcount(device)
    assert (answer.status_code, count["inside"], count["confirmed"], count["cancelled"]) == (303, 1, 0, 1)


def test_cancel_twice_changes_nothing_the_second_time(world: World, organiser: FlaskClient, session: Session) -> None:
    ticket = world.register()

    statuses = [send(organiser, f"{LIST}/{ticket.public_id}/cancel").status_code for _ in range(2)]

    kinds = session.scalars(select(OutboxMessage.kind).order_by(OutboxMessage.id)).all()
    assert (statuses, kinds) == ([303, 303], ["registration_confirmed", "registration_cancelled"])


def test_actions_on_the_registration_of_another_event_are_not_there(world: World, organiser: FlaskClient) -> None:
    world.event("theirs")
    ticket = world.register("theirs")

    statuses = [send(organiser, f"{LIST}/{ticket.public_id}/{verb}").status_code for verb in VERBS]

    assert statuses == [404] * len(VERBS)


def test_export_holds_every_registration_once(world: World, organiser: FlaskClient) -> None:
    made = [world.register(name=f"Person {number}", guests=number % 2) for number in range(5)]

    header, *rows = export(organiser)

    assert header == ["name", "email", "guests", "state", "locale", "created_at", "arrived_at", "inside"]
    assert [row[:5] for row in rows] == [
        [ticket.name, ticket.email, str(number % 2), "confirmed", "en"] for number, ticket in enumerate(made)
    ]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row[5]) for row in rows)


def test_export_of_several_batches_is_whole(
    world: World, organiser: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meetup.storage.registration_lists.EXPORT_BATCH", 2)
    made = [world.register() for _ in range(4)]

    assert [row[1] for row in export(organiser)[1:]] == [ticket.email for ticket in made]


def test_export_is_logged(world: World, organiser: FlaskClient, session: Session) -> None:
    export(organiser)

    entry = session.scalars(select(AuditEntry).filter_by(action="registrations.exported")).one()
    assert (entry.actor_kind, entry.actor_id) == ("account", 1)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_cell_that_a_spreadsheet_would_run_is_made_harmless(start: str) -> None:
    assert csv_line([f'{start}HYPERLINK("x")']) == f'"\'{start}HYPERLINK(""x"")"\r\n'


def test_export_of_a_name_that_is_a_formula(world: World, organiser: FlaskClient) -> None:
    world.register(name="=1+1", email="-x@example.org")

    assert export(organiser)[1][:2] == ["'=1+1", "'-x@example.org"]


def test_new_ticket_kills_the_old_one_and_goes_out_by_mail(
    world: World, organiser: FlaskClient, session: Session
) -> None:
    ticket, device = world.register(), world.device()

    answer = send(organiser, f"{LIST}/{ticket.public_id}/reissue", q="Ada")

    fresh = organiser.get(f"/t/{ticket.ticket_key}.json").json or {}
    verdicts = [world.scan(device, code).json or {} for code in (ticket.code, fresh["code"])]
    kinds = session.scalars(select(OutboxMessage.kind).order_by(OutboxMessage.id)).all()
    assert (answer.status_code, answer.location) == (303, f"{LIST}?done=reissued&q=Ada")
    assert [(each["outcome"], each["reason"]) for each in verdicts] == [("refused", "revoked"), ("admitted", None)]
    assert kinds == ["registration_confirmed", "ticket_again"]


def test_note_pops_up_at_the_door_and_can_be_taken_away(world: World, organiser: FlaskClient, session: Session) -> None:
    ticket, device = world.register(), world.device()

    kept = send(organiser, f"{LIST}/{ticket.public_id}/note", note="  Wheelchair:\n use the  lift ")
    shown_note = "Wheelchair: use the lift" in organiser.get(LIST).text
    verdict = world.scan(device, ticket.code).json or {}
    send(organiser, f"{LIST}/{ticket.public_id}/note", note="")

    entries = session.scalars(select(AuditEntry).filter_by(action="registration.note_set")).all()
    assert (kept.status_code, kept.location) == (303, f"{LIST}?done=noted")
    assert (shown_note, verdict["attendee"]["note"]) == (True, "Wheelchair: use the lift")
    assert world.registration(ticket.ticket_key).note == ""
    assert [(each.actor_kind, each.details) for each in entries] == [
        ("account", {"has_note": True}),
        ("account", {"has_note": False}),
    ]


def test_note_reaches_phones_with_the_next_change_of_the_roster(world: World, organiser: FlaskClient) -> None:
    ticket, other, device = world.register(), world.register(), world.device()
    path, token = "/api/v1/door/roster", {"Authorization": f"Bearer {device.token}"}
    cursor = (organiser.get(path, headers=token).json or {})["cursor"]

    send(organiser, f"{LIST}/{ticket.public_id}/note", note="Speaker")
    changed = organiser.get(path, query_string={"since": cursor}, headers=token).json or {}

    rows = [row for row in changed["details"] if row[2] != other.public_id]
    assert [(row[2], row[3]) for row in rows] == [(ticket.public_id, "Speaker")]


def test_note_that_is_too_long_stays_in_its_field(world: World, organiser: FlaskClient, session: Session) -> None:
    ticket = world.register()

    answer = send(organiser, f"{LIST}/{ticket.public_id}/note", note="x" * 201)

    assert (answer.status_code, f'value="{"x" * 201}"' in answer.text) == (422, True)
    assert "A note has 200 characters at most." in answer.text
    assert world.registration(ticket.ticket_key).note == ""


def test_somebody_at_the_door_is_shown_as_waiting(world: World, organiser: FlaskClient, client: FlaskClient) -> None:
    client.post("/e/evening/door", data={"name": "Grace Hopper"})

    page = organiser.get(f"{LIST}?state=pending").text

    assert (shown(organiser, LIST), "Waiting at the door" in page, "/resend" in page) == (["Grace Hopper"], True, False)
