"""Draws a story: seeded random acts of a few customers, in batches, with resends, shuffles, jumps of the clock.

Everything an act says is drawn here, from what was drawn before and never from what came of it; so a story stays a
story when parts of it are left out.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tests.simulator.acts import Act, Batch, Clock, Publish, Settle, Step, Story
from tests.simulator.days import first_instant, local_day
from tests.simulator.drawing import CUSTOMERS, Drawing
from tests.simulator.drawing_orders import ORDER_ACTS
from tests.simulator.drawing_points import POINT_ACTS
from tests.simulator.programs import Kit

START = datetime(2026, 1, 10, 9, 30, tzinfo=UTC)
WEIGHTS = {
    "open": 18, "update": 8, "accept": 6, "reject": 2, "refund": 3, "partial": 10, "early": 4, "shuffled": 3,
    "without_customer": 2, "foreign": 1, "visit": 7, "note": 2, "signup": 2, "profile": 1, "opt_in": 1,
    "add": 5, "spend": 5, "take_back": 2, "reserve": 4, "capture": 3, "release": 2, "claim": 4, "fulfil": 2,
    "cancel": 3, "tier": 0, "resend": 7, "changed_resend": 2, "stolen": 1, "wrong": 2,
}  # fmt: skip
CROSSING = {"without_customer", "foreign", "stolen"}  # what they mean depends on other customers: alone in their call
SCARCE = "mug"  # the reward with a stock, which customers share


def draw_story(kit: Kit, seed: int, events: int, *, crashes: bool = False) -> Story:
    """About so many events, the programs of `kit` one after the other."""
    return tuple(_Teller(kit, seed, crashes=crashes).steps(events))


class _Teller:
    def __init__(self, kit: Kit, seed: int, *, crashes: bool) -> None:
        self.kit, self.crashes = kit, crashes
        self.dice = random.Random(f"{kit.name} {seed}")
        self.drawing = Drawing(kit=kit, dice=self.dice, now=START)
        weights = {**WEIGHTS, **{name: weight for name, weight in kit.weights.items() if name in WEIGHTS}}
        self.names, self.odds = list(weights), list(weights.values())
        self.published = 0
        self.queue: list[Act] = []  # the rest of a shuffled order
        self.drawers: dict[str, Callable[[Drawing], list[Act]]] = {
            **ORDER_ACTS, **POINT_ACTS, "resend": self._resend, "changed_resend": self._changed_resend,
            "stolen": self._stolen,
        }  # fmt: skip

    def steps(self, events: int) -> Iterator[Step]:
        yield Clock(now=self.drawing.now)
        while events > 0:
            for batch in self._batches():
                events -= len(batch.acts)
                yield batch
            if self.dice.random() < 0.5:
                yield self._clock()
            if self.dice.random() < 0.15:
                yield Settle()
            if self.published + 1 < len(self.kit.documents) and self.dice.random() < 0.01:
                self.published += 1
                yield Publish(number=self.published)
        yield Settle()

    # Batches

    def _batches(self) -> Iterator[Batch]:
        """A call of several events, or one alone whose meaning depends on other customers."""
        size = self.dice.choice([1, 1, 2, 3, 5, 8, 13])
        acts: list[Act] = []
        while len(acts) < size:
            name, drawn = self._draw()
            if name in CROSSING or any(_is_scarce(act) for act in drawn):
                if acts:
                    yield self._batch(acts)
                    acts = []
                yield from (self._batch([act]) for act in drawn)
                size -= len(drawn)
            else:
                acts += drawn
        if acts:
            yield self._batch(acts)

    def _batch(self, acts: list[Act]) -> Batch:
        is_crash = self.crashes and self.dice.random() < 0.1 and all(act.reference for act in acts)
        is_crash = is_crash and len({act.customer for act in acts}) == len(acts) and not any(map(_is_scarce, acts))
        self.drawing.sent += acts
        return Batch(acts=tuple(acts), is_crash=is_crash)

    def _draw(self) -> tuple[str, list[Act]]:
        if self.queue and self.dice.random() < 0.4:
            return "shuffled", [self.queue.pop(0)]
        (name,) = self.dice.choices(self.names, self.odds)
        drawn = self.drawers[name](self.drawing)
        if name == "shuffled":
            self.queue += drawn[1:]
            drawn = drawn[:1]
        return name, drawn

    # The same again

    def _pick_sent(self) -> Act | None:
        sent = self.drawing.sent[-60:]
        found = [act for act in sent if act.reference and act.wrong is None and act.customer]
        return self.dice.choice(found) if found else None

    def _resend(self, _: Drawing) -> list[Act]:
        act = self._pick_sent()
        return [] if act is None else [act]

    def _changed_resend(self, _: Drawing) -> list[Act]:
        act = self._pick_sent()
        if act is None or "amount" not in act.properties:
            return []
        return [replace(act, properties={**act.properties, "amount": f"{self.dice.randrange(1, 90)}.01"})]

    def _stolen(self, _: Drawing) -> list[Act]:
        act = self._pick_sent()
        others = [name for name in CUSTOMERS if act is not None and name != act.customer]
        return [] if act is None else [replace(act, customer=self.dice.choice(others))]

    # Time

    def _clock(self) -> Clock:
        drawing, dice = self.drawing, self.dice
        seconds = dice.choice([60, 3_600, 86_400, 86_400 * 7, 86_400 * self.kit.span_days])
        if dice.random() < 0.02:
            seconds = 86_400 * 400
        drawing.now += timedelta(milliseconds=dice.randrange(1, seconds * 1_000))
        if dice.random() < 0.15:
            zone = self.kit.program(0).zone
            drawing.now = first_instant(zone, local_day(zone, drawing.now) + timedelta(days=1))
            drawing.now -= timedelta(milliseconds=dice.choice([0, 0, 1]))
        return Clock(now=drawing.now)


def _is_scarce(act: Act) -> bool:
    return act.properties.get("reward") == SCARCE or (act.type == "reward_cancelled" and act.of is not None)
