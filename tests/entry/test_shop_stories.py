"""Stories of orders told by webhooks: whatever the order of arrival, and however often, they end the same."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence

import httpx
import pytest

from tests.entry.shopping import (
    CUSTOMER,
    MUG,
    ORDER,
    SHIRT,
    Json,
    money_refund,
    send_shopify,
    send_woo,
    shopify_line,
    shopify_order,
    shopify_refund,
    woo_line,
    woo_order,
)
from tests.entry.sourcing import Made, counters, door_of, make_source, points_of
from tests.serving import Served
from troth.entry.order_inbox import OrderInbox

Message = tuple[str, Json]  # topic, payload
Send = Callable[[Served, Made, Message, str], Awaitable[httpx.Response]]

PAID: Message = ("orders/paid", shopify_order())
UPDATED: Message = (
    "orders/updated",
    shopify_order(
        updated_at="2026-11-20T12:00:00-05:00",
        subtotal_price_set=None,
        subtotal_price="155.505",
        line_items=[*shopify_order()["line_items"], shopify_line(3000000000000000003, "30.00", 1)],
    ),
)
BACK: Message = ("refunds/create", shopify_refund())
MONEY: Message = ("refunds/create", money_refund(509562969, "5.25"))
CANCELLED: Message = (
    "orders/cancelled",
    shopify_order(cancelled_at="2026-11-22T10:00:00-05:00", cancel_reason="customer"),
)

SHOPIFY = {
    "a change": ([PAID, UPDATED], 155),
    "a change and a return": ([PAID, UPDATED, BACK], 105),
    "money back": ([PAID, MONEY], 120),
    "two refunds": ([PAID, BACK, MONEY], 70),
    "cancelled after a refund": ([PAID, BACK, CANCELLED], 0),
}


def woo(status: str, minute: int, **more: object) -> Json:
    return woo_order(status=status, date_modified_gmt=f"2026-11-20T16:{minute:02}:00", **more)


WOO = {
    "refunded in part": (
        [
            ("order.created", woo("processing", 1)),
            ("order.updated", woo("completed", 2)),
            ("order.updated", woo("completed", 3, refunds=[{"id": 726, "reason": "", "total": "-60.00"}])),
        ],
        50,
    ),
    "refunded whole": (
        [("order.created", woo("processing", 1)), ("order.updated", woo("refunded", 2))],
        0,
    ),
    "deleted": ([("order.created", woo("processing", 1)), ("order.deleted", {"id": 727})], 0),
    "failed, then paid": (
        [("order.created", woo("failed", 1)), ("order.updated", woo("processing", 2))],
        100,
    ),
}


async def by_shopify(served: Served, source: Made, message: Message, name: str) -> httpx.Response:
    return await send_shopify(served, source, *message, event=name)


async def by_woo(served: Served, source: Made, message: Message, name: str) -> httpx.Response:
    return await send_woo(served, source, *message, delivery=name)


def of_another(message: Message, number: int) -> Message:
    """The same of another order and customer; lines and refunds keep their ids."""
    topic, payload = message
    if topic.startswith("order."):
        return topic, {**payload, "id": 727 + number, **({"customer_id": 26 + number} if len(payload) > 1 else {})}
    if topic == "refunds/create":
        return topic, {**payload, "order_id": ORDER + number}
    return topic, {**payload, "id": ORDER + number, "customer": {**payload["customer"], "id": CUSTOMER + number}}


async def tell(served: Served, source: Made, send: Send, messages: Sequence[Message], *, name: str = "m") -> None:
    for place, message in enumerate(messages):
        answer = await send(served, source, message, f"{name}{place}")
        assert answer.status_code == 200, answer.text
        assert answer.json()["refused"] == 0, answer.text


async def ends_the_same(served: Served, source: Made, send: Send, story: tuple[list[Message], int]) -> None:
    """In every order of arrival, then every delivery once more, then all again as new deliveries, the last first."""
    messages, points = story
    first = CUSTOMER if source.id == "my-shopify" else 26
    for number, arrival in enumerate(itertools.permutations(messages)):
        told = [of_another(message, number) for message in arrival]
        name = f"{number}-"
        await tell(served, source, send, told, name=name)
        assert await points_of(served, str(first + number)) == points, [topic for topic, _ in told]
        await tell(served, source, send, told, name=name)
        await tell(served, source, send, told[::-1], name=f"again {name}")
        assert await points_of(served, str(first + number)) == points, [topic for topic, _ in told]
    assert (await served.get(f"/v1/sources/{source.id}/inbox")).json()["items"] == []


@pytest.mark.slow
@pytest.mark.parametrize("story", SHOPIFY.values(), ids=SHOPIFY)
async def test_a_shopify_story_ends_the_same(served: Served, story: tuple[list[Message], int]) -> None:
    await ends_the_same(served, await make_source(served, "shopify"), by_shopify, story)


@pytest.mark.slow
@pytest.mark.parametrize("story", WOO.values(), ids=WOO)
async def test_a_woocommerce_story_ends_the_same(served: Served, story: tuple[list[Message], int]) -> None:
    await ends_the_same(served, await make_source(served, "woocommerce"), by_woo, story)


async def test_a_refund_before_its_order_waits_and_then_counts(served: Served) -> None:
    source = await make_source(served, "shopify")
    assert (await by_shopify(served, source, BACK, "r")).json() == {
        **dict.fromkeys(("accepted", "duplicates", "refused", "dropped"), 0),
        "received": 1,
        "waiting": 1,
    }
    assert (await by_shopify(served, source, BACK, "r")).json()["duplicates"] == 0  # it still waits
    assert await counters(served, source.id) == {"received": 2, "waiting": 1, "duplicates": 1}
    (waiting,) = (await served.get(f"/v1/sources/{source.id}/inbox")).json()["items"]
    assert waiting["key"] == f"order:{ORDER}"
    assert waiting["payload"]["properties"]["refund_id"] == "890088186047892319"
    await by_shopify(served, source, PAID, "p")
    assert await counters(served, source.id) == {"received": 3, "accepted": 2, "duplicates": 1}
    assert await points_of(served, str(CUSTOMER)) == 75
    assert (await served.get(f"/v1/sources/{source.id}/inbox")).json()["items"] == []


async def test_an_order_that_opens_by_another_way_is_found(served: Served) -> None:
    """Two refunds wait; the order of one comes through the API, the other's never."""
    source = await make_source(served, "shopify")
    await tell(served, source, by_shopify, [BACK, of_another(BACK, 1)])
    order = {"transaction_id": str(ORDER), "total": "100.00", "items": []}
    checkout = {"customer": "ada", "type": "checkout", "reference": "c", "properties": order}
    assert (await served.post("/v1/events", checkout)).status_code == 201
    async with door_of(served, source.id, "shopify") as (door, _):
        inbox = OrderInbox(door=door)
        assert [await inbox.revisit() for _ in range(3)] == [1, 0, 0]
    assert await points_of(served, "ada") == 50
    assert await counters(served, source.id) == {"received": 2, "accepted": 1, "waiting": 1}
    (left,) = (await served.get(f"/v1/sources/{source.id}/inbox")).json()["items"]
    assert left["key"] == f"order:{ORDER + 1}"


async def test_a_refund_by_its_total_takes_from_rules_on_items_in_proportion(served: Served) -> None:
    """WooCommerce names no lines: of 100 in books, which earn double, and 50 in shoes, the shoes go back."""
    books = {"id": "books", "event_type": "checkout", "award": 'properties.items == null ? 0 : properties.items.sum(i, '
             'i.product_id == "93" ? (i.subtotal ?? 0) : 0)'}  # fmt: skip
    published = await served.post("/v1/rules", books)
    assert published.status_code == 201, published.text
    source = await make_source(served, "woocommerce")
    lines = [woo_line(315, 1, "100.00", "0.00"), woo_line(316, 1, "50.00", "0.00", product_id=94)]
    of_goods = {"line_items": lines, "total": "150.00", "shipping_total": "0.00", "shipping_tax": "0.00"}
    refunds = [{"id": 726, "reason": "too small", "total": "-50.00"}]
    await tell(served, source, by_woo, [("order.created", woo("processing", 1, **of_goods))])
    assert await points_of(served, "26") == 150 + 100
    await tell(served, source, by_woo, [("order.updated", woo("processing", 2, **of_goods, refunds=refunds))], name="r")
    assert await points_of(served, "26") == 100 + 66  # ⌊100 × 100 ÷ 150⌋


async def test_racing_deliveries_count_once(served: Served) -> None:
    """An order and its refunds at once, each delivered three times: no refund stays behind, none counts twice."""
    source = await make_source(served, "shopify")
    told = [of_another(message, number) for number in range(8) for message in (BACK, PAID) for _ in range(3)]
    sent = (by_shopify(served, source, message, f"e{place // 3}") for place, message in enumerate(told))
    answers = await asyncio.gather(*sent)
    assert {answer.status_code for answer in answers} == {200}
    assert [await points_of(served, str(CUSTOMER + number)) for number in range(8)] == [75] * 8
    assert (await served.get(f"/v1/sources/{source.id}/inbox")).json()["items"] == []
    found = await counters(served, source.id)
    assert found.pop("duplicates") + found.pop("accepted") == found.pop("received")
    assert found == {}


async def test_ids_are_exact_to_the_last_digit(served: Served) -> None:
    source = await make_source(served, "shopify")
    await tell(served, source, by_shopify, [PAID, BACK])
    shown = (await served.get(f"/v1/orders/{ORDER}")).json()
    assert str(SHIRT) in str(shown)
    assert str(MUG) in str(shown)
    (order,) = (await served.get(f"/v1/customers/{CUSTOMER}/orders")).json()["items"]
    assert order["order_id"] == str(ORDER)
    listed = (await served.get(f"/v1/events?order_id={ORDER}")).json()["items"]
    assert {event["source"] for event in listed} == {"shopify"}
    assert {event["customer"] for event in listed} == {str(CUSTOMER)}
