"""Getting a seat, changing it, giving it back (rules 2.1 to 2.9)."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from meetup.clock import utc_now
from meetup.domain import registration, registration_changes, waitlist
from meetup.domain.recount import find_differences
from meetup.domain.registration import Answer, Registered, SeatRequest
from meetup.errors import Closed, Conflict, Invalid
from meetup.storage.counters import get_seats
from meetup.storage.db import transaction
from meetup.storage.events import get_event
from meetup.storage.outbox import OutboxMessage
from meetup.storage.registrations import State, get_registration
from meetup.text_input import parse_email
from tests.factories import World


def register(email: str, guests: int = 0, form_key: str | None = None) -> Registered:
    wanted = SeatRequest("Ada Lovelace", parse_email(email), guests, "en", form_key)
    with transaction() as session:
        return registration.register(session, get_event(session, "evening"), wanted, utc_now())


def states(session: Session) -> dict[str, int]:
    session.rollback()
    seats = get_seats(session, get_event(session, "evening").id)
    return {state: getattr(seats, state) for state in ("confirmed", "waitlisted", "cancelled")}


def kinds(session: Session) -> list[str]:
    session.rollback()
    return list(session.scalars(select(OutboxMessage.kind).order_by(OutboxMessage.id)))


def test_register_seats_and_promises_one_mail(world: World, session: Session) -> None:
    world.event(capacity=10, guests=2)

    made = register("ada@example.org", guests=2)

    assert made.answer is Answer.CONFIRMED
    assert states(session) == {"confirmed": 3, "waitlisted": 0, "cancelled": 0}
    assert kinds(session) == ["registration_confirmed"]
    assert find_differences(session) == []


@pytest.mark.parametrize("spelling", ["ada@example.org", " ADA@Example.ORG ", "Ada@EXAMPLE.org"])
def test_register_again_in_another_spelling_takes_no_second_seat(world: World, session: Session, spelling: str) -> None:
    world.event(capacity=10)
    register("ada@example.org")

    again = register(spelling)

    assert again.answer is Answer.ALREADY_REGISTERED
    assert states(session) == {"confirmed": 1, "waitlisted": 0, "cancelled": 0}
    assert kinds(session) == ["registration_confirmed", "ticket_again"]


def test_register_idn_address_is_one_in_both_spellings(world: World, session: Session) -> None:
    world.event()
    register("ada@bücher.example")

    assert register("ada@xn--bcher-kva.example").answer is Answer.ALREADY_REGISTERED
    assert states(session)["confirmed"] == 1


def test_register_with_the_same_form_key_gives_the_first_registration(world: World, session: Session) -> None:
    world.event()
    first = register("ada@example.org", form_key="k-1")

    again = register("somebody.else@example.org", form_key="k-1")

    assert again.answer is Answer.REPEATED
    assert again.id == first.id
    assert states(session)["confirmed"] == 1


def test_register_party_that_does_not_fit_waits_whole(world: World, session: Session) -> None:
    world.event(capacity=3, guests=3)
    register("one@example.org", guests=1)

    party = register("two@example.org", guests=1)

    assert party.answer is Answer.WAITLISTED
    assert states(session) == {"confirmed": 2, "waitlisted": 2, "cancelled": 0}


def test_register_while_somebody_waits_joins_the_line_although_a_seat_is_free(world: World, session: Session) -> None:
    world.event(capacity=3, guests=3)
    register("one@example.org", guests=1)
    register("two@example.org", guests=1)

    alone = register("three@example.org")

    assert alone.answer is Answer.WAITLISTED
    with transaction() as inner:
        assert waitlist.get_position(inner, get_registration(inner, alone.id)) == 2


def test_register_full_without_waitlist_refuses_and_stores_nobody(world: World, session: Session) -> None:
    world.event(capacity=1, has_waitlist=False)
    register("one@example.org")

    with pytest.raises(Closed) as refused:
        register("two@example.org")

    assert refused.value.code == "full"
    assert states(session) == {"confirmed": 1, "waitlisted": 0, "cancelled": 0}
    assert kinds(session) == ["registration_confirmed"]


def test_register_more_guests_than_allowed_names_the_field(world: World, session: Session) -> None:
    world.event(guests=1)

    with pytest.raises(Invalid) as refused:
        register("one@example.org", guests=2)

    assert refused.value.errors == {"guests": ["too_many_guests"]}


@pytest.mark.parametrize(
    ("details", "code"),
    [
        ({"opens_at": timedelta(hours=1)}, "not_yet_open"),
        ({"closes_at": timedelta(hours=-1)}, "closed"),
        ({"starts_at": timedelta(hours=-3), "ends_at": timedelta(hours=-1)}, "ended"),
    ],
)
def test_register_outside_the_window_is_refused(
    world: World, session: Session, details: dict[str, timedelta], code: str
) -> None:
    moments: dict[str, Any] = {name: utc_now() + distance for name, distance in details.items()}
    world.event(**moments)

    with pytest.raises(Closed) as refused:
        register("one@example.org")

    assert refused.value.code == code


def test_cancel_seats_the_first_in_line_in_the_same_transaction(world: World, session: Session) -> None:
    world.event(capacity=1)
    first = register("one@example.org")
    second = register("two@example.org")
    third = register("three@example.org")

    with transaction() as inner:
        event = get_event(inner, "evening")
        registration_changes.cancel(inner, event, get_registration(inner, first.id), utc_now())
        seated = get_registration(inner, second.id).state

    assert seated == State.CONFIRMED
    assert get_registration(session, third.id).state == State.WAITLISTED
    assert states(session) == {"confirmed": 1, "waitlisted": 1, "cancelled": 1}
    assert kinds(session)[-2:] == ["registration_cancelled", "registration_promoted"]
    assert find_differences(session) == []


def test_cancel_twice_changes_nothing_more(world: World, session: Session) -> None:
    world.event()
    made = register("one@example.org")
    for _ in range(2):
        with transaction() as inner:
            event = get_event(inner, "evening")
            registration_changes.cancel(inner, event, get_registration(inner, made.id), utc_now())

    assert states(session) == {"confirmed": 0, "waitlisted": 0, "cancelled": 1}
    assert kinds(session) == ["registration_confirmed", "registration_cancelled"]


def test_cancel_after_being_inside_is_refused(world: World, session: Session) -> None:
    world.event()
    ticket = world.register()
    world.scan(world.device(), ticket.code)

    with pytest.raises(Conflict) as refused, transaction() as inner:
        found = world.registration(ticket.ticket_key)
        registration_changes.cancel(inner, get_event(inner, "evening"), found, utc_now())

    assert refused.value.code == "has_been_inside"
    assert states(session)["confirmed"] == 1


def test_waitlist_holds_the_line_for_a_party_by_default(world: World, session: Session) -> None:
    world.event(capacity=2, guests=3)
    leaving = register("one@example.org")
    register("stays@example.org")
    party = register("party@example.org", guests=1)
    alone = register("alone@example.org")

    with transaction() as inner:
        event = get_event(inner, "evening")
        registration_changes.cancel(inner, event, get_registration(inner, leaving.id), utc_now())

    assert get_registration(session, party.id).state == State.WAITLISTED
    assert get_registration(session, alone.id).state == State.WAITLISTED


def test_waitlist_passes_over_a_party_where_the_event_says_so(world: World, session: Session) -> None:
    world.event(capacity=2, guests=3)
    with transaction() as inner:
        get_event(inner, "evening").is_passing_over = True
        inner.flush()
    leaving = register("one@example.org")
    register("stays@example.org")
    party = register("party@example.org", guests=1)
    alone = register("alone@example.org")

    with transaction() as inner:
        event = get_event(inner, "evening")
        registration_changes.cancel(inner, event, get_registration(inner, leaving.id), utc_now())

    assert get_registration(session, party.id).state == State.WAITLISTED
    assert get_registration(session, alone.id).state == State.CONFIRMED


def test_waitlist_stands_still_after_registration_has_closed(world: World, session: Session) -> None:
    world.event(capacity=1)
    leaving = register("one@example.org")
    waiting = register("two@example.org")
    with transaction() as inner:
        get_event(inner, "evening").closes_at = utc_now() - timedelta(minutes=1)
        inner.flush()

    with transaction() as inner:
        event = get_event(inner, "evening")
        registration_changes.cancel(inner, event, get_registration(inner, leaving.id), utc_now())

    assert get_registration(session, waiting.id).state == State.WAITLISTED


def test_seat_waiting_seats_in_order_and_in_bounded_batches(world: World, session: Session) -> None:
    world.event(capacity=0)
    waiting = [register(f"p{number}@example.org").id for number in range(5)]
    with transaction() as inner:
        get_seats(inner, get_event(inner, "evening").id).capacity = 4
        inner.flush()

    seated = []
    for _ in range(3):
        with transaction() as inner:
            seated.append(waitlist.seat_waiting(inner, get_event(inner, "evening"), utc_now(), limit=2))

    assert seated == [2, 2, 0]
    found = [get_registration(session, id).state for id in waiting]
    assert found == ["confirmed"] * 4 + ["waitlisted"]
    assert find_differences(session) == []
