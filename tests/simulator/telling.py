"""Puts a simulated story into the words of `tests/scenarios`, so that it can be pasted there as a test."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from tests.simulator.acts import Act, Answer, Batch, Clock, Publish, Settle, Story
from tests.simulator.days import show
from tests.simulator.model import Model
from tests.simulator.programs import Kit
from tests.simulator.workload import START

COMMANDS = {
    "points_reserved": "reserve",
    "reservation_captured": "capture",
    "reservation_released": "release",
    "reward_claimed": "claim",
    "reward_fulfilled": "fulfil",
    "reward_cancelled": "cancel",
    "tier_set": "set-tier",
}
_LINE_PARTS = (("line", ""), ("category", "/"), ("quantity", ":"), ("price", "x"), ("subtotal", "="), ("amount", "@"))


def tell(kit: Kit, story: Story, title: str) -> str:
    """The story with what the model expects of every event."""
    lines = [f"story: {title}", "program:", *_program(kit.documents[0])]
    published = [step.number for step in story if isinstance(step, Publish)]
    for number in published:
        lines += ["next program:", *_program(kit.documents[number])]
    return "\n".join([*lines, "steps:", *(f"  {line}" for line in _steps(kit, story))])


def _program(document: Mapping[str, object]) -> list[str]:
    return [f"  {name}: {json.dumps(section)}" for name, section in document.items()]


def _steps(kit: Kit, story: Story) -> Iterator[str]:
    model = Model(program=kit.program(0), now=START)
    for step in story:
        match step:
            case Clock(now=now):
                model.now = now
                yield f"at {show(now)}"
            case Publish(number=number):
                model.program = kit.program(number)
                yield "publish next program"
            case Settle():
                model.settle()
                yield "settle"
            case Batch(acts=acts):
                if len(acts) > 1:
                    yield f"# {len(acts)} events of one call{', during which the engine ends' * step.is_crash}"
                for act in acts:
                    yield f"{_act(act)}   => {', '.join(_facts(model.judge(act)))}"


def _act(act: Act) -> str:
    words = [act.customer or "-", COMMANDS.get(act.type, act.type)]
    words += [f"{name}={_value(value)}" for name, value in act.properties.items()]
    words += [f"of={act.of}"] * (act.of is not None) + [f"ref={act.reference}"] * (act.reference is not None)
    return " ".join(words + [f"at={show(act.occurred_at)}" for _ in range(act.occurred_at is not None)])


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ",".join(item if isinstance(item, str) else _line(item) for item in value) + "]"
    return str(value)


def _line(item: Mapping[str, object]) -> str:
    return "".join(f"{mark}{item[name]}" for name, mark in _LINE_PARTS if name in item)


def _facts(answer: Answer) -> Iterator[str]:
    yield answer.code
    if answer.wallets is None:
        return
    yield f"{answer.points} points"
    for wallet, numbers in answer.wallets.items():
        yield f"{wallet} balance {numbers['balance']}"
        yield from (f"{wallet} {name} {numbers[name]}" for name in ("pending", "reserved") if numbers[name])
    yield from [f"tier {answer.tier}"] * (answer.tier is not None)
    yield f"seq {answer.seq}"
