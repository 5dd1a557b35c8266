"""Redis dies and hangs: nothing fails, nothing waits for it again and again, and the limits hold (rules 5.5)."""

import time
import uuid
from collections import Counter
from collections.abc import Callable

import pytest

from tests.faults.conftest import BACKENDS, MakeEvening
from tests.faults.crowd import Evening
from tests.faults.journal import scan_body, scan_headers
from tests.faults.servers import Redis, wait_until
from tests.faults.site import Site, running

LIMIT = 15
TRIES = 60
# If every try waited for the 0.3 seconds that one may wait, all of them would take 18.
PATIENCE_SECONDS = 10
go_away = pytest.mark.parametrize("go_away", [Redis.kill, Redis.freeze])


def scan_many(evening: Evening, code: str) -> Counter[int]:
    """Scan one ticket again and again; return how many scans got which status."""
    caller = evening.caller()
    scans = [(scan_body(code, str(uuid.uuid4())), scan_headers(evening.token)) for _ in range(TRIES)]
    return Counter(caller.try_once("POST", "/api/v1/scans", body, headers).status for body, headers in scans)


@go_away
def test_limits_hold_in_memory_while_redis_is_away(
    new_site: Callable[..., Site], make_evening: MakeEvening, redis_server: Redis, go_away: Callable[[Redis], None]
) -> None:
    limit = f"{LIMIT} per hour"
    settings = {"REDIS_URL": redis_server.url, "WEB_CONCURRENCY": "1", "LIMIT_SCANS_PER_DEVICE": limit}
    with running(new_site(**settings)) as site:
        evening = make_evening(site)
        code = evening.caller().register(evening.slug, "ada@example.org").code
        assert scan_many(evening, code) == {200: LIMIT, 429: TRIES - LIMIT}
        assert redis_server.count_keys() > 0

        go_away(redis_server)
        started_at = time.monotonic()
        counted = scan_many(evening, code)
        seconds = time.monotonic() - started_at

        # The counts of Redis are out of sight; one process counts for itself, and exactly.
        assert counted == {200: LIMIT, 429: TRIES - LIMIT}
        assert seconds < PATIENCE_SECONDS
        evening.caller().register(evening.slug, "bob@example.org")
        evening.check()


def test_redis_that_comes_back_counts_again(
    new_site: Callable[..., Site], make_evening: MakeEvening, redis_server: Redis
) -> None:
    with running(new_site(REDIS_URL=redis_server.url, WEB_CONCURRENCY="1")) as site:
        evening = make_evening(site)
        caller = evening.caller()
        redis_server.kill()
        caller.register(evening.slug, "ada@example.org", "one key")
        redis_server.start()
        assert redis_server.count_keys() == 0

        def is_counting() -> bool:
            caller.register(evening.slug, "ada@example.org", "one key")
            return redis_server.count_keys() > 0

        wait_until(is_counting, "Redis counts again")
        evening.check()


@pytest.mark.parametrize("backend", BACKENDS)
def test_redis_that_goes_away_under_load_fails_nobody(
    new_site: Callable[..., Site], make_evening: MakeEvening, redis_server: Redis, backend: str
) -> None:
    with running(new_site(backend, REDIS_URL=redis_server.url)) as site:
        evening = make_evening(site)

        def come_and_go() -> None:
            redis_server.kill()
            time.sleep(0.5)
            redis_server.start()
            time.sleep(0.5)
            redis_server.freeze()
            time.sleep(1)
            redis_server.thaw()

        evening.live_through(come_and_go)

        evening.check_tries(without=["503", "cut", "refused"])
        evening.check()
