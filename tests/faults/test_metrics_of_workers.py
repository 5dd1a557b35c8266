"""/metrics under the real gunicorn: one sum of all workers, whichever is asked, and nothing left behind."""

import signal
import tempfile
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.faults.servers import wait_until
from tests.faults.site import Site, running

SHARED_MEMORY = Path("/dev/shm")


def read(site: Site, name: str, **labels: str) -> float:
    """Return the sum of a figure over everything that has these labels."""
    connection = HTTPConnection(site.address, timeout=5)
    connection.request("GET", "/metrics")
    answer = connection.getresponse()
    assert answer.status == 200
    shown = answer.read().decode()
    connection.close()
    samples = [sample for family in text_string_to_metric_families(shown) for sample in family.samples]
    return sum(each.value for each in samples if each.name == name and labels.items() <= each.labels.items())


def folders(site: Site) -> list[Path]:
    """Return where the workers of this site count."""
    assert site.web is not None
    base = SHARED_MEMORY if SHARED_MEMORY.is_dir() else Path(tempfile.gettempdir())
    return list(base.glob(f"turnout-metrics-{site.web.pid}-*"))


def counting_workers(site: Site) -> int:
    """Return how many workers have counted anything yet."""
    return len(list(folders(site)[0].glob("histogram_*.db")))


def test_all_workers_count_together(new_site: Callable[..., Site]) -> None:
    with running(new_site()) as site:
        # Each connection may reach either worker; go on until both have answered.
        wait_until(lambda: site.status_of("/e/nowhere") == 404 and counting_workers(site) == 2, "both have answered")
        before = read(site, "turnout_refusals_total", code="not_found")

        for _ in range(20):
            assert site.status_of("/e/nowhere") == 404

        after = [read(site, "turnout_refusals_total", code="not_found") for _ in range(4)]
        assert after == [before + 20] * 4
        memory = sum(each.memory_info().rss for each in site.web_workers())
        assert 0.5 * memory < read(site, "turnout_resident_bytes") < 1.5 * memory


def test_a_worker_that_ended_is_counted_no_more_but_what_it_did_is(new_site: Callable[..., Site]) -> None:
    with running(new_site(WEB_CONCURRENCY="1")) as site:
        assert site.status_of("/e/nowhere") == 404
        (folder,) = folders(site)
        killed = site.kill_web_worker()
        wait_until(lambda: not list(folder.glob(f"gauge_live*_{killed}.db")), "what it had in hand is forgotten")
        wait_until(site.is_ready, "another one has taken its place")

        assert read(site, "turnout_refusals_total", code="not_found") == 1


def test_the_counts_end_with_gunicorn(new_site: Callable[..., Site]) -> None:
    with running(new_site(WEB_CONCURRENCY="1")) as site:
        (folder,) = folders(site)
        assert folder.stat().st_mode & 0o077 == 0
        assert site.web is not None
        site.signal(signal.SIGTERM)
        assert site.web.wait(20) == 0

        assert not folder.exists()


def test_counts_of_a_gunicorn_that_was_killed_are_removed_by_the_next(new_site: Callable[..., Site]) -> None:
    with running(new_site()) as site:
        (folder,) = folders(site)
        site.destroy()
        assert folder.exists()

        site.start()

        assert not folder.exists()
