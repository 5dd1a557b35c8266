"""Run every check and test of the tree, quick ones first; called by `make test` from the top folder.

Each stage runs whatever the others said, and prints its own closing line. Ends with 1 when any of them failed; a stage
that finds no test has failed. The browser tests find their browser's path in CHROMIUM.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

TESTS = Path("tests")
BROWSER_TESTS = TESTS / "browser"
FAULT_TESTS = TESTS / "faults"
RACES = TESTS / "races"
PYTEST = [sys.executable, "-m", "pytest"]
# Races and browsers want the whole machine; everything else is quicker on all cores at once.
FAST = [f"--ignore={folder}" for folder in (BROWSER_TESTS, FAULT_TESTS, RACES)]
PARALLEL = ["-n", "auto", "--dist", "loadfile"]


def list_stages() -> list[tuple[str, list[str]]]:
    """Name the stages and their commands, in order."""
    stages = [
        ("ruff", [sys.executable, "-m", "ruff", "check"]),
        ("mypy", [sys.executable, "-m", "mypy"]),
        ("tests", [*PYTEST, *PARALLEL, *FAST, str(TESTS)]),
        ("races", [*PYTEST, str(RACES)]),
        ("browser tests", [*PYTEST, str(BROWSER_TESTS)]),
    ]
    if FAULT_TESTS.is_dir():
        stages.append(("fault tests", [*PYTEST, str(FAULT_TESTS)]))
    return stages


def main() -> int:
    """Run the stages; return the exit code."""
    search = [sys.executable, "scripts/find_browser.py"]
    browser = subprocess.run(search, stdout=subprocess.PIPE, text=True, check=False)
    if browser.returncode == 0:
        os.environ["CHROMIUM"] = browser.stdout.strip()
    failed = [] if browser.returncode == 0 else ["looking for a browser"]
    for name, command in list_stages():
        print(f"\n== {name}", flush=True)
        started_at = time.monotonic()
        if subprocess.run(command, check=False).returncode != 0:
            failed.append(name)
        outcome = "FAILED" if name in failed else "done"
        print(f"== {name}: {outcome} in {time.monotonic() - started_at:.0f} s", flush=True)
    print(f"\nFailed: {', '.join(failed)}" if failed else "\nAll stages passed.", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
