"""The disk is full: writes are answered 503, reads go on, and all is well as soon as there is room again."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.faults.conftest import MakeEvening
from tests.faults.crowd import Evening
from tests.faults.servers import Postgres, wait_until
from tests.faults.site import Site, running

DISK_BYTES = 48 * 1024 * 1024
PIECE = b"\0" * 65_536
REFUSALS = 3


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """Yield a folder that is a small file system of its own; only root can make one."""
    if os.geteuid() != 0:
        pytest.skip("SKIPPED LOUDLY: a full disk needs a file system of its own, which only root can mount")
    # PostgreSQL, which is not root, must be able to go there.
    folder = Path(tempfile.mkdtemp(prefix="turnout-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        folder.rmdir()
        pytest.skip(f"SKIPPED LOUDLY: no file system can be mounted here: {mounted.stderr.strip()}")
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


def fill(disk: Path) -> Path:
    """Write until nothing more fits; return what takes the room."""
    ballast = disk / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            if file.write(PIECE) < len(PIECE):
                # Then the last bytes of the last page.
                file.write(b"\0")
    return ballast


def watch_refusals(evening: Evening) -> None:
    """Wait until writes are refused, and look whether reads are served all the same."""
    wait_until(lambda: evening.journal.tries["503"] >= REFUSALS, "writes are refused")
    assert evening.site.status_of(f"/e/{evening.slug}") == 200
    assert evening.site.status_of("/healthz") == 200


def fill_and_make_room(evening: Evening, disk: Path) -> Callable[[], None]:
    """Return a fault: the disk is full until writes have been refused."""

    def fault() -> None:
        ballast = fill(disk)
        try:
            watch_refusals(evening)
        finally:
            ballast.unlink()

    return fault


def test_full_disk_under_sqlite_loses_nothing(
    small_disk: Path, new_site: Callable[..., Site], make_evening: MakeEvening
) -> None:
    # The settings' folder lies there as well: the limits' counters and the log find no room either.
    with running(new_site(folder=small_disk / "instance")) as site:
        evening = make_evening(site)

        evening.live_through(fill_and_make_room(evening, small_disk))

        evening.check_tries(without=["cut", "refused"])
        evening.check()


def test_file_that_may_not_grow_under_sqlite_loses_nothing(
    new_site: Callable[..., Site], make_evening: MakeEvening
) -> None:
    """The same without root: the system lets the web workers' files grow no further for a while."""
    with running(new_site()) as site:
        evening = make_evening(site)

        def forbid_growth() -> None:
            largest = max(file.stat().st_size for file in site.folder.glob("turnout.sqlite*"))
            workers = site.web_workers()
            limits = [worker.rlimit(psutil.RLIMIT_FSIZE) for worker in workers]
            for worker, (_soft, hard) in zip(workers, limits, strict=True):
                worker.rlimit(psutil.RLIMIT_FSIZE, (largest, hard))
            try:
                watch_refusals(evening)
            finally:
                for worker, limit in zip(workers, limits, strict=True):
                    worker.rlimit(psutil.RLIMIT_FSIZE, limit)

        evening.live_through(forbid_growth)

        evening.check_tries(without=["cut", "refused"])
        evening.check()


def test_full_disk_under_postgresql_loses_nothing(
    small_disk: Path, postgres: Postgres, new_site: Callable[..., Site], make_evening: MakeEvening
) -> None:
    files = small_disk / "files"
    files.mkdir()
    postgres.give(files)
    postgres.execute(f"CREATE TABLESPACE small LOCATION '{files}'")
    url = postgres.make_database("small")
    try:
        with running(new_site("postgresql", DATABASE_URL=url)) as site:
            evening = make_evening(site)

            evening.live_through(fill_and_make_room(evening, small_disk))

            evening.check_tries(without=["cut", "refused"])
            evening.check()
    finally:
        postgres.drop_database(url)
        postgres.execute("DROP TABLESPACE small")
