"""PostgreSQL stops, dies and loses processes under load: the site says 503, heals by itself and loses nothing."""

import time
from collections.abc import Callable, Iterator

import pytest

from tests.faults.crowd import Evening
from tests.faults.servers import Postgres, wait_until

on_postgresql = pytest.mark.parametrize("site", ["postgresql"], indirect=True)
KILLS = 4


@pytest.fixture
def going_on(postgres: Postgres) -> Iterator[None]:
    """Leave the server running for the next test, whatever became of this one."""
    yield
    postgres.start()


def ended_and_started(evening: Evening, end: Callable[[], None], start: Callable[[], None]) -> Callable[[], None]:
    """Return a fault: the database ends, the site says so, the database starts and the site serves again."""

    def fault() -> None:
        end()
        wait_until(lambda: evening.site.status_of("/readyz") == 503, "the site says that it cannot serve")
        assert evening.site.status_of("/healthz") == 200
        wait_until(lambda: evening.journal.tries["503"] > 0, "somebody is told to come back")
        start()
        wait_until(evening.site.is_ready, "the site serves again")

    return fault


@on_postgresql
@pytest.mark.usefixtures("going_on")
@pytest.mark.parametrize("end", [Postgres.stop_immediately, Postgres.kill])
def test_server_that_ends_and_comes_back_loses_nothing(
    evening: Evening, postgres: Postgres, end: Callable[[Postgres], None]
) -> None:
    before = evening.site.web_workers()

    evening.live_through(ended_and_started(evening, lambda: end(postgres), postgres.start))

    # Nobody restarted anything: the same processes found the database again.
    assert evening.site.web_workers() == before
    evening.check_tries(without=["cut", "refused"])
    evening.check()


@on_postgresql
@pytest.mark.usefixtures("going_on")
def test_killed_connections_lose_nothing(evening: Evening, postgres: Postgres) -> None:
    killed = 0

    def kill_some() -> None:
        nonlocal killed
        for _ in range(KILLS):
            wait_until(postgres.kill_backend, "the server has a connection")
            killed += 1
            time.sleep(0.2)
        wait_until(evening.site.is_ready, "the site serves again")

    evening.live_through(kill_some)

    assert killed == KILLS
    evening.check_tries(without=["cut", "refused"])
    evening.check()
