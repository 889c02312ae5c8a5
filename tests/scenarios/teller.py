"""Tells a story to a real engine: does what each step says, and puts the state of that moment into a story's words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import asyncpg

from tests.conftest import TestDatabase
from tests.pipeline.clock import Clock, set_clock
from tests.pipeline.shop import Shop, code
from tests.scenarios.story import Act, Step, read_act
from troth.core.calendar import show_time
from troth.core.ids import order_key
from troth.core.record import Award
from troth.pipeline.outcome import Applied, Duplicate, Outcome, RawEvent

AMOUNT = {"amount": {"type": "number", "places": "2", "required": True}, "category": {"type": "text"}}
LINE = {
    "line": {"type": "text", "required": True},
    "category": {"type": "text"},
    "quantity": {"type": "number", "places": "3", "required": True},
    "price": {"type": "number", "places": "2", "required": True},
}
CHECKOUT = {
    "id": "checkout",
    "order": {
        "id": "order_id",
        "amount": "amount",
        "items": "items",
        "line": "line",
        "quantity": "quantity",
        "price": "price",
        "burned": "burned",
        "auto_accept": "auto_accept",
    },
    "properties": {
        "order_id": {"type": "text"},
        **AMOUNT,
        "note": {"type": "text"},
        "burned": {"type": "number", "places": "0", "min": "0"},
        "auto_accept": {"type": "boolean"},
        "items": {"type": "list", "of": LINE},
    },
}
CART = {
    "id": "cart",
    "order": {
        "id": "cart_id",
        "amount": "total",
        "items": "lines",
        "line": "line",
        "quantity": "quantity",
        "price": "price",
        "subtotal": "subtotal",
        "updated_at": "updated_at",
        "currency": "currency",
    },
    "properties": {
        "cart_id": {"type": "text"},
        "total": {"type": "number", "places": "2", "required": True},
        "updated_at": {"type": "datetime"},
        "currency": {"type": "text"},
        "lines": {"type": "list", "of": {**LINE, "subtotal": {"type": "number", "places": "2"}}},
    },
}
SECTIONS: dict[str, object] = {
    "settings": {"name": "Story"},
    "wallets": [{"id": "points"}],
    "event_types": [{"id": "purchase", "properties": AMOUNT}, {"id": "signup", "once": True}, CHECKOUT, CART],
    "rules": [{"id": "base", "event_type": "purchase", "award": "properties.amount"}],
}
COMMANDS = {
    "reserve": "points_reserved",
    "capture": "reservation_captured",
    "release": "reservation_released",
    "claim": "reward_claimed",
    "fulfil": "reward_fulfilled",
    "cancel": "reward_cancelled",
    "set-tier": "tier_set",
}
ABOUT = {  # what a command names: its property, and how the id of the event that made it is shown
    "capture": ("reservation", "res"),
    "release": ("reservation", "res"),
    "fulfil": ("redemption", "rdm"),
    "cancel": ("redemption", "rdm"),
}
SETTLING_STEPS = 1_000
STATES = ("program", "pending", "available", "reserved", "spent", "expired", "debt", "forgiven")
_LIFETIME = ("available", "reserved", "spent", "expired", "debt", "forgiven")


@dataclass(kw_only=True)
class Teller:
    """Does what a step says and gathers the facts of that moment."""

    shop: Shop
    clock: Clock
    access: TestDatabase
    ids: dict[str, str] = field(default_factory=dict)  # reference → the event's id, without its prefix
    seen: dict[str, int] = field(default_factory=dict)  # customer → postings that were looked at

    async def tell(self, step: Step) -> Sequence[str]:
        match step.text.split():
            case ["at", moment]:
                await set_clock(self.clock, self.access, moment)
                return []
            case ["settle"]:
                await settle_all(self.shop)
                return []
            case ["preview", *_]:
                raw = self._event(step.text.removeprefix("preview "))
                return facts(await self.shop.engine.batcher.preview(raw))
            case ["postings" | "posted" as asked, customer]:
                return await self._postings(customer, only_new=asked == "posted")
            case ["lots" | "events" | "order" | "redemption" as asked, name]:
                return await self._ask(asked, name)
            case [customer]:
                return await self._customer(customer)
            case _:
                return await self._send(self._event(step.text))

    async def _send(self, raw: RawEvent) -> list[str]:
        outcome = await self.shop.one(raw)
        if isinstance(outcome, Applied) and isinstance(raw.reference, str):
            self.ids[raw.reference] = outcome.record.id.partition("_")[2]
        return facts(outcome)

    def _event(self, text: str) -> RawEvent:
        act = read_act(text)
        if act.type == "adjust":
            act = _adjustment(act)
        properties = dict(act.properties)
        if act.type in ABOUT:
            name, prefix = ABOUT[act.type]
            properties[name] = f"{prefix}_{self.ids.get(act.about or '', '0' * 32)}"
        return RawEvent(
            customer=act.customer,
            type=COMMANDS.get(act.type, act.type),
            reference=act.reference,
            occurred_at=act.occurred_at,
            properties=properties,
            is_command=act.type in COMMANDS,
        )

    async def _ask(self, asked: str, name: str) -> list[str]:
        match asked:
            case "lots":
                return await self._lots(name)
            case "events":
                return await self._events(name)
            case "order":
                return await self._order(name)
            case _:
                rows = await self.shop.rows(
                    "select status from redemptions where id = $1::text::uuid", self.ids.get(name, "0" * 32)
                )
                return [f"status {row['status']}" for row in rows]

    async def _customer(self, name: str) -> list[str]:
        rows = await self.shop.rows(
            "select b.*, c.id, c.tier, c.seq, c.orders, c.waiting from identities i"
            " join customers c on c.id = i.customer_id left join balances b on b.customer_id = c.id"
            " where i.external_id = $1",
            name,
        )
        if not rows:
            return ["unknown"]
        told = [f"tier {rows[0]['tier'] or 'none'}", f"events {rows[0]['seq']}"]
        told += [f"orders {rows[0]['orders']}", f"waiting {rows[0]['waiting']}"]
        if all(row["wallet"] != "points" for row in rows):
            told += [f"{state} 0" for state in (*STATES, "qualifying", "balance", "lifetime")]
        for row in rows:
            told += _wallet(row) if row["wallet"] else []
        lots = [f"{lot['remaining']}/{lot['points']}" for lot in await self._lot_rows(name)]
        return [*told, "lots " + (" ".join(lots) or "none")]

    async def _lot_rows(self, name: str) -> list[asyncpg.Record]:
        return await self.shop.rows(
            "select l.* from identities i join lots l on l.customer_id = i.customer_id"
            " join events e on e.id = l.event_id where i.external_id = $1 order by e.seq, l.n",
            name,
        )

    async def _lots(self, name: str) -> list[str]:
        told = []
        for lot in await self._lot_rows(name):
            pending = f" pending {lot['pending']}" if lot["pending"] else ""
            until = f" until {show_time(lot['expires_at'])}" if lot["expires_at"] else ""
            told.append(f"{lot['remaining']}/{lot['points']}{pending}{until}")
        return [*told, " | ".join(told), f"{len(told)} lots"]

    async def _events(self, name: str) -> list[str]:
        rows = await self.shop.rows(
            "select e.seq, e.type, e.occurred_at, e.points, e.source, e.outcome, p.key, p.value from identities i"
            " join events e on e.customer_id = i.customer_id"
            " left join lateral jsonb_each_text(e.properties) p on true where i.external_id = $1 order by e.seq",
            name,
        )
        types = {row["seq"]: row["type"] for row in rows}
        told = [" ".join(types.values()), f"{len(types)} events"]
        for row in rows:
            about = [row["type"], f"at {show_time(row['occurred_at'])}", f"net {row['points']}"]
            about += [f"source {row['source']}", f"outcome {row['outcome']}", f"{row['key']} {row['value']}"]
            told += [f"{row['seq']} {fact}" for fact in about]
        return told

    async def _order(self, order_id: str) -> list[str]:
        key = order_key(order_id)
        rows = await self.shop.rows(
            "select o.id, o.state::jsonb as state from orders o join events e on e.id = o.id where e.order_key = $1",
            key,
        )
        waiting = await self.shop.rows("select count(*) as waiting from waiting_events where order_key = $1", key)
        told = [f"waiting {waiting[0]['waiting']}"]
        if not rows:
            return [*told, "unopened"]
        moves = await self.shop.rows("select * from postings where order_id = $1 order by seq, n", rows[0]["id"])
        return [*told, *_status(rows[0]["state"]), *_order_facts(moves)]

    async def _postings(self, name: str, *, only_new: bool) -> list[str]:
        """Each movement (once more with the number of its lot, counted as in `lots`), how many, and all in a row."""
        rows = await self.shop.rows(
            "select p.* from identities i join postings p on p.customer_id = i.customer_id"
            " where i.external_id = $1 order by p.seq, p.n",
            name,
        )
        places = {(lot["event_id"], lot["n"]): n for n, lot in enumerate(await self._lot_rows(name), 1)}
        first = self.seen.get(name, 0) if only_new else 0
        self.seen[name] = len(rows)
        told = [_posting(row) for row in rows[first:]]
        named = [
            f"{text} lot {places.get((row['lot_event'], row['lot_n']), 'none')}"
            for text, row in zip(told, rows[first:], strict=True)
        ]
        others = [f"{row['wallet']} {text}" for text, row in zip(told, rows[first:], strict=True)]
        return [*told, *named, *others, f"{len(told)} postings", " | ".join(told) or "nothing"]


async def settle_all(shop: Shop) -> None:
    """What the worker does until nothing is due."""
    for _ in range(SETTLING_STEPS):
        if not await shop.engine.settle():
            return
    raise AssertionError("something stays due for ever")


def _adjustment(act: Act) -> Act:
    """`adjust points=-5`: the event that the adjustments endpoint writes for it."""
    points = int(str(act.properties["points"]))
    return Act(
        customer=act.customer,
        type="point_add" if points > 0 else "point_sub",
        reference=act.reference,
        occurred_at=act.occurred_at,
        about=None,
        properties={**act.properties, "points": str(abs(points))},
    )


def _posting(row: asyncpg.Record) -> str:
    return f"{row['from_state']}>{row['to_state']} {row['points']} {row['rule'] or row['reason']}"


def _wallet(row: asyncpg.Record) -> list[str]:
    numbers = {state: row[state] for state in (*STATES, "qualifying")}
    numbers["balance"] = row["available"] + row["debt"]
    numbers["lifetime"] = sum(row[state] for state in _LIFETIME)
    told = [f"{row['wallet']} {name} {points}" for name, points in numbers.items()]
    return told + ([f"{name} {points}" for name, points in numbers.items()] if str(row["wallet"]) == "points" else [])


def _status(state: str | None) -> list[str]:
    """Of an order to which something happened after it was opened."""
    if state is None:
        return []
    kept = json.loads(state)
    ended = [name for name in ("rejected", "refunded") if kept.get(f"is_{name}")]
    return [f"status {(*ended, 'accepted' if kept.get('accepted_at') else 'pending')[0]}"]


def _order_facts(moves: Sequence[asyncpg.Record]) -> list[str]:
    """What an order has been given, and holds of the customer's points, by its postings."""
    awards: dict[str, int] = {}
    burned = forgiven = 0
    for move in moves:
        points, rule = move["points"], move["rule"]
        if move["reason"] in ("award", "reversal"):
            given = points if move["from_state"] == "program" else -points
            awards[rule] = awards.get(rule, 0) + given
        if "forgiven" in (move["from_state"], move["to_state"]):
            forgiven += points if move["from_state"] == "forgiven" else -points
        if move["from_state"] == "available" and move["reason"] == "burn":
            burned += points
        if move["to_state"] == "available" and move["reason"] == "return":
            burned -= points
    shown = [f"{rule}:{points}" for rule, points in sorted(awards.items()) if points]
    return [*shown, "awards " + (" ".join(shown) or "none"), f"burned {burned}", f"forgiven {forgiven}"]


def facts(outcome: Outcome) -> list[str]:
    """What an answer says, in the words of a story."""
    if not isinstance(outcome, Applied | Duplicate):
        return [code(outcome)]
    found = outcome.record
    tier = found.tier["id"] if found.tier else "none"
    told = [code(outcome), f"{found.points} points", f"tier {tier}", f"seq {found.seq}", f"revision {found.revision}"]
    told += [found.outcome, f"type {found.type}"]
    for wallet, numbers in found.wallets.items():
        told += [f"{wallet} {key} {value}" for key, value in numbers.items()]
    told += [f"{key} {value}" for key, value in found.wallets["points"].items()]
    told += [fact for award in found.awards for fact in _award(award)]
    told += [f"warning {warning['code']}" for warning in found.warnings]
    for effect in found.caused:
        told += [f"caused {effect.type}", *(f"caused {award.rule}:{award.points}" for award in effect.awards)]
    told += ["no awards"] * (not found.awards) + ["no warnings"] * (not found.warnings)
    return told + ["nothing caused"] * (not found.caused)


def _award(award: Award) -> list[str]:
    name = f"{award.rule}:{award.points}"
    return [name, f"{name} {award.state}", f"{name} from {award.base}", f"{award.rule} x{award.multiplier}",
            f"{award.rule} until {award.expires_at}", f"{award.rule} cut by {award.cap}"]  # fmt: skip
