"""The search index finds whom reading every registration finds, also those that changed since its last step."""

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.orm import Session

from meetup.domain import door_search, search_indexing
from meetup.domain.search_indexing import Indexer
from meetup.storage import search_entries, search_index
from meetup.storage.db import db, transaction
from meetup.storage.events import get_event
from tests.commands.terminal import run
from tests.factories import World
from tests.worker.mailroom import Clock, Mailroom, MoodyDesk

PEOPLE = {
    "Hélène Lefèvre": "helene.lefevre@example.org",
    "Anne Brontë": "anne@haworth.example.org",
    "Anne-Marie O'Brien": "amo@example.org",
    "Yılmaz Öztürk": "oz_turk@example.org",
    "王伟": "wei@example.org",
    "김민준": "minjun@example.org",
    "Иван Петров": "ivan@example.org",
    "Li Na": "100%li@example.org",
    "Ada Lovelace": "ada.lovelace@analytical.example.org",
}
WHOLE = [
    "helene",
    "HÉLÈNE lef",
    "bront",
    "haworth",
    "marie obr",
    "o'br",
    "z_t",
    "100%",
    "петр",
    "김민",
    "lovelace ada",
]


@pytest.fixture(autouse=True)
def newest_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave only the entries and what changed since to find somebody by."""
    monkeypatch.setattr(search_index, "NEWEST", 0)


@pytest.fixture
def evening(world: World) -> Iterator[World]:
    world.event()
    world.event("other")
    for name, email in PEOPLE.items():
        world.register(name=name, email=email)
    world.register("other", name="Hélène Elsewhere")
    yield world


def event_id(session: Session, slug: str = "evening") -> int:
    # What others have written meanwhile is to be seen.
    session.rollback()
    return get_event(session, slug).id


def index(session: Session, slug: str = "evening") -> int:
    """Take every step that is left; return how many registrations they had."""
    count = 0
    while step := search_indexing.read_step(session, event_id(session, slug)):
        with transaction() as writing:
            assert search_indexing.write_step(writing, step)
        count += len(step.entries)
    return count


def found(session: Session, typed: str) -> list[str]:
    session.rollback()
    return [each.name for each in door_search.find_people(session, get_event(session, "evening"), typed)]


def behind(session: Session, indexer: Indexer) -> list[int]:
    session.rollback()
    return indexer.list_behind(session)


def has_entry(session: Session, name: str) -> bool:
    """Tell whether a registration is pointed at, whatever by."""
    session.rollback()
    column = "registration_id" if session.get_bind().dialect.name == "postgresql" else "rowid"
    statement = f"SELECT 1 FROM search_grams WHERE {column} = (SELECT id FROM registrations WHERE name = :name)"
    return session.execute(text(statement), {"name": name}).first() is not None


@pytest.mark.parametrize("typed", WHOLE)
def test_entries_find_whom_reading_finds(evening: World, session: Session, typed: str) -> None:
    read = found(session, typed)

    assert index(session) == len(PEOPLE)

    assert found(session, typed) == read != []


def test_nobody_is_found_without_entries_behind_the_mark(evening: World, session: Session) -> None:
    """What the test above would not notice if everything were read anyway."""
    index(session)
    with transaction() as writing:
        writing.execute(text("DELETE FROM search_grams"))

    assert [found(session, typed) for typed in WHOLE] == [[]] * len(WHOLE)


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ("li", ["Li Na"]),
        ("王", ["王伟"]),
        ("伟", ["王伟"]),
        ("oz", ["Yılmaz Öztürk"]),
        ("ma", ["Anne-Marie O'Brien"]),
    ],
)
def test_one_or_two_letters_are_met_where_a_word_begins(
    evening: World, session: Session, typed: str, names: list[str]
) -> None:
    index(session)

    assert found(session, typed) == names


@pytest.mark.parametrize("typed", ["lovelase", "ada lovelce", "Lovlace", "adda lovelace"])
def test_a_typing_mistake_is_forgiven(evening: World, session: Session, typed: str) -> None:
    index(session)

    assert found(session, typed) == ["Ada Lovelace"]


@pytest.mark.parametrize("typed", ["zzzz", "xyz", "q", "%", "_", "'", '"', "helene xyz"])
def test_others_are_not_found(evening: World, session: Session, typed: str) -> None:
    index(session)

    assert "Ada Lovelace" not in found(session, typed)


def test_who_came_after_the_last_step_is_found(evening: World, session: Session) -> None:
    index(session)
    evening.register(name="Zoë Latecomer")

    assert found(session, "latecomer") == ["Zoë Latecomer"]
    assert found(session, "latecommer") == ["Zoë Latecomer"]
    assert not has_entry(session, "Zoë Latecomer")


def test_a_new_name_is_found_and_the_old_one_is_not(evening: World, session: Session) -> None:
    ticket = evening.register(name="Grace Murray", email="grace@example.org")
    index(session)
    changed = {"name": "Grace Hopper", "email": "grace@example.org"}
    assert evening.app.test_client().post(f"/t/{ticket.ticket_key}/edit", data=changed).status_code == 303

    before = [found(session, typed) for typed in ("murray", "hopper")]
    index(session)
    after = [found(session, typed) for typed in ("murray", "hopper")]

    assert before == after == [[], ["Grace Hopper"]]


def test_who_came_through_the_door_is_still_found(evening: World, session: Session) -> None:
    ticket = evening.register(name="Grace Hopper")
    index(session)
    session.rollback()

    assert evening.scan(evening.device(), ticket.code).status_code == 200

    assert found(session, "hopper") == ["Grace Hopper"]
    assert index(session) == 1
    assert found(session, "hopper") == ["Grace Hopper"]


def test_an_entry_can_be_forgotten_at_once(evening: World, session: Session) -> None:
    ticket = evening.register(name="Grace Hopper")
    index(session)
    id = evening.registration(ticket.ticket_key).id

    with transaction() as writing:
        search_entries.forget_entries(writing, [id])

    assert not has_entry(session, "Grace Hopper")
    assert has_entry(session, "Ada Lovelace")


def test_a_step_is_written_once(evening: World, session: Session) -> None:
    steps = [search_indexing.read_step(session, event_id(session)) for _ in range(2)]
    written = []
    for step in steps:
        assert step is not None
        with transaction() as writing:
            written.append(search_indexing.write_step(writing, step))

    assert written == [True, False]
    assert found(session, "helene") == ["Hélène Lefèvre"]


def test_steps_lead_through_changes_with_one_number(
    evening: World, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_entries, "STEP", 2)
    with transaction() as writing:
        writing.execute(text("UPDATE registrations SET roster_revision = 3"))

    assert index(session) == len(PEOPLE)
    assert found(session, "lovelace") == ["Ada Lovelace"]


def test_the_worker_indexes_where_much_has_changed(
    evening: World, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_indexing, "LEAST_BEHIND", len(PEOPLE))
    assert behind(session, Indexer()) == [event_id(session)]

    Mailroom(evening.app, MoodyDesk(), Clock()).work()

    assert behind(session, Indexer()) == []
    assert has_entry(session, "Ada Lovelace")
    assert not has_entry(session, "Hélène Elsewhere")


def test_a_change_makes_the_indexer_look_again(
    evening: World, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_indexing, "LEAST_BEHIND", 2)
    index(session)
    indexer = Indexer()

    assert behind(session, indexer) == []
    evening.register(name="One")
    assert behind(session, indexer) == []
    evening.register(name="Two")
    assert behind(session, indexer) == [event_id(session)]


def test_the_command_indexes_everything_and_makes_it_anew(evening: World, app: Flask, session: Session) -> None:
    counts = [run(app, "search-index"), run(app, "search-index"), run(app, "search-index", "--rebuild")]

    assert counts == [{"indexed": len(PEOPLE) + 1}, {"indexed": 0}, {"indexed": len(PEOPLE) + 1}]
    assert found(session, "helene") == ["Hélène Lefèvre"]


def test_the_organiser_s_list_is_the_same_with_entries(world: World, session: Session) -> None:
    owner = world.signed_in()
    world.event(owner="olga@example.org")
    for name, email in PEOPLE.items():
        world.register(name=name, email=email)
    queries = [*WHOLE, "an", "li", "zzz", ""]
    page = "/organise/e/evening/registrations"

    def listed(typed: str) -> list[str]:
        session.rollback()
        shown = owner.get(page, query_string={"q": typed}).text
        return [email for email in PEOPLE.values() if email in shown]

    before = [listed(typed) for typed in queries]
    index(session)

    assert [listed(typed) for typed in queries] == before
    assert before[0] == ["helene.lefevre@example.org"]


def test_a_database_without_an_index_is_read(evening: World, session: Session) -> None:
    with transaction() as writing:
        writing.execute(text("DROP TABLE search_grams"))

    assert Indexer().list_behind(db.session()) == search_indexing.list_events(db.session()) == []
    assert found(session, "helene") == ["Hélène Lefèvre"]
