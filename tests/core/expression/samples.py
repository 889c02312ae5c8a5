"""Random events for the oracle: every bound, tie and absence turns up."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any

from tests.core.expression.oracle import WORDS, Row
from tests.core.expression.schema import INPUTS, PROPERTIES
from troth.core.program import Property

FIRST = datetime.fromisoformat("2026-01-01T00:00")


@dataclass(frozen=True)
class Sample:
    """One event: as the oracle reads it, and as the engine keeps it."""

    row: Row
    values: tuple[object, ...]
    inputs: Mapping[str, object]


def sample(random_: random.Random) -> Sample:
    stored = {each.name: _stored(random_, each) for each in PROPERTIES}
    inputs = dict(INPUTS)
    inputs["event.time"] = FIRST + timedelta(minutes=random_.randrange(600_000))
    inputs["customer.tags"] = random_.choice((("vip",), (), ("news", "vip")))
    for name in ("customer.orders", "customer.balance", 'customer.count("signup")'):
        inputs[name] = random_.choice((0, 1, 7, 1_000_000))
    row = {each.name: _read(each, stored[each.name]) for each in PROPERTIES}
    numbers = {name: Fraction(value) if isinstance(value, int) else value for name, value in inputs.items()}
    row["properties.shipped"] = row["shipped"]
    return Sample({**row, **numbers}, tuple(stored.values()), inputs)


def _stored(random_: random.Random, declared: Property) -> Any:
    never_missing = declared.required or declared.default is not None
    if declared.pii or (not never_missing and random_.random() < 0.35):
        return None
    match declared.kind:
        case "number":
            low, high = (int(bound * 10**declared.places) for bound in (declared.minimum, declared.maximum))
            near = random_.choice((0, 1, -1, 5, 50, 100, 333, 15_000, -2_500, low, high, random_.randint(low, high)))
            return min(max(near, low), high)
        case "text":
            return random_.choice(declared.enum or WORDS)
        case "boolean":
            return random_.random() < 0.5
        case "date":
            return date(2026, 1, 1) + timedelta(days=random_.randrange(400))
        case "datetime":
            return FIRST + timedelta(minutes=random_.randrange(600_000))
        case "object":
            return tuple(_stored(random_, each) for each in declared.of)
    size = random_.choice((0, 1, 2, 4))
    if declared.item:
        return tuple(_stored(random_, declared.item) or 0 for _ in range(size)) if declared.name == "scores" else ()
    return tuple(tuple(_stored(random_, each) for each in declared.of) for _ in range(size))


def _read(declared: Property, stored: Any) -> Any:
    if stored is None:
        return None
    if declared.kind == "number":
        return Fraction(stored, 10**declared.places)
    if declared.kind == "object":
        return {each.name: _read(each, value) for each, value in zip(declared.of, stored, strict=True)}
    if declared.kind == "list" and declared.item:
        return [_read(declared.item, value) for value in stored]
    if declared.kind == "list":
        return [{e.name: _read(e, v) for e, v in zip(declared.of, item, strict=True)} for item in stored]
    return stored
