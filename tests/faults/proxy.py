"""A proxy between client and site that loses, delays or cuts what passes through it, in a thread of its own."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from enum import StrEnum

from tests.faults.servers import free_port

PIECE = 65_536


class Manner(StrEnum):
    """What becomes of a connection."""

    PASS = "pass"
    CUT_REPLY = "cut reply"  # the request is delivered and answered; the answer never arrives
    RESET_REPLY = "reset reply"  # the same, and the client's system says that the peer reset the connection
    HALF_REPLY = "half reply"  # the first 40 bytes of the answer arrive
    REFUSE = "refuse"  # nothing is delivered
    SWALLOW = "swallow"  # the request is delivered, and the client waits in vain


FIRST_BYTES = 40


class Proxy:
    """Passes connections on; `manners` says for each, in their order, what becomes of it."""

    def __init__(self, to_port: int) -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.manner: Callable[[int], Manner] = lambda number: Manner.PASS
        self.seen: list[Manner] = []
        self._to_port = to_port
        self._loop = asyncio.new_event_loop()
        self._is_open = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def next_are(self, *manners: Manner) -> None:
        """Treat the next connections like this, and pass all after them."""
        first = len(self.seen)
        self.manner = lambda number: manners[number - first] if number - first < len(manners) else Manner.PASS

    def open(self) -> None:
        """Begin to listen."""
        self._thread.start()
        assert self._is_open.wait(10)

    def close(self) -> None:
        """Close every connection and end the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", self.port))
        self._is_open.set()
        self._loop.run_forever()
        server.close()
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        manner = self.manner(len(self.seen))
        self.seen.append(manner)
        try:
            if manner is not Manner.REFUSE:
                await self._carry(manner, reader, writer)
        except OSError:
            pass
        finally:
            if manner is Manner.RESET_REPLY:
                writer.transport.abort()
            writer.close()

    async def _carry(self, manner: Manner, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
        sending = asyncio.create_task(_pump(reader, to_writer))
        try:
            if manner is Manner.PASS:
                await _pump(to_reader, writer)
                return
            # That the site answers shows that the request is done.
            answer = await to_reader.read(PIECE)
            if manner is Manner.HALF_REPLY:
                writer.write(answer[:FIRST_BYTES])
                await writer.drain()
            if manner is Manner.SWALLOW:
                await sending
        finally:
            sending.cancel()
            to_writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(PIECE):
        writer.write(piece)
        await writer.drain()


@contextlib.contextmanager
def open_proxy(to_port: int) -> Iterator[Proxy]:
    """Run a proxy to a port of this machine."""
    proxy = Proxy(to_port)
    proxy.open()
    try:
        yield proxy
    finally:
        proxy.close()
