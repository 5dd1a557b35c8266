"""A PostgreSQL that hangs: it takes connections and questions, and answers nothing. No timeout of its own can end that.

The site ends each wait itself: 503 after some seconds, other pages alive, and everything well when the server goes on.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import psycopg
import pytest

from meetup.storage.engine import BoundedConnection
from tests.faults.conftest import MakeEvening
from tests.faults.crowd import Evening
from tests.faults.journal import FORM_HEADERS, Reply, form
from tests.faults.servers import Postgres, wait_until
from tests.faults.site import Site

# The site gives up after six seconds; nobody may wait longer than this for his answer.
ANSWER_SECONDS = 9
HELD_SECONDS = 2


def serving(postgres: Postgres, words: str) -> list[psutil.Process]:
    """Return the server's processes that serve a client and whose title holds these words."""
    assert postgres._process is not None
    family = psutil.Process(postgres._process.pid).children()
    return [each for each in family if words in " ".join(each.cmdline())]


@contextmanager
def frozen(processes: list[psutil.Process]) -> Iterator[None]:
    """Let processes stand still for the length of a block; some may be gone after it."""
    try:
        for process in processes:
            process.send_signal(signal.SIGSTOP)
        yield
    finally:
        for process in processes:
            try:
                process.send_signal(signal.SIGCONT)
            except psutil.NoSuchProcess:
                continue


@pytest.fixture
def hung_site(new_site: Callable[..., Site], make_evening: MakeEvening) -> Evening:
    """Return an event of a running site of its own on PostgreSQL, whose web processes are connected."""
    site = new_site("postgresql")
    site.start()
    evening = make_evening(site)
    caller = evening.caller()
    for number in range(8):
        caller.register(evening.slug, f"before{number}@example.org")
    return evening


def database_name(site: Site) -> str:
    return site.environ["DATABASE_URL"].partition("@/")[2].partition("?")[0]


def register_once(evening: Evening, number: int, replies: list[Reply]) -> None:
    caller = evening.caller()
    caller.try_seconds = ANSWER_SECONDS
    replies.append(
        caller.try_once(
            "POST",
            f"/e/{evening.slug}/register",
            form(f"during{number}@example.org", f"form-key-{number:032}"),
            FORM_HEADERS,
        )
    )


def test_a_server_that_hangs_is_503_in_bounded_time_and_other_pages_live(
    postgres: Postgres, hung_site: Evening
) -> None:
    site, replies = hung_site.site, list[Reply]()
    assert postgres._process is not None
    everything = [psutil.Process(postgres._process.pid), *serving(postgres, "")]
    with frozen(everything):
        people = [threading.Thread(target=register_once, args=(hung_site, number, replies)) for number in range(12)]
        for person in people:
            person.start()
        alive = []
        while any(person.is_alive() for person in people):
            started_at = time.monotonic()
            alive.append((site.status_of("/healthz"), time.monotonic() - started_at < 1))
            time.sleep(0.1)
        not_ready = site.status_of("/readyz")

    assert [(reply.status, bool(reply.retry_after)) for reply in replies] == [(503, True)] * 12
    assert set(alive) == {(200, True)}
    assert not_ready == 503
    wait_until(lambda: site.status_of("/readyz") == 200, "the site is ready again")
    caller = hung_site.caller()
    for number in range(12):
        caller.register(hung_site.slug, f"during{number}@example.org", f"form-key-{number:032}")
    hung_site.check()


def test_connections_that_hang_are_given_up_and_replaced(postgres: Postgres, hung_site: Evening) -> None:
    """The server itself lives: what was connected hangs for ever, and nobody waits for that more than once."""
    site = hung_site.site
    held = serving(postgres, f" {database_name(site)} ")
    assert held
    with frozen(held):
        caller = hung_site.caller(patience_seconds=2 * ANSWER_SECONDS)
        caller.try_seconds = ANSWER_SECONDS
        for number in range(6):
            caller.register(hung_site.slug, f"after{number}@example.org")
        wait_until(lambda: site.status_of("/readyz") == 200, "the site is ready")

    hung_site.check_tries(without=["cut", "refused"])
    hung_site.check()


@pytest.mark.parametrize(("wait_seconds", "is_ended"), [(0.3, True), (None, False)])
def test_only_the_bound_ends_the_wait(postgres: Postgres, wait_seconds: float | None, is_ended: bool) -> None:
    """With the negative control: every timeout that the server or libpq know stands, and the wait goes on."""
    timeouts = "&connect_timeout=2&tcp_user_timeout=200&options=-c%20statement_timeout%3D200%20-c%20lock_timeout%3D200"
    with BoundedConnection.connect(postgres.url("postgres") + timeouts, autocommit=True) as connection:
        connection.wait_seconds = wait_seconds
        backend = psutil.Process(connection.info.backend_pid)
        outcomes: list[str] = []

        def ask() -> None:
            try:
                connection.execute("SELECT pg_sleep(0)")
                outcomes.append("answered")
            except psycopg.OperationalError as error:
                outcomes.append(str(error))

        with frozen([backend]):
            asking = threading.Thread(target=ask)
            asking.start()
            asking.join(HELD_SECONDS)
            outcome_while_frozen = list(outcomes)
        asking.join(ANSWER_SECONDS)

    assert outcome_while_frozen == (["no answer from the server for 0.3 s"] if is_ended else [])
    assert outcomes == (["no answer from the server for 0.3 s"] if is_ended else ["answered"])
