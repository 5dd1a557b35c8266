"""gunicorn is told to reload, ends, and renews its workers, all under load."""

import signal
from collections.abc import Callable

from tests.faults.conftest import MakeEvening, on_both
from tests.faults.crowd import Evening
from tests.faults.servers import wait_until
from tests.faults.site import Site, running

WORKERS = 2


def worker_ids(site: Site) -> set[int]:
    return {process.pid for process in site.web_workers()}


@on_both
def test_reload_fails_nobody(evening: Evening) -> None:
    before = worker_ids(evening.site)

    def reload_all() -> None:
        evening.site.signal(signal.SIGHUP)
        wait_until(
            lambda: len(worker_ids(evening.site)) == WORKERS and not worker_ids(evening.site) & before,
            "every worker is a new one",
        )

    evening.live_through(reload_all)

    evening.check_tries(without=["503", "cut", "refused"])
    evening.check()


@on_both
def test_restart_loses_nothing_that_was_told(evening: Evening) -> None:
    def restart() -> None:
        assert evening.site.web is not None
        evening.site.signal(signal.SIGTERM)
        assert evening.site.web.wait(20) == 0
        evening.site.start()

    evening.live_through(restart)

    assert evening.journal.tries["refused"] > 0
    evening.check_tries()
    evening.check()


def test_workers_that_renew_themselves_fail_nobody(new_site: Callable[..., Site], make_evening: MakeEvening) -> None:
    with running(new_site(), "--max-requests", "40", "--max-requests-jitter", "60") as site:
        evening = make_evening(site)
        first = worker_ids(site)
        ended: set[int] = set()

        def wait_for_renewals() -> None:
            def have_ended() -> bool:
                ended.update(first - worker_ids(site))
                return ended == first

            wait_until(have_ended, "the first workers have been renewed")

        evening.live_through(wait_for_renewals)

        evening.check_tries(without=["503", "cut", "refused"])
        evening.check()
