"""The clock jumps ahead and back while the site runs: scans, leases and sessions survive."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.factories import PASSWORD, World
from tests.faults.conftest import MakeEvening
from tests.faults.crowd import Evening
from tests.faults.journal import FORM_HEADERS
from tests.faults.mail import Post, open_post, promised
from tests.faults.servers import wait_until
from tests.faults.site import Site, running

AHEAD_SECONDS = 2 * 3600
BEHIND_SECONDS = -3600
MAILS = 40


@pytest.fixture
def clock(tmp_path: Path) -> Path:
    """Return the file that says by how many seconds the site's clock is wrong."""
    file = tmp_path / "clock-is-wrong-by"
    set_clock(file, 0)
    return file


def set_clock(file: Path, seconds: int) -> None:
    unfinished = file.with_suffix(".new")
    unfinished.write_text(str(seconds))
    unfinished.replace(file)


def has_told(evening: Evening, enough: int) -> bool:
    return len(evening.journal.tickets) >= enough


def signed_in(site: Site, evening: Evening) -> dict[str, str]:
    """Sign an organiser in and return the headers of her browser."""
    email = World(evening.app).organiser()
    connection = HTTPConnection(site.address, timeout=20)
    connection.request("POST", "/organise/sign-in", urlencode({"email": email, "password": PASSWORD}), FORM_HEADERS)
    answer = connection.getresponse()
    assert answer.status == 303
    cookie = (answer.getheader("Set-Cookie") or "").split(";")[0]
    connection.close()
    return {"Cookie": cookie}


def test_jumps_change_no_answer_and_sign_nobody_out(
    new_site: Callable[..., Site], make_evening: MakeEvening, clock: Path
) -> None:
    with running(new_site(odd={"FAULT_CLOCK": str(clock)})) as site:
        evening = make_evening(site)
        cookie = signed_in(site, evening)
        organiser = evening.caller()
        home = []

        def jump() -> None:
            for seconds in (AHEAD_SECONDS, BEHIND_SECONDS, 0):
                set_clock(clock, seconds)
                enough = len(evening.journal.tickets) + 10
                wait_until(partial(has_told, evening, enough), "people go on registering")
                home.append(organiser.insist("GET", "/organise", headers=cookie).status)

        evening.live_through(jump)

        assert home == [200, 200, 200]
        # The control: without her cookie she is sent to sign in.
        assert organiser.insist("GET", "/organise").status == 303
        evening.check_tries(without=["503", "cut", "refused"])
        evening.check()
        for seconds in (AHEAD_SECONDS, BEHIND_SECONDS):
            set_clock(clock, seconds)
            evening.check()


def test_lease_that_a_jump_ended_makes_at_most_one_mail_twice(
    new_site: Callable[..., Site], make_evening: MakeEvening, clock: Path
) -> None:
    with open_post(Post(seconds_each=0.02)) as post:
        site = new_site(odd={"FAULT_CLOCK": str(clock)}, MAIL_URL=post.url, MAIL_LEASE_SECONDS="60")
        evening = make_evening(site)
        for _ in range(MAILS):
            World(evening.app).register(evening.slug, email=f"p{evening.app.name}{_}@example.org")

        for _ in range(2):
            site.start_worker()
        wait_until(lambda: len(post.heard) >= 5, "mails go out")
        set_clock(clock, AHEAD_SECONDS)
        wait_until(lambda: len(post.heard) >= MAILS // 2, "mails go on going out")
        set_clock(clock, 0)
        wait_until(lambda: post.all_sent(evening), "every mail is sent")

        assert set(post.tokens) == promised(evening)
        # One worker's mail in hand may go out again by the other, at the one jump that ended its lease.
        assert post.repeats <= 1
        assert max(Counter(post.tokens).values()) <= 2
        assert evening.journal.tries == {}
