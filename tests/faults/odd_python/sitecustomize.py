"""Python imports this at its start where a test puts the folder on PYTHONPATH: it makes one process of the site odd.

FAULT_CLOCK names a file with a number of seconds by which the clock of the site is wrong, read at every look at it.
FAULT_DIE_BEFORE_REPLY names a file: while it is there, the web worker that removes it dies when its answer to a POST is
ready and committed, and nothing of it has been sent.
"""

import os
import signal
import sys
from datetime import timedelta
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType


def _make_clock_odd(module: ModuleType) -> None:
    wrong_by = Path(os.environ["FAULT_CLOCK"])
    right_now = module.utc_now

    def utc_now():  # type: ignore[no-untyped-def]
        return right_now() + timedelta(seconds=float(wrong_by.read_text()))

    module.utc_now = utc_now  # type: ignore[attr-defined]


def _make_replies_odd(module: ModuleType) -> None:
    marker = os.environ["FAULT_DIE_BEFORE_REPLY"]
    start_response = module.Response.start_response

    def start_or_die(self, *arguments):  # type: ignore[no-untyped-def]
        if self.req.method == "POST" and _remove(marker):
            os.kill(os.getpid(), signal.SIGKILL)
        return start_response(self, *arguments)

    module.Response.start_response = start_or_die


def _remove(path: str) -> bool:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


class _OddModules(MetaPathFinder):
    """Changes a module as soon as it has been loaded, before anybody takes a name out of it."""

    def __init__(self) -> None:
        self._odd = {}
        if "FAULT_CLOCK" in os.environ:
            self._odd["meetup.clock"] = _make_clock_odd
        if "FAULT_DIE_BEFORE_REPLY" in os.environ:
            self._odd["gunicorn.http.wsgi"] = _make_replies_odd

    def find_spec(self, fullname, path=None, target=None) -> ModuleSpec | None:  # type: ignore[no-untyped-def]
        make_odd = self._odd.get(fullname)
        spec = PathFinder.find_spec(fullname, path) if make_odd else None
        if spec is None or spec.loader is None or make_odd is None:
            return None
        load = spec.loader.exec_module

        def load_odd(module: ModuleType) -> None:
            load(module)
            make_odd(module)

        spec.loader.exec_module = load_odd  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, _OddModules())
