"""A mail server that takes everything and keeps nothing but the count and the time; a process of its own.

Prints one JSON object for each mail server's life when it is ended: how many mails, the seconds between the first and
the last, and the CPU seconds it took itself.
"""

import asyncio
import json
import signal
import sys
import time
from typing import Any

from aiosmtpd.smtp import SMTP

from bench.wire import HOST

LARGEST_MAIL_BYTES = 1024 * 1024


class Counter:
    """The handler: takes every mail."""

    def __init__(self) -> None:
        self.count = 0
        self.bytes = 0
        self.first_at = self.last_at = 0.0

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Take a mail."""
        self.last_at = time.monotonic()
        self.first_at = self.first_at or self.last_at
        self.count += 1
        self.bytes += len(envelope.content)
        return "250 2.0.0 taken"


async def serve(port: int) -> None:
    """Take mails at a port until SIGINT, then print the count."""
    handler, stop = Counter(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, stop.set)
    server = await loop.create_server(
        lambda: SMTP(handler, hostname="sink", data_size_limit=LARGEST_MAIL_BYTES), HOST, port
    )
    await stop.wait()
    server.close()
    seconds = handler.last_at - handler.first_at
    counted = {"mails": handler.count, "seconds": seconds, "bytes": handler.bytes, "cpu": time.process_time()}
    sys.stdout.write(json.dumps(counted) + "\n")


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
