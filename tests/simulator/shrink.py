"""Makes a failing story short: leaves out steps and events as long as something still differs."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from tests.simulator.acts import Act, Batch, Clock, Step, Story
from tests.simulator.driver import Difference

Fails = Callable[[Story], Awaitable[Difference | None]]


async def shrink(story: Story, difference: Difference, fails: Fails, seconds: float) -> tuple[Story, Difference]:
    """The shortest story found within so many seconds, and what differs in it."""
    ends = time.monotonic() + seconds
    story = story[: difference.step + 1]
    for view in (_by_customer, _single):
        for candidate in view(story):
            found = await fails(candidate)
            if found is not None:
                story, difference = candidate[: found.step + 1], found
                break
    is_shorter = True
    while is_shorter and time.monotonic() < ends:
        before = len(story)
        story, difference = await _leave_out(story, difference, fails, ends)
        is_shorter = len(story) < before
    return story, difference


def _by_customer(story: Story) -> list[Story]:
    """What one customer does; events that name none stay."""
    names = sorted({act.customer for act in _acts(story) if act.customer is not None})
    return [_only(story, {name, None}) for name in names]


def _single(story: Story) -> list[Story]:
    """Every event in a call of its own."""
    found: list[Step] = []
    for step in story:
        found += [replace(step, acts=(act,)) for act in step.acts] if isinstance(step, Batch) else [step]
    return [tuple(found)]


def _only(story: Story, names: set[str | None]) -> Story:
    kept: list[Step] = []
    for step in story:
        if isinstance(step, Batch):
            acts = tuple(act for act in step.acts if act.customer in names)
            kept += [replace(step, acts=acts)] if acts else []
        else:
            kept.append(step)
    return tuple(kept)


def _acts(story: Story) -> Sequence[Act]:
    return [act for step in story if isinstance(step, Batch) for act in step.acts]


async def _leave_out(story: Story, difference: Difference, fails: Fails, ends: float) -> tuple[Story, Difference]:
    """Chunks of steps, ever smaller ones, from the end."""
    size = max(1, len(story) // 2)
    while size and time.monotonic() < ends:
        place = len(story) - size
        while place > 1 - size and time.monotonic() < ends:
            candidate = (*story[: max(1, place)], *story[max(1, place + size) :])  # the first clock stays
            found = await fails(_plain(candidate))
            if found is not None:
                story, difference = _plain(candidate)[: found.step + 1], found
            place -= size
        size //= 2
    return story, difference


def _plain(story: Story) -> Story:
    """Of clocks in a row the last one counts."""
    pairs = zip(story, [*story[1:], None], strict=True)
    return tuple(step for step, following in pairs if not (isinstance(step, Clock) and isinstance(following, Clock)))
