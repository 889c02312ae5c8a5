"""Ids: unique, and of one bucket in the order in which they were made, also within a millisecond."""

from __future__ import annotations

import time
from itertools import count, pairwise
from types import SimpleNamespace

import pytest

from troth.core.ids import bears, bucket_in, mark_of, neighbour
from troth.store import row_ids
from troth.store.row_ids import new_id

_AROUND = (1 << 19) - 1  # ids that may be derived from one, before it and behind it


def test_later_ids_are_greater_with_room_for_those_derived_from_them() -> None:
    made = [new_id(7) for _ in range(20_000)]
    assert all(neighbour(one, _AROUND) < neighbour(other, -_AROUND) for one, other in pairwise(made))
    assert {bucket_in(each) for each in made} == {7}


@pytest.mark.parametrize("step", [0, -100_000])
def test_a_clock_that_stands_or_is_put_right_changes_nothing(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """40,000 ids do not fit into one millisecond: the next one is taken then."""
    times = count(time.time_ns(), step)  # nanoseconds
    monkeypatch.setattr(row_ids, "time", SimpleNamespace(time_ns=lambda: next(times)))
    made = [new_id(200) for _ in range(40_000)]
    assert made == sorted(set(made))
    assert made[-1].int >> 80 > made[0].int >> 80


def test_a_clock_that_goes_far_back_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time_ns()
    new_id(1)
    monkeypatch.setattr(row_ids, "time", SimpleNamespace(time_ns=lambda: now - 60 * 10**9))
    assert new_id(1).int >> 80 == now // 10**6 - 60_000


def test_ids_of_several_processes_do_not_meet() -> None:
    """Two that begin in one millisecond: of 64 random bits at the start and 32 of each step nothing is shared."""
    ours, theirs = row_ids._Ids(), row_ids._Ids()
    made = [ids.make(1) for _ in range(5_000) for ids in (ours, theirs)]
    assert len(set(made)) == len(made)


def test_marked_ids_keep_the_order_and_bear_their_marks() -> None:
    owner = new_id(3)
    marks = [mark_of(owner, number) for number in range(30_000)]
    made = [new_id(7, mark if number % 3 else None) for number, mark in enumerate(marks)]
    assert made == sorted(set(made))
    assert all(
        bears(event_id, mark) for number, (event_id, mark) in enumerate(zip(made, marks, strict=True)) if number % 3
    )
    assert not any(bears(event_id, mark) for event_id, mark in zip(made[1:], marks, strict=False))
