"""`python -m bench`: run the scenarios, print what they found, and write it down after a whole run."""

import argparse
import logging
import os
import resource
import sys
import traceback
import warnings
from collections.abc import Callable

from bench import report
from bench.bench import Bench, Options, say
from bench.databases import FOLDER
from bench.scenarios import growth, latency, mail, search, spike, start, throughput, watchers

Scenario = Callable[[Bench], None]
THROUGHPUT = ("register", "scan", "event")
OTHERS: dict[str, Scenario] = {
    "latency": latency.run,
    "growth": growth.run,
    "search": search.run,
    "mail": mail.run,
    "spike": spike.run,
    "watchers": watchers.run,
    "start": start.run,
}


def main() -> int:
    """Run what was asked for; return 0 when all of it could be measured, whatever the figures are."""
    asked = _parse()
    _prepare()
    names = asked.only.split(",") if asked.only else [*THROUGHPUT, *OTHERS]
    whats = [name for name in THROUGHPUT if name in names]
    with Bench(Options(asked.seconds, asked.repetitions, tuple(asked.database.split(",")))) as bench:
        if whats:
            _try(bench, ",".join(whats), lambda run: throughput.run(run, whats))
        for name in names:
            # Whoever stops it gets what was measured until then.
            if name in OTHERS and not _try(bench, name, OTHERS[name]):
                break
        if asked.only:
            # A part of a run is nobody's figures but one's own.
            report.write_json(report.results_of(bench), FOLDER / "last.json")
        else:
            report.write(bench)
    return 1 if bench.failures else 0


def _try(bench: Bench, name: str, scenario: Scenario) -> bool:
    """Run a scenario; one that cannot be measured says why and stops no other. False: somebody wants an end."""
    try:
        scenario(bench)
    except KeyboardInterrupt:
        bench.failures[name] = "stopped"
        say(f"{name} was stopped")
        return False
    except Exception as error:
        bench.failures[name] = f"{type(error).__name__}: {error}"
        say(f"{name} could not be measured\n{traceback.format_exc()}")
    return True


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    known = ", ".join([*THROUGHPUT, *OTHERS])
    parser.add_argument("--only", default="", help=f"some scenarios, with commas between: {known}")
    parser.add_argument("--database", default="sqlite,postgresql", help="sqlite, postgresql, or both with a comma")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long one repetition lasts (default 3)")
    parser.add_argument("--repetitions", type=int, default=3, help="how often each is measured (default 3)")
    asked = parser.parse_args()
    unknown = set(asked.only.split(",")) - {"", *THROUGHPUT, *OTHERS}
    unknown |= set(asked.database.split(",")) - {"sqlite", "postgresql"}
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    return asked


def _prepare() -> None:
    """Allow many connections, and keep the libraries' chatter out of the table."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    logging.basicConfig(level=logging.WARNING)
    logging.disable(logging.INFO)
    warnings.simplefilter("ignore")
    # Its library looks for a folder of the session and warns where there is none.
    os.environ.setdefault("XDG_RUNTIME_DIR", os.environ.get("TMPDIR", "/tmp"))


if __name__ == "__main__":
    sys.exit(main())
