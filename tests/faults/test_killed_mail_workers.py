"""The worker dies at every system call of a send, and in the middle of a run: every mail goes out, hardly one twice."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import update

from meetup.clock import utc_now
from meetup.config import ROOT
from meetup.storage.db import changed_rows, transaction
from meetup.storage.outbox import MessageState, OutboxMessage
from tests.factories import World
from tests.faults.conftest import BACKENDS, MakeEvening
from tests.faults.crowd import Evening
from tests.faults.ledger import check_rows
from tests.faults.mail import Post, list_rows, open_post, promised
from tests.faults.servers import wait_until
from tests.faults.site import Site

# What leaves the process: words to the mail server or to PostgreSQL, pages and commits of SQLite.
CALLS = ("sendto", "pwrite64", "fdatasync", "fsync")
# More than two workers lease at once.
MAILS = 130
MOST_CALLS = 240
FEWEST_CRASHES = 15
# What a dead delivery held stays with it until the test ends the leases, or the next would do more than its own mail.
LONG_LEASE_SECONDS = "3600"


@pytest.fixture(params=BACKENDS)
def posted(
    request: pytest.FixtureRequest, new_site: Callable[..., Site], make_evening: MakeEvening
) -> Iterator[tuple[Evening, Post]]:
    """Yield an evening on either database, and the mail server that its mails go to."""
    with open_post(Post()) as post:
        yield make_evening(new_site(request.param, MAIL_URL=post.url), capacity=None), post


def promise(evening: Evening, count: int) -> None:
    world = World(evening.app)
    for _ in range(count):
        world.register(evening.slug, email=f"p{time.monotonic_ns()}@example.org")


def end_leases(evening: Evening) -> None:
    with evening.app.app_context(), transaction() as session:
        is_leased = OutboxMessage.state == MessageState.SENDING
        changed_rows(session, update(OutboxMessage).where(is_leased).values(lease_until=utc_now()))


class Deliveries:
    """Deliveries of the outbox, each by a child of one process, each traced from its start."""

    def __init__(self, evening: Evening) -> None:
        self._trace = evening.folder / "calls"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.forked_worker"],
            cwd=ROOT,
            env=os.environ | evening.site.environ | {"MAIL_LEASE_SECONDS": LONG_LEASE_SECONDS},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _say(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()

    def _hear(self) -> int:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the process that forks has ended"
        return int(line)

    def run(self, kill_at: tuple[str, int] | None = None) -> bool:
        """Deliver what is due, and be killed at the n-th call of a name; tell whether it came to that."""
        self._say("go")
        child = psutil.Process(self._hear())
        wait_until(lambda: child.status() == psutil.STATUS_STOPPED, "the child is ready")
        inject = ["-e", f"inject={kill_at[0]}:signal=SIGKILL:when={kill_at[1]}"] if kill_at else []
        names = "trace=" + ",".join(CALLS)
        command = ["strace", "-p", str(child.pid), "-o", str(self._trace), "-e", names, *inject]
        tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert tracer.stderr is not None
        try:
            attached = tracer.stderr.readline()
            if "attached" not in attached:
                pytest.skip(f"SKIPPED LOUDLY: strace may not trace here: {attached.strip()}")
            child.send_signal(signal.SIGCONT)
            status = self._hear()
        finally:
            if child.is_running():
                child.kill()
            tracer.wait(20)
            tracer.stderr.close()
        assert status == 0 or os.WTERMSIG(status) == signal.SIGKILL
        return status != 0

    def list_calls(self) -> list[str]:
        """Return which of the calls the last run made."""
        made = self._trace.read_text()
        return [name for name in CALLS if f"{name}(" in made]

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()


@pytest.fixture
def deliveries(posted: tuple[Evening, Post]) -> Iterator[Deliveries]:
    if shutil.which("strace") is None:
        pytest.skip("SKIPPED LOUDLY: to die at a given system call needs strace, which is not in PATH")
    deliveries = Deliveries(posted[0])
    yield deliveries
    deliveries.close()


def test_worker_that_dies_at_any_call_of_a_send_loses_no_mail(
    posted: tuple[Evening, Post], deliveries: Deliveries
) -> None:
    evening, post = posted
    promise(evening, 1)
    assert not deliveries.run()

    crashes = 0
    # On PostgreSQL every statement is such a call: each third of them has to do.
    step = 3 if "DATABASE_URL" in evening.site.environ else 1
    for name in deliveries.list_calls():
        for number in range(1, MOST_CALLS, step):
            promise(evening, 1)
            if not deliveries.run(kill_at=(name, number)):
                break
            crashes += 1
            # Each crash costs one mail too many at most, and that is the same mail again.
            assert post.repeats <= crashes, (name, number)
        else:
            pytest.fail(f"a delivery makes more than {MOST_CALLS} calls of {name}")

    assert crashes >= FEWEST_CRASHES
    end_leases(evening)
    assert not deliveries.run()
    assert post.all_sent(evening)
    assert set(post.tokens) == promised(evening)
    # The control: the deaths between the server's word and ours were among them.
    assert post.repeats >= 1
    assert check_rows(evening.app, evening.slug, evening.journal) == []


def test_worker_that_is_killed_in_mid_run_leaves_its_mails_to_the_other(posted: tuple[Evening, Post]) -> None:
    evening, post = posted
    post.before_answer = lambda: time.sleep(0.01)
    promise(evening, MAILS)
    workers = [evening.site.start_worker() for _ in range(2)]

    def have_both_begun() -> bool:
        return len({row.lease_token for row in list_rows(evening) if row.state == MessageState.SENDING}) == 2

    wait_until(have_both_begun, "both workers hold mails")
    workers[0].kill()
    wait_until(lambda: post.all_sent(evening), "the other sends what the dead one held")

    assert workers[1].poll() is None
    assert len(post.heard) >= MAILS
    assert set(post.tokens) == promised(evening)
    assert post.repeats <= 1
    assert check_rows(evening.app, evening.slug, evening.journal) == []


def test_mails_wait_for_a_server_that_is_not_there(new_site: Callable[..., Site], make_evening: MakeEvening) -> None:
    post = Post()
    evening = make_evening(new_site(MAIL_URL=post.url))
    promise(evening, 3)
    evening.site.start_worker()
    wait_until(lambda: all(row.failure for row in list_rows(evening)), "every mail was tried in vain")
    assert {row.state for row in list_rows(evening)} <= {MessageState.DUE, MessageState.SENDING}

    with post.open():
        wait_until(lambda: post.all_sent(evening), "every mail is sent")

    assert sorted(post.tokens) == sorted(promised(evening))
    assert [row.failure for row in list_rows(evening)] == [None] * 3


def test_folder_of_a_killed_worker_holds_whole_mails(new_site: Callable[..., Site], make_evening: MakeEvening) -> None:
    site = new_site()
    evening = make_evening(site, capacity=None)
    folder = site.folder / "mail"
    promise(evening, MAILS)
    worker = site.start_worker()
    wait_until(lambda: len(list_mails(folder)) >= MAILS // 4, "mails are written")
    worker.kill()
    site.start_worker()
    wait_until(lambda: all(row.state == MessageState.SENT for row in list_rows(evening)), "every mail is written")

    assert MAILS <= len(list_mails(folder)) <= MAILS + 1
    assert all(mail.read_bytes().endswith(b"--\r\n") for mail in list_mails(folder))


def list_mails(folder: Path) -> list[Path]:
    return list(folder.glob("*.eml"))
