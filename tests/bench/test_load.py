"""The load generator counts right answers and notices wrong ones, whatever way they are wrong."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count, repeat

import pytest

from bench import wire
from bench.load import Loop, load
from bench.open_loop import Flow, FlowTally, let_come
from bench.tally import WrongAnswers
from bench.wire import HOST

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BROKEN = b"HTTP/1.1 500 INTERNAL SERVER ERROR\r\nContent-Length: 0\r\n\r\n"
BUSY = b"HTTP/1.1 503 SERVICE UNAVAILABLE\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
ENOUGH = 40

Answer = Callable[[int], bytes]


@contextmanager
def server(answer: Answer) -> Iterator[int]:
    """Serve at a port: the n-th request of all gets `answer(n)`; nothing at all closes its connection."""
    numbers = count()
    clients: list[socket.socket] = []
    with socket.create_server((HOST, 0), backlog=100) as listening:

        def serve(client: socket.socket) -> None:
            # Whoever is served may go, and the test may end, at any moment.
            with client, suppress(OSError):
                while client.recv(65536):
                    words = answer(next(numbers))
                    if not words:
                        break
                    # In two pieces, as a slow network would bring it.
                    client.sendall(words[:20])
                    client.sendall(words[20:])

        def accept() -> None:
            while True:
                try:
                    client, _ = listening.accept()
                except OSError:
                    return
                clients.append(client)
                threading.Thread(target=serve, args=(client,), daemon=True).start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        accepting.join()
    for client in clients:
        client.close()


def some(request: bytes = wire.get("/")) -> Iterator[bytes]:
    return iter([request] * ENOUGH)


def crowd(port: int, connections: int = 0, people: int = ENOUGH) -> FlowTally:
    return let_come(port, [Flow([wire.get("/")] * people, [0.0] * people, wire.is_ok, connections)])[0]


def test_every_right_answer_is_counted_once() -> None:
    with server(lambda number: OK) as port:
        tally = load(Loop(port, 30, connections=4), some(), wire.is_ok)

    # A run ends when the requests do; what is under way then belongs to no time span.
    assert ENOUGH - 4 <= tally.right <= ENOUGH
    assert tally.wrong == {}


def test_wrong_status_is_noticed() -> None:
    with server(lambda number: BROKEN if number == 7 else OK) as port:
        tally = load(Loop(port, 30, connections=4), some(), wire.is_ok)

    assert tally.wrong == {"500": 1}
    with pytest.raises(WrongAnswers, match="500"):
        tally.refuse_wrong("a test")


def test_cut_connection_is_noticed_and_replaced() -> None:
    with server(lambda number: b"" if number == 7 else OK) as port:
        tally = load(Loop(port, 30, connections=2), some(), wire.is_ok)

    assert tally.wrong == {"cut off": 1}
    assert tally.right >= ENOUGH - 3


def test_who_is_told_to_come_back_is_no_right_answer() -> None:
    with server(lambda number: BUSY if number < 5 else OK) as port:
        tally = load(Loop(port, 30, connections=2), some(), wire.is_ok)

    assert (tally.busy, tally.wrong) == (5, {})
    assert tally.right <= ENOUGH - 5
    with pytest.raises(WrongAnswers, match="5 busy"):
        tally.refuse_wrong("a test")


def test_no_answer_at_all_is_no_figure() -> None:
    with server(lambda number: OK) as port:
        tally = load(Loop(port, 30), iter([]), wire.is_ok)

    with pytest.raises(WrongAnswers):
        tally.refuse_wrong("a test")


@pytest.mark.parametrize("connections", [0, 3])
def test_crowd_is_answered(connections: int) -> None:
    with server(lambda number: OK) as port:
        tally = crowd(port, connections)

    assert (tally.right, dict(tally.wrong), len(tally.away), tally.hung, tally.unsettled) == (ENOUGH, {}, 0, 0, 0)


def test_who_is_told_to_come_back_does_and_is_counted_for_the_whole_time() -> None:
    with server(lambda number: BUSY if number < 5 else OK) as port:
        tally = crowd(port)

    assert (tally.right, len(tally.away), len(tally.settled)) == (ENOUGH, 5, ENOUGH)
    assert sum(seconds >= 1.0 for seconds in tally.settled) == 5


def test_refusal_without_retry_after_is_wrong() -> None:
    without = BUSY.replace(b"Retry-After: 1\r\n", b"")
    with server(lambda number: without if number == 0 else OK) as port:
        tally = crowd(port)

    assert (tally.right, dict(tally.wrong)) == (ENOUGH - 1, {"503": 1})


def test_who_is_never_answered_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.open_loop.HUNG_AFTER_SECONDS", 0.3)
    with socket.create_server((HOST, 0)) as deaf:
        tally = crowd(deaf.getsockname()[1], people=3)

    assert (tally.right, tally.hung, dict(tally.wrong)) == (0, 3, {})


def test_refused_connection_is_noticed() -> None:
    with socket.create_server((HOST, 0)) as gone:
        port = gone.getsockname()[1]

    assert sum(crowd(port, people=3).wrong.values()) == 3


def test_more_wait_than_there_are_connections_for() -> None:
    slow = threading.Event()

    def answer(number: int) -> bytes:
        slow.wait(0.02)
        return OK

    with server(answer) as port:
        tally = crowd(port, connections=2)

    # The last one waits for nineteen before them on their connection, and the wait is counted.
    assert max(tally.latencies) > 0.02 * (ENOUGH / 2 - 1)


def test_endless_requests_end_with_the_time() -> None:
    with server(lambda number: OK) as port:
        tally = load(Loop(port, 0.2), repeat(wire.get("/")), wire.is_ok)

    assert tally.right > 0
    assert 0.2 <= tally.elapsed_seconds < 20
