"""Counting a party again from its passages: the pure replay() (rules 4.5, 4.8)."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetup.domain.replay import Counted, Passage, replay
from meetup.storage.scans import Direction, Reason

IN, OUT = Direction.IN, Direction.OUT
ALREADY_IN, NOT_INSIDE = Reason.ALREADY_IN, Reason.NOT_INSIDE

parties = st.integers(1, 4)
steps = st.tuples(st.sampled_from(Direction), st.none() | st.integers(1, 5))


@st.composite
def passages(draw: st.DrawFn) -> list[Passage]:
    """Draw passages in the order in which they happened, with ids in any order."""
    drawn = draw(st.lists(steps, max_size=12))
    ids = draw(st.permutations(range(1, len(drawn) + 1)))
    return [Passage(id, direction, claimed) for id, (direction, claimed) in zip(ids, drawn, strict=True)]


def people_inside(happened: list[Passage], counted: dict[int, Counted]) -> list[int]:
    """Return how many are inside after each passage, added up from what each of them counts."""
    moved = (counted[each.id].people * (1 if each.direction is IN else -1) for each in happened)
    return list(itertools.accumulate(moved))


@given(passages(), parties, st.booleans())
def test_never_more_than_the_party_nor_fewer_than_nobody(
    happened: list[Passage], party: int, has_re_entry: bool
) -> None:
    counted = replay(happened, party, has_re_entry=has_re_entry)

    assert set(counted) == {each.id for each in happened}
    assert all(0 <= inside <= party for inside in people_inside(happened, counted))
    assert all(each.people >= 0 and each.arrivals >= 0 for each in counted.values())
    assert sum(each.arrivals for each in counted.values()) <= party


@given(passages(), parties, st.booleans())
def test_each_passage_says_who_is_inside_after_it(happened: list[Passage], party: int, has_re_entry: bool) -> None:
    counted = replay(happened, party, has_re_entry=has_re_entry)

    assert [counted[each.id].party_inside for each in happened] == people_inside(happened, counted)


@given(passages(), parties)
def test_arrived_is_the_most_that_were_ever_inside(happened: list[Passage], party: int) -> None:
    """A party of which two came, left and came back has two arrivals."""
    counted = replay(happened, party)

    assert sum(each.arrivals for each in counted.values()) == max([0, *people_inside(happened, counted)])


@given(passages(), parties)
def test_without_re_entry_nobody_comes_twice(happened: list[Passage], party: int) -> None:
    counted = replay(happened, party, has_re_entry=False)

    entered = sum(counted[each.id].people for each in happened if each.direction is IN)
    assert entered <= party
    assert sum(each.arrivals for each in counted.values()) == entered


@given(passages(), parties, st.booleans())
def test_a_conflict_stands_exactly_where_nobody_moved(happened: list[Passage], party: int, has_re_entry: bool) -> None:
    counted = replay(happened, party, has_re_entry=has_re_entry)

    for each in happened:
        expected = None if counted[each.id].people else ALREADY_IN if each.direction is IN else NOT_INSIDE
        assert counted[each.id].conflict == expected


@given(passages(), parties, st.booleans())
def test_a_refused_entry_names_an_entry_that_counted_before_it(
    happened: list[Passage], party: int, has_re_entry: bool
) -> None:
    counted = replay(happened, party, has_re_entry=has_re_entry)

    entered: list[int] = []
    for each in happened:
        other = counted[each.id].other_id
        assert (other in entered) if counted[each.id].conflict is ALREADY_IN else other is None
        if each.direction is IN and counted[each.id].people:
            entered.append(each.id)


@given(passages(), parties, st.booleans())
def test_ids_decide_nothing(happened: list[Passage], party: int, has_re_entry: bool) -> None:
    renamed = {each.id: 1_000 - each.id for each in happened}

    counted = replay(happened, party, has_re_entry=has_re_entry)
    again = replay(
        [Passage(renamed[each.id], each.direction, each.claimed) for each in happened],
        party,
        has_re_entry=has_re_entry,
    )

    for id, one in counted.items():
        other = None if one.other_id is None else renamed[one.other_id]
        assert again[renamed[id]] == Counted(one.people, one.arrivals, one.party_inside, one.conflict, other)


@given(passages(), parties, st.booleans())
def test_what_counted_nobody_may_as_well_not_have_been(happened: list[Passage], party: int, has_re_entry: bool) -> None:
    counted = replay(happened, party, has_re_entry=has_re_entry)

    movers = [each for each in happened if counted[each.id].people]

    assert replay(movers, party, has_re_entry=has_re_entry) == {each.id: counted[each.id] for each in movers}


@pytest.mark.parametrize(
    ("steps", "party", "people", "conflicts"),
    [
        ([], 1, [], []),
        ([(IN, None)], 3, [3], [None]),
        ([(IN, 2), (IN, None), (IN, 1)], 3, [2, 1, 0], [None, None, ALREADY_IN]),
        ([(IN, 2), (IN, 2)], 3, [2, 1], [None, None]),
        ([(OUT, None), (IN, 1)], 1, [0, 1], [NOT_INSIDE, None]),
        ([(IN, None), (IN, None), (OUT, 1), (IN, None)], 1, [1, 0, 1, 1], [None, ALREADY_IN, None, None]),
        ([(IN, 2), (OUT, 5), (OUT, 1)], 2, [2, 2, 0], [None, None, NOT_INSIDE]),
    ],
)
def test_examples(
    steps: list[tuple[Direction, int | None]], party: int, people: list[int], conflicts: list[Reason | None]
) -> None:
    happened = [Passage(id, direction, claimed) for id, (direction, claimed) in enumerate(steps)]

    counted = replay(happened, party)

    assert [each.people for each in counted.values()] == people
    assert [each.conflict for each in counted.values()] == conflicts


def test_whoever_comes_back_names_the_present_stay() -> None:
    steps = [IN, OUT, IN, IN]

    counted = replay([Passage(id, direction, None) for id, direction in enumerate(steps)], 1)

    assert counted[3] == Counted(0, 0, 1, ALREADY_IN, other_id=2)
    assert sum(each.arrivals for each in counted.values()) == 1


def test_without_re_entry_whoever_left_stays_outside_and_those_who_never_came_may() -> None:
    steps = [(IN, 2), (OUT, 1), (IN, None), (IN, None)]

    counted = replay(
        [Passage(id, direction, claimed) for id, (direction, claimed) in enumerate(steps)], 3, has_re_entry=False
    )

    assert [each.people for each in counted.values()] == [2, 1, 1, 0]
    assert counted[3].conflict is ALREADY_IN
