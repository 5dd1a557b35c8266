"""The picture of layers.py holds, and each of its rules catches a file that breaks it."""

from collections.abc import Callable

import pytest

from tests.rules.layers import (
    homeless,
    import_cycles,
    storage_writes,
    stray_clocks,
    stray_commits,
    too_long,
    undescribed,
    unhinted,
    uphill_imports,
    web_in_domain,
    writes_by_views,
)
from tests.rules.sources import Source, parse, read_sources

SOURCES = read_sources()


def test_picture_shows_every_file() -> None:
    assert homeless(SOURCES) == []


def test_imports_point_downwards() -> None:
    assert uphill_imports(SOURCES) == []


def test_imports_make_no_circle() -> None:
    assert import_cycles(SOURCES) == []


def test_domain_knows_neither_web_nor_sql() -> None:
    assert web_in_domain(SOURCES) == []


def test_one_place_commits() -> None:
    assert stray_commits(SOURCES) == []


def test_one_place_reads_the_clock() -> None:
    assert stray_clocks(SOURCES) == []


def test_views_leave_writing_to_the_domain() -> None:
    writes = storage_writes(SOURCES)

    assert {"meetup.storage.counters.settle_seats", "meetup.storage.counters.lock_seats"} <= writes
    assert writes.isdisjoint({"meetup.storage.counters.get_seats", "meetup.storage.events.list_events_of"})
    assert writes_by_views(SOURCES, writes) == []


def test_files_and_functions_stay_small() -> None:
    assert too_long(SOURCES) == []


def test_functions_are_hinted() -> None:
    assert unhinted(SOURCES) == []


def test_domain_and_storage_say_what_they_do() -> None:
    assert undescribed(SOURCES) == []


PLANTED: list[tuple[Callable[[list[Source]], list[str]], list[Source], list[str]]] = [
    (homeless, [parse("meetup.helpers", "")], ["meetup.helpers"]),
    (
        uphill_imports,
        [parse("meetup.storage.seats", "from meetup.domain import waitlist"), parse("meetup.domain.waitlist", "")],
        ["meetup.storage.seats -> meetup.domain.waitlist"],
    ),
    (
        uphill_imports,
        [parse("meetup.clock", "def late() -> None:\n    from meetup.views.public import event")],
        ["meetup.clock -> meetup.views.public"],
    ),
    (
        import_cycles,
        [
            parse("meetup.domain.a", "from meetup.domain import b"),
            parse("meetup.domain.b", "from meetup.domain.c import thing"),
            parse("meetup.domain.c", "import meetup.domain.a"),
            parse("meetup.domain.d", "import meetup.domain.a"),
        ],
        ["meetup.domain.a", "meetup.domain.b", "meetup.domain.c"],
    ),
    (
        web_in_domain,
        [
            parse(
                "meetup.domain.a",
                "import flask.json\nfrom sqlalchemy import text\nfrom sqlalchemy.orm import Session",
            )
        ],
        ["meetup.domain.a imports flask.json", "meetup.domain.a imports sqlalchemy.text"],
    ),
    (web_in_domain, [parse("meetup.domain.a", "import flask_babel")], ["meetup.domain.a imports flask_babel"]),
    (stray_commits, [parse("meetup.views.a", "db.session.commit()")], ["meetup.views.a:1"]),
    (stray_commits, [parse("meetup.domain.a", "session.rollback()")], ["meetup.domain.a:1"]),
    (
        stray_clocks,
        [parse("meetup.domain.a", "from meetup.clock import utc_now\nnow = time.time()")],
        ["meetup.domain.a imports utc_now", "meetup.domain.a:2 time.time"],
    ),
    (stray_clocks, [parse("meetup.views.a", "now = datetime.now(UTC)")], ["meetup.views.a:1 datetime.now"]),
    (
        lambda sources: writes_by_views(sources, storage_writes(SOURCES)),
        [
            parse(
                "meetup.views.a",
                "from meetup.storage import counters\n"
                "from meetup.storage.registrations import confirm_all as confirm\n"
                "from sqlalchemy import update\n"
                "counters.get_seats(session, 1)\n"
                "counters.take_seat_at_door(session, 1, 1)\n"
                "confirm(session, [], now)\n"
                "session.execute(update(Event))\n"
                "db.session.add(event)",
            )
        ],
        [
            "meetup.views.a:5 counters.take_seat_at_door",
            "meetup.views.a:6 confirm",
            "meetup.views.a:7 update",
            "meetup.views.a:8 db.session.add",
        ],
    ),
    (too_long, [parse("meetup.views.a", "\n" * 300 + "pass")], ["meetup.views.a"]),
    (too_long, [parse("meetup.views.a", "def f() -> None:\n" + "    pass\n" * 40)], ["meetup.views.a.f"]),
    (unhinted, [parse("meetup.views.a", "def f(a: int, *more): ...\ndef g(self) -> None: ...")], ["meetup.views.a.f"]),
    (
        undescribed,
        [parse("meetup.domain.a", "def f() -> None: ...\ndef _g() -> None: ...\nclass C: ...")],
        ["meetup.domain.a", "meetup.domain.a.f", "meetup.domain.a.C"],
    ),
]


@pytest.mark.parametrize(("rule", "sources", "breaches"), PLANTED)
def test_rule_sees_a_file_that_breaks_it(
    rule: Callable[[list[Source]], list[str]], sources: list[Source], breaches: list[str]
) -> None:
    found = rule(sources)

    assert sorted(found) == sorted(breaches)
