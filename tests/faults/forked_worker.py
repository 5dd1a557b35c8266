"""A process that delivers the outbox as often as it is told to, each time in a child that can be killed at any call.

The children inherit everything that takes long to load. For each line on standard input one is forked; it stops itself
until it is continued, so that somebody can begin to trace it. Its number and then its wait status are printed.
"""

import ctypes
import os
import signal
import sys

from meetup import create_app
from meetup.site import current_site
from meetup.worker import Worker

PR_SET_PTRACER, ANYBODY = 0x59616D61, ctypes.c_ulong(-1)


def main() -> None:
    """Fork one child for each line."""
    app = create_app()
    for _line in sys.stdin:
        child = os.fork()
        if child == 0:
            # Where the system lets only parents trace their children, this child lets everybody.
            ctypes.CDLL(None).prctl(PR_SET_PTRACER, ANYBODY, 0, 0, 0)
            os.kill(os.getpid(), signal.SIGSTOP)
            with app.app_context():
                Worker(app, current_site().config).run(once=True)
            os._exit(0)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        _child, status = os.waitpid(child, 0)
        sys.stdout.write(f"{status}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
