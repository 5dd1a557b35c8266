"""When a mail that was not taken is tried again, and when it is given up (rules 3.3)."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetup.domain.outbox import GIVE_UP_AFTER, JITTER, RetryPlan, after_temporary_failure
from meetup.storage.events import Event
from meetup.storage.outbox import OutboxMessage

PROMISED_AT = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)
OPEN_ENDED = Event(ends_at=None)


def message(attempts: int) -> OutboxMessage:
    return OutboxMessage(attempts=attempts, created_at=PROMISED_AT)


def plan(chance: float = 0.5, first_wait_seconds: int = 60) -> RetryPlan:
    return RetryPlan(first_wait_seconds, chance)


def tries(event: Event, chance: float, first_wait_seconds: int = 60) -> list[datetime]:
    """Return the moments at which a mail is tried that is never taken."""
    moments = [PROMISED_AT]
    while True:
        message_now = message(attempts=len(moments))
        values = after_temporary_failure(message_now, event, "451", plan(chance, first_wait_seconds), moments[-1])
        if values["state"] == "failed":
            return moments
        moments.append(values["next_attempt_at"])


def test_waits_are_those_of_the_rule_until_two_days_are_over() -> None:
    moments = tries(OPEN_ENDED, chance=0.5)

    waits = [(later - earlier) / timedelta(minutes=1) for earlier, later in itertools.pairwise(moments)]
    assert waits == [1, 5, 15, 60, 180, 360, 720, 720, 720]


def test_given_up_mail_has_its_reason() -> None:
    late = PROMISED_AT + timedelta(hours=47)

    values = after_temporary_failure(message(9), OPEN_ENDED, "451 4.7.1 try later", plan(), late)

    assert values == {"state": "failed", "failure": "451 4.7.1 try later"}


@given(attempts=st.integers(1, 100), chance=st.floats(0, 1), first_wait_seconds=st.integers(1, 3600))
def test_every_wait_is_within_the_jitter(attempts: int, chance: float, first_wait_seconds: int) -> None:
    factor = (1, 5, 15, 60, 180, 360, 720)[min(attempts, 7) - 1]
    exact = timedelta(seconds=first_wait_seconds * factor)

    values = after_temporary_failure(
        message(attempts), OPEN_ENDED, "451", plan(chance, first_wait_seconds), PROMISED_AT
    )

    if exact * (1 + JITTER) <= GIVE_UP_AFTER:
        assert values["state"] == "due"
    if values["state"] == "due":
        wait = values["next_attempt_at"] - PROMISED_AT
        slack = timedelta(milliseconds=1)
        assert exact * (1 - JITTER) - slack <= wait <= exact * (1 + JITTER) + slack


@given(chance=st.floats(0, 1), first_wait_seconds=st.integers(20, 7200))
def test_no_try_is_later_than_two_days_and_it_ends(chance: float, first_wait_seconds: int) -> None:
    moments = tries(OPEN_ENDED, chance, first_wait_seconds)

    assert moments[-1] <= PROMISED_AT + GIVE_UP_AFTER
    assert all(earlier < later for earlier, later in itertools.pairwise(moments))


@pytest.mark.parametrize(
    ("ends_after", "last_after"),
    [
        (timedelta(hours=3), timedelta(hours=5)),
        (timedelta(days=30), timedelta(hours=48)),
        # Somebody who asks for a ticket after the end gets it with all its tries.
        (timedelta(hours=-1), timedelta(hours=48)),
    ],
)
def test_ticket_is_not_sent_long_after_the_event(ends_after: timedelta, last_after: timedelta) -> None:
    event = Event(ends_at=PROMISED_AT + ends_after)

    moments = tries(event, chance=0.5)

    assert PROMISED_AT + last_after - timedelta(hours=12) < moments[-1] <= PROMISED_AT + last_after
