"""Run every check and test of the tree, quick ones first; called by `make test` from the top folder.

Each stage runs whatever the others said, and prints its own closing line. Ends with 1 when any of them failed; a stage
that finds no test has failed. What touches a database is tested twice: on SQLite, then on PostgreSQL with Redis, which
are started here. The browser tests find their browser's path in CHROMIUM.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from scripts.servers import NoServer, postgresql_server, redis_server

TESTS = Path("tests")
BROWSER_TESTS = TESTS / "browser"
FAULT_TESTS = TESTS / "faults"
RACES = TESTS / "races"
PYTEST = [sys.executable, "-m", "pytest"]
# Faults want the whole machine; everything else is quicker on all cores at once, a file on one of them.
PARALLEL = ["-n", "auto", "--dist", "loadfile"]
FAST = [*PYTEST, *PARALLEL, *[f"--ignore={folder}" for folder in (BROWSER_TESTS, FAULT_TESTS)], str(TESTS)]


@dataclass(frozen=True)
class Stage:
    """One part of the run: its name, its command, and what its environment has besides."""

    name: str
    command: list[str]
    environ: dict[str, str] = field(default_factory=dict)


def list_stages(servers: dict[str, str]) -> Iterator[Stage]:
    """Name the stages in order; `servers` are the settings by which the tests find PostgreSQL and Redis."""
    yield Stage("ruff", [sys.executable, "-m", "ruff", "check"])
    yield Stage("mypy", [sys.executable, "-m", "mypy"])
    yield Stage("tests on SQLite", FAST)
    if servers:
        yield Stage("tests on PostgreSQL and Redis", FAST, servers)
    # What measures a time runs when all is quiet.
    yield Stage("browser tests", [*PYTEST, *PARALLEL, "-m", "not alone", str(BROWSER_TESTS)])
    yield Stage("browser tests that measure", [*PYTEST, "-m", "alone", str(BROWSER_TESTS)])
    if FAULT_TESTS.is_dir():
        yield Stage("fault tests", [*PYTEST, str(FAULT_TESTS)])


def run(stage: Stage) -> bool:
    """Run a stage and tell whether all went well."""
    print(f"\n== {stage.name}", flush=True)
    started_at = time.monotonic()
    is_done = subprocess.run(stage.command, env=os.environ | stage.environ, check=False).returncode == 0
    took = time.monotonic() - started_at
    print(f"== {stage.name}: {'done' if is_done else 'FAILED'} in {took:.0f} s", flush=True)
    return is_done


def main() -> int:
    """Run the stages; return the exit code."""
    # Ended from outside, it still ends the servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    failed = []
    search = [sys.executable, "scripts/find_browser.py"]
    browser = subprocess.run(search, stdout=subprocess.PIPE, text=True, check=False)
    if browser.returncode == 0:
        os.environ["CHROMIUM"] = browser.stdout.strip()
    else:
        failed.append("looking for a browser")
    with ExitStack() as stack:
        servers = {}
        try:
            servers["TEST_POSTGRESQL_URL"] = stack.enter_context(postgresql_server())
            servers["TEST_REDIS_URL"] = stack.enter_context(redis_server())
        except NoServer as reason:
            servers.clear()
            print(f"\nNOTHING IS TESTED ON POSTGRESQL AND REDIS: {reason}", file=sys.stderr, flush=True)
            failed.append("starting PostgreSQL and Redis")
        failed += [stage.name for stage in list_stages(servers) if not run(stage)]
    print(f"\nFailed: {', '.join(failed)}" if failed else "\nAll stages passed.", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
