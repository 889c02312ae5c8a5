"""What an order deserves: a pure function of its facts, its revision and the inputs of its opening event.

In: an order, what it comes to after refunds, the book of its revision. Out: a verdict per rule of its opening type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import msgspec

from troth.core.calendar import local_day
from troth.core.coercion import Reading, read_fields
from troth.core.event import Event
from troth.core.exact_json import read_exact
from troth.core.inputs import Inputs, from_json, to_json
from troth.core.order_content import Net, lowered_fields, net
from troth.core.order_facts import read_fact
from troth.core.order_state import Fact, Held, Known, Order
from troth.core.program import EventType
from troth.core.rules import OrderView, RuleBook, Verdict, judge
from troth.core.state import Lot

NO_VERDICTS: Sequence[Verdict] = ()


def inputs_of(order: Order) -> Inputs:
    """The inputs of the opening event, with the room that the limits leave the order now."""
    found = from_json({"values": order.values, "multiplier": order.multiplier})
    return msgspec.structs.replace(found, rooms=order.rooms)


def deserved(order: Order, standing: Net, book: RuleBook, inputs: Inputs) -> Sequence[Verdict]:
    rules = book.by_type.get(order.type)
    if rules is None or not order.may_earn:
        return NO_VERDICTS
    return judge(rules, view_of(order, standing, book), inputs, book.program.settings.rounding)


def view_of(order: Order, standing: Net, book: RuleBook) -> OrderView:
    """What the rules see of the order."""
    opening = book.program.event_types[order.type]
    return OrderView(
        occurred_at=order.opened_at,
        values=values_of(opening, standing.properties, book),
        whole=values_of(opening, standing.properties_whole, book),
        factor=standing.factor,
    )


def values_of(opening: EventType, properties: Mapping[str, object], book: RuleBook) -> tuple[object, ...]:
    """Stored properties as the rules of a revision see them."""
    found = read_fields(lowered_fields(opening), properties, "/properties", Reading(book.zone, []))
    return tuple(None if field.pii else value for field, (_, value) in zip(opening.properties, found, strict=True))


def new_order(event: Event, inputs: Inputs, content: Fact, revision: int) -> Order:
    """An order as its opening event makes it, before anything is deserved. It is accepted by whoever decides that."""
    values = (to_json(inputs) or {}).get("values") or {}
    assert isinstance(values, Mapping)
    assert event.order_key is not None
    return Order(
        id=event.id,
        key=event.order_key,
        type=event.type.id,
        revision=revision,
        opened_at=event.occurred_at,
        values=values,
        multiplier=str(inputs.multiplier),
        content=content,
        rooms=inputs.rooms,
        may_earn=inputs.may_earn,
    )


def as_opened(event: Event, inputs: Inputs, book: RuleBook, lots: Sequence[Lot]) -> Order:
    """An order to which nothing has happened since its plain opening, from its opening event alone."""
    content = read_fact(
        event_type=event.type,
        opening=event.type,
        event_id=event.id,
        occurred_at=event.occurred_at,
        properties=read_exact(event.properties),
    )
    order = new_order(event, inputs, content, book.program.revision)
    held = held_by(deserved(order, net(event.type, content, ()), book, inputs))
    return msgspec.structs.replace(
        order,
        accepted_at=event.occurred_at,
        held=held,
        known=_known_as_opened(event, held, book, lots),
        lots=tuple(sorted(lot.key for lot in lots)),
    )


def _known_as_opened(event: Event, held: Mapping[str, Held], book: RuleBook, lots: Sequence[Lot]) -> tuple[Known, ...]:
    """Since when its points count for tiers: what was on hold since its release."""
    tiers = book.program.tiers
    if tiers is None or not book.tier_basis:
        return ()
    days: dict[date, int] = {}
    for lot in lots:
        awards = [held[rule] for rule in lot.rules if rule in held]
        points = sum([award.points for award in awards if award.qualifying and award.wallet == tiers.wallet])
        if points and not lot.pending:
            day = local_day(lot.hold_until or event.judged_at, book.zone)
            days[day] = days.get(day, 0) + points
    return tuple(Known(day, days[day]) for day in sorted(days))


def held_by(verdicts: Sequence[Verdict]) -> dict[str, Held]:
    """What each rule gives, as an order keeps it."""
    return {
        verdict.rule.id: Held(wallet=verdict.rule.wallet, points=verdict.points, qualifying=verdict.rule.qualifying)
        for verdict in verdicts
        if verdict.points
    }
