"""Order claims: an order is opened once, by one customer; sent again with equal content it is a duplicate."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import msgspec
import pytest

from tests.conftest import TestDatabase
from tests.pipeline.books_balance import check_books
from tests.pipeline.shop import Shop, answer, code, codes, document, open_shop, record
from troth.core.ids import reference_hash
from troth.pipeline.outcome import RawEvent

ORDER = {
    "id": "purchase",
    "order": {"id": "order_id", "amount": "amount", "updated_at": "updated_at"},
    "properties": {
        "amount": {"type": "number", "places": "2", "required": True},
        "order_id": {"type": "text"},
        "note": {"type": "text"},
        "updated_at": {"type": "datetime"},
    },
}
CART = {**ORDER, "id": "checkout"}
RULES = [{"id": name, "event_type": name, "award": "properties.amount"} for name in ("purchase", "checkout")]


@pytest.fixture
async def shop(database: TestDatabase) -> AsyncIterator[Shop]:
    async with open_shop(database, document(*RULES, event_types=[ORDER, CART])) as opened:
        yield opened


def order(
    customer: str, order_id: str | None, amount: str = "10", reference: str | None = None, **fields: object
) -> RawEvent:
    type_id = str(fields.pop("type", "purchase"))
    properties = {"amount": amount, "order_id": order_id, **fields}
    return RawEvent(customer=customer, type=type_id, reference=reference, properties=properties)


async def test_equal_content_is_a_duplicate_and_claims_its_reference(shop: Shop) -> None:
    first = await shop.one(order("anna", "o1", reference="r1"))
    again = await shop.one(order("anna", "o1", "10.00", reference="r2"))
    assert (code(again), answer(again)) == ("duplicate", answer(first))
    assert record(again).reference == "r1"
    # r2 now answers the same, and belongs to anna.
    assert answer(await shop.one(order("anna", "o1", reference="r2"))) == answer(first)
    assert code(await shop.one(order("anna", "o9", reference="r2"))) == "payload_mismatch"
    assert code(await shop.one(order("berta", "o2", reference="r2"))) == "reference_conflict"
    assert (await shop.balance("anna"), await shop.count("events")) == (10, 1)


async def test_without_references_the_order_pays_once(shop: Shop) -> None:
    outcomes = [await shop.one(order("anna", "o1")) for _ in range(3)]
    assert codes(outcomes) == ["applied", "duplicate", "duplicate"]
    assert await shop.balance("anna") == 10


@pytest.mark.parametrize(("changed", "points"), [({"amount": "11"}, 11), ({"note": "x"}, 10)])
async def test_other_content_changes_the_order(shop: Shop, changed: dict[str, str], points: int) -> None:
    await shop.one(order("anna", "o1", reference="r1"))
    other = await shop.one(order("anna", "o1", reference="r2", **changed))
    assert (code(other), record(other).points) == ("applied", points - 10)
    assert (await shop.balance("anna"), await shop.count("event_refs")) == (points, 3)
    assert code(await shop.one(order("anna", "o1", reference="r3"))) == "applied", "back to what it was"
    assert await shop.balance("anna") == 10


async def test_equal_content_with_a_newer_stamp_renews_it(shop: Shop) -> None:
    """P(100, t1), P(100, t3), U(150, t2): the newest content is 100, in this order and in any other (answer 3)."""
    stamps = {name: f"2026-01-0{day}T00:00:00Z" for day, name in enumerate(("t1", "t2", "t3"), 1)}
    assert code(await shop.one(order("anna", "o1", "100", "r1", updated_at=stamps["t1"]))) == "applied"
    assert code(await shop.one(order("anna", "o1", "100", "r2", updated_at=stamps["t3"]))) == "applied"
    assert code(await shop.one(order("anna", "o1", "100", "r3", updated_at=stamps["t2"]))) == "duplicate"
    update = RawEvent(
        customer="anna",
        type="checkout_update",
        properties={"order_id": "o1", "amount": "150", "updated_at": stamps["t2"]},
    )
    assert code(await shop.one(update)) == "applied"
    assert await shop.balance("anna") == 100


async def test_another_customers_order(shop: Shop) -> None:
    await shop.one(order("anna", "o1", reference="r1"))
    assert code(await shop.one(order("berta", "o1", reference="r2"))) == "not_your_order"
    assert await shop.count("identities") == 1
    assert code(await shop.one(order("berta", "o2", reference="r2"))) == "applied"


async def test_two_opening_types_share_their_orders(shop: Shop) -> None:
    await shop.one(order("anna", "o1", reference="r1"))
    assert code(await shop.one(order("anna", "o1", reference="r2", type="checkout"))) == "duplicate"
    # The order is judged by the rules of the type that opened it.
    assert code(await shop.one(order("anna", "o1", "11", reference="r3", type="checkout"))) == "applied"
    assert await shop.balance("anna") == 11


async def test_the_reference_is_the_order_id_when_there_is_none(shop: Shop) -> None:
    assert code(await shop.one(order("anna", None, reference="o1"))) == "applied"
    assert code(await shop.one(order("berta", "o1", reference="r2"))) == "not_your_order"
    # Without either the event opens no order that another one could name.
    assert codes(await shop.send(order("anna", None), order("anna", None))) == ["applied", "applied"]


async def test_the_reference_is_looked_at_before_the_order(shop: Shop) -> None:
    await shop.send(order("anna", "o1", reference="r1"), order("anna", "o2", reference="r2"))
    assert code(await shop.one(order("anna", "o2", reference="r1"))) == "payload_mismatch"
    # A resend under a fresh order id does not keep that order.
    assert code(await shop.one(order("anna", "o3", reference="r1"))) == "payload_mismatch"
    assert code(await shop.one(order("berta", "o3", reference="r3"))) == "applied"


async def test_one_order_twice_in_a_batch(shop: Shop) -> None:
    outcomes = await shop.send(
        order("anna", "o1", reference="r1"),
        order("anna", "o1", reference="r2"),
        order("anna", "o1", "11", reference="r3", updated_at="2100-01-01T00:00:00Z"),
        order("berta", "o1", reference="r4"),
    )
    assert codes(outcomes) == ["applied", "duplicate", "applied", "not_your_order"]
    assert (await shop.balance("anna"), await shop.count("events")) == (11, 2)


@pytest.mark.parametrize(("order_id", "problem"), [("", "missing"), ("x" * 256, "too_long")])
async def test_order_ids_have_a_length(shop: Shop, order_id: str, problem: str) -> None:
    assert code(await shop.one(order("anna", order_id))) == problem


async def test_orders_are_counted(shop: Shop) -> None:
    await shop.send(order("anna", "o1"), order("anna", "o2"), order("anna", "o1"))
    assert [row["orders"] for row in await shop.rows("select orders from customers")] == [2]


async def test_a_cart_is_previewed_for_a_customer_and_for_a_guest(shop: Shop) -> None:
    await shop.one(order("anna", "o1"))
    cart = RawEvent(type="purchase", properties={"amount": "42", "order_id": "cart"})
    for customer, seq, name in (("anna", 2, "anna"), ("nobody", 1, "nobody"), (None, 1, None)):
        seen = record(await shop.engine.batcher.preview(msgspec.structs.replace(cart, customer=customer)))
        assert (seen.customer, seen.points, seen.seq) == (name, 42, seq)
    changed = record(await shop.engine.batcher.preview(order("anna", "o1", "25")))
    assert (changed.points, changed.awards[0].points) == (15, 15)
    assert (await shop.count("events"), await shop.count("identities"), await shop.count("orders")) == (1, 1, 1)


async def test_a_guests_preview_of_nonsense_is_refused(shop: Shop) -> None:
    for type_id in ({}, [], None, 5):
        assert code(await shop.engine.batcher.preview(RawEvent(type=type_id))) in {"type", "missing"}


async def test_a_refund_without_an_id_is_known_by_its_reference(shop: Shop) -> None:
    """Not by its event, which is another one when the refunds of an order arrive the other way round."""
    for customer in ("anna", "berta"):
        await shop.one(order(customer, f"{customer}-1", "100"))
        properties = {"order_id": f"{customer}-1", "amount": "10"}
        back = RawEvent(customer=customer, type="partial_refund", reference=f"{customer}-back", properties=properties)
        assert codes([await shop.one(back), await shop.one(back)]) == ["applied", "duplicate"]
    rows = await shop.rows("select properties->>'refund_id' as known_by from events where type = 'partial_refund'")
    hashes = [reference_hash("reference", f"{customer}-back").hex()[:32] for customer in ("anna", "berta")]
    assert sorted(row["known_by"] for row in rows) == sorted(f"ref:{text}" for text in hashes)


async def test_history_without_awards_earns_nothing_later_either(shop: Shop) -> None:
    """What was paid elsewhere is recorded, counts as an order, and owes nothing when it is changed or given back."""
    old = msgspec.structs.replace(order("anna", "o1", "100", "r1"), is_historical=True, may_earn=False)
    assert (code(await shop.one(old)), await shop.balance("anna")) == ("applied", 0)
    assert record(await shop.one(order("anna", "o1", "150", "r2"))).points == 0
    assert record(await shop.one(RawEvent(customer="anna", type="refund", properties={"order_id": "o1"}))).points == 0
    assert record(await shop.one(order("anna", "o2", "20", "r3"))).points == 20
    rows = await shop.rows("select inputs from events order by seq limit 1")
    assert [json.loads(row["inputs"]) for row in rows] == [{"awards": False}]
    await check_books(shop.database)
