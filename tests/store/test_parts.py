"""Parts of one customer's state: what the ledger has written comes back as it was, and nothing of anybody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import msgspec
import pytest

from tests.conftest import TestDatabase
from tests.store.rows import START, Rows, add_customer, customer_of, day, lane
from troth import limits
from troth.core.ids import bucket_in, order_key, recorded_at, reference_hash
from troth.core.order_state import Fact, Held, Order, Part
from troth.core.state import NEVER, Lot, Posting, Redemption, Reservation
from troth.store import batch, parts
from troth.store.parts import Key


@pytest.fixture
async def anna(database: TestDatabase) -> AsyncIterator[Rows]:
    async with customer_of(database) as rows:
        yield rows


def order_of(rows: Rows, opening: UUID, **fields: object) -> Order:
    content = Fact(event_id=rows.new_id(), kind="content", occurred_at=START, stamp=START, hash="ff")
    plain = {"id": opening, "key": order_key("A-1"), "type": "purchase", "revision": 3, "opened_at": START}
    return Order(**{**plain, "content": content, **fields})  # type: ignore[arg-type]


def reservation(rows: Rows, due_at: datetime = START, **fields: object) -> Reservation:
    part = Part(event_id=rows.new_id(), n=1, points=7)
    plain = {"id": rows.new_id(), "wallet": "points", "points": 7, "parts": (part,), "due_at": due_at}
    return Reservation(**{**plain, **fields})  # type: ignore[arg-type]


def redemption(rows: Rows, reward: str = "mug", **fields: object) -> Redemption:
    plain = {"id": rows.new_id(), "reward": reward, "wallet": "points", "points": 5, "parts": (), "claimed_at": START}
    return Redemption(**{**plain, **fields})  # type: ignore[arg-type]


# Lots


@pytest.mark.each_postgres
async def test_a_lot_comes_back_as_it_was_written(anna: Rows) -> None:
    whole = Lot(
        event_id=anna.new_id(), n=3, wallet="gems", order=anna.new_id(), rules=("base", "bonus"),
        earned_at=day("2026-02-01"), expiry="12e", hold_until=day("2026-02-02"), qualifying=False,
        release_at=day("2026-02-03"), expires_at=day("2027-03-01"), points=60, pending=30, remaining=20, expired=10,
    )  # fmt: skip
    await anna.write_lots(whole)
    assert await parts.load_lots_by_key(anna.connection, [whole.key, (anna.new_id(), 0)]) == [whole]
    changed = Lot(
        event_id=whole.event_id, n=3, wallet="gems", order=whole.order, rules=whole.rules, earned_at=whole.earned_at,
        expiry="12e", hold_until=whole.hold_until, qualifying=False, release_at=None, expires_at=day("2027-04-01"),
        points=70, pending=0, remaining=45, expired=25,
    )  # fmt: skip
    await anna.write(changed_lots=[changed])
    assert await parts.load_lots_by_key(anna.connection, [whole.key]) == [changed]


@pytest.mark.each_postgres
async def test_open_lots_come_in_consumption_order(anna: Rows) -> None:
    """By end, those that never end last; then by when they were earned, by event, by number."""
    event = anna.new_id()
    ordered = [
        anna.lot(expires_at=day("2026-06-01"), earned_at=day("2026-03-01")),
        anna.lot(expires_at=day("2026-07-01"), earned_at=day("2026-01-01")),
        anna.lot(expires_at=day("2026-07-01"), earned_at=day("2026-02-01"), event_id=event, n=0),
        anna.lot(expires_at=day("2026-07-01"), earned_at=day("2026-02-01"), event_id=event, n=1),
        anna.lot(earned_at=day("2025-01-01")),
        anna.lot(earned_at=day("2026-01-01")),
    ]
    others = [anna.lot(0, pending=5), anna.lot(wallet="gems", expires_at=day("2026-01-02"))]
    await anna.write_lots(*reversed(ordered), *others)
    assert await parts.load_lots(anna.connection, anna.key, "points", None) == (ordered, None)


@pytest.mark.parametrize("ends", [True, False])
async def test_lots_are_read_until_they_hold_enough(anna: Rows, ends: bool) -> None:
    """A page holds 10 × LOTS_PAGE points; the last page is not full."""
    size = limits.LOTS_PAGE
    lots = [
        anna.lot(earned_at=day("2026-01-01") + timedelta(hours=n), expires_at=day("2027-01-01") if ends else None)
        for n in range(2 * size + 1)
    ]
    await anna.write_lots(*lots)
    for points, pages in [(1, 1), (10 * size, 1), (10 * size + 1, 2), (20 * size, 2)]:
        last = lots[pages * size - 1]
        place = (last.expires_at or NEVER, last.earned_at, last.event_id, last.n)
        assert await parts.load_lots(anna.connection, anna.key, "points", points) == (lots[: pages * size], place)
    for whole in (20 * size + 1, 10**9, None):
        assert await parts.load_lots(anna.connection, anna.key, "points", whole) == (lots, None)


async def test_pages_go_from_lots_that_end_to_those_that_do_not(anna: Rows) -> None:
    """Whatever was earned last ends first, and some end when others are said never to."""
    size, first = limits.LOTS_PAGE, day("2026-01-01")
    ending = [
        anna.lot(earned_at=first - timedelta(days=n), expires_at=NEVER - timedelta(days=size - 2 - n))
        for n in range(size - 1)
    ]
    endless = [anna.lot(earned_at=first + timedelta(days=n)) for n in range(size)]
    await anna.write_lots(*ending, *endless)
    assert await parts.load_lots(anna.connection, anna.key, "points", None) == (ending + endless, None)


# Orders


@pytest.mark.each_postgres
async def test_a_plain_order_is_what_its_opening_event_says(anna: Rows) -> None:
    key = order_key("A-1")
    opening = await anna.open_order(
        key, properties='{"amount": "10.00", "undeclared": 0.1}', inputs='{"multiplier": "1.5"}', type="checkout"
    )
    own = [anna.lot(event_id=opening.id, order=opening.id, n=n) for n in range(2)]
    await anna.write_lots(*own, anna.lot(event_id=opening.id, n=2), anna.lot(order=opening.id))
    found = (await parts.load_order(anna.connection, anna.key, [opening.id]))[opening.id]
    assert (found.state, found.type, found.occurred_at, found.revision) == (None, "checkout", START, 1)
    assert (found.order_key, found.inputs) == (key, {"multiplier": "1.5"})
    assert found.properties == {"amount": "10.00", "undeclared": Decimal("0.1")}
    assert sorted(lot.n for lot in found.lots) == [0, 1], "of this event and this order only"


@pytest.mark.each_postgres
async def test_an_order_with_a_state_comes_with_the_lots_it_names(anna: Rows) -> None:
    opening = await anna.open_order(order_key("A-1"))
    lots = [anna.lot(order=opening.id) for _ in range(3)]
    await anna.write_lots(*lots)
    held = {"base": Held(wallet="points", points=9, qualifying=False)}
    state = order_of(
        anna, opening.id, lots=(lots[0].key, lots[2].key), held=held, decides_at=day("2026-03-01"),
        rooms={"base": ((1, None), (None, 40))}, burned=(Part(event_id=anna.new_id(), n=0, points=4),),
        accepted_at=day("2026-02-01"), forgiven={"points": 3}, repaid={"gems": 2}, values={"balance": 40},
    )  # fmt: skip
    await anna.write(orders=[(1, opening.id, state, state.decides_at)])
    found = (await parts.load_order(anna.connection, anna.key, [opening.id]))[opening.id]
    assert found.state == state
    assert {lot.key for lot in found.lots} == set(state.lots)
    await anna.write(orders=[(1, opening.id, None, None)])
    found = (await parts.load_order(anna.connection, anna.key, [opening.id]))[opening.id]
    assert found.state is None, "it may become plain again"


async def test_undeclared_numbers_of_an_order_stay_exact(anna: Rows) -> None:
    opening = await anna.open_order(order_key("A-1"))
    numbers = {"share": Decimal("0.1"), "long": Decimal("1.2345678901234567890123"), "whole": 12345678901234567890}
    content = Fact(event_id=opening.id, kind="content", occurred_at=START, stamp=START, hash="", properties=numbers)
    state = order_of(anna, opening.id, content=content)
    await anna.write(orders=[(1, opening.id, state, None)])
    found = (await parts.load_order(anna.connection, anna.key, [opening.id]))[opening.id].state
    assert found is not None
    assert found.content.properties == numbers
    assert not any(isinstance(value, float) for value in found.content.properties.values())


async def test_orders_are_found_several_at_a_time(anna: Rows) -> None:
    openings = [await anna.open_order(order_key(name)) for name in ("A-1", "A-2")]
    ids = [opening.id for opening in openings]
    await anna.write_lots(*(anna.lot(event_id=key, order=key) for key in ids))
    found = await parts.load_order(anna.connection, anna.key, [*ids, anna.new_id()])
    assert {key: [lot.event_id for lot in order.lots] for key, order in found.items()} == {key: [key] for key in ids}
    stranger = Key(anna.key.bucket, anna.new_id())
    assert await parts.load_order(anna.connection, stranger, ids) == {}


@pytest.mark.each_postgres
async def test_orders_of_many_customers_are_found_at_once(database: TestDatabase) -> None:
    """Each only by its own customer."""
    async with database.open_database() as opened, lane(opened) as connection:
        anna, ben = [await add_customer(connection, name) for name in ("anna", "ben")]
        openings = [(rows.key, (await rows.open_order(order_key(rows.row.external_id))).id) for rows in (anna, ben)]
        for rows, (_, order_id) in zip((anna, ben), openings, strict=True):
            await rows.write_lots(rows.lot(event_id=order_id, order=order_id))
        found = await parts.load_orders(connection, openings)
        assert {order_id: [lot.order for lot in order.lots] for order_id, order in found.items()} == {
            order_id: [order_id] for _, order_id in openings
        }
        assert await parts.load_orders(connection, [(ben.key, openings[0][1])]) == {}


@pytest.mark.each_postgres
async def test_an_order_claim_leads_to_its_customer(database: TestDatabase) -> None:
    async with database.open_database() as opened, lane(opened) as connection:
        customers = [await add_customer(connection, name) for name in ("anna", "ben")]
        hashes = [reference_hash("order", name) for name in ("A-1", "B-1")]
        openings = [await rows.open_order(UUID(bytes=key[:16])) for rows, key in zip(customers, hashes, strict=True)]
        await batch.claim(connection, dict(zip(hashes, [opening.id for opening in openings], strict=True)))
        asked = [*hashes, reference_hash("order", "C-1")]
        assert await parts.find_orders(connection, asked) == {
            key: (opening.id, opening.customer_id) for key, opening in zip(hashes, openings, strict=True)
        }
        owners = {owner.order_hash: owner for owner in await parts.owners(connection, asked)}
        anna = customers[0].row
        found = owners[hashes[0]]
        assert (found.customer_id, bucket_in(found.order_id)) == (anna.id, anna.bucket)
        assert (found.personal_key, found.sealed_key, found.personal) == (
            anna.personal_key, b"key of anna", b"sealed anna"
        )  # fmt: skip
        assert await parts.find_orders(connection, asked[2:]) == {}


@pytest.mark.each_postgres
async def test_events_wait_until_they_are_taken(anna: Rows) -> None:
    keys = [order_key(name) for name in ("A-1", "A-2")]
    events = [
        anna.event(type=kind, order_key=keys[place], outcome="waiting_for_order", properties=f'{{"n": 0.{place}5}}')
        for kind, place in (("refund", 0), ("checkout_accept", 0), ("partial_refund", 1))
    ]
    await anna.write(events=events, waiting_new=[(1, event.order_key, event.id) for event in events])
    found = await parts.load_waiting(anna.connection, anna.key, [*keys, order_key("A-3")])
    assert {key: [(event.event_id, event.type) for event in waiting] for key, waiting in found.items()} == {
        keys[0]: [(events[0].id, "refund"), (events[1].id, "checkout_accept")],
        keys[1]: [(events[2].id, "partial_refund")],
    }
    assert [event.properties for event in found[keys[1]]] == [{"n": Decimal("0.15")}]
    assert found[keys[0]][0].occurred_at == START
    await anna.write(waiting_gone=[(1, keys[0], events[0].id), (1, keys[1], events[2].id)])
    found = await parts.load_waiting(anna.connection, anna.key, keys)
    assert {key: [event.event_id for event in waiting] for key, waiting in found.items()} == {keys[0]: [events[1].id]}


async def test_what_waits_is_bounded_per_order(anna: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ORDER_WAITING", 2)
    keys = [order_key(name) for name in ("A-1", "A-2")]
    events = [anna.event(order_key=keys[place]) for place in (0, 0, 0, 1)]
    await anna.write(events=events, waiting_new=[(1, event.order_key, event.id) for event in events])
    found = await parts.load_waiting(anna.connection, anna.key, keys)
    assert {key: [event.event_id for event in waiting] for key, waiting in found.items()} == {
        keys[0]: [events[0].id, events[1].id],
        keys[1]: [events[3].id],
    }


# Spending


@pytest.mark.each_postgres
async def test_reservations_and_redemptions_come_back_as_they_were_written(anna: Rows) -> None:
    held, claim = reservation(anna), redemption(anna, parts=(Part(event_id=anna.new_id(), n=0, points=5),))
    await anna.write(reservations=[(1, held)], redemptions=[(1, claim)])
    unknown = anna.new_id()
    for now_held, now_claim in ((held, claim), (_as(held, "captured"), _as(claim, "cancelled"))):
        await anna.write(reservations=[(1, now_held)], redemptions=[(1, now_claim)])
        found = await parts.load_reservations(anna.connection, anna.key, [held.id, unknown])
        assert found == {held.id: now_held}
        assert await parts.load_redemptions(anna.connection, anna.key, [claim.id, unknown]) == {claim.id: now_claim}
    stranger = Key(anna.key.bucket, unknown)
    assert await parts.load_reservations(anna.connection, stranger, [held.id]) == {}
    assert await parts.load_redemptions(anna.connection, stranger, [claim.id]) == {}


def _as(record: Reservation | Redemption, status: str) -> Reservation | Redemption:
    return msgspec.structs.replace(record, status=status)


@pytest.mark.each_postgres
async def test_cancelled_claims_do_not_count(anna: Rows) -> None:
    claims = [redemption(anna), redemption(anna, status="fulfilled"), redemption(anna, status="cancelled"),
              redemption(anna, "cap", status="cancelled"), redemption(anna, "pen")]  # fmt: skip
    await anna.write(redemptions=[(1, claim) for claim in claims])
    assert await parts.load_claimed(anna.connection, anna.key, ["mug", "cap", "bag"]) == {"mug": 2}


@pytest.mark.each_postgres
async def test_stock_is_counted_by_one_at_a_time(database: TestDatabase) -> None:
    """Whoever locks second waits, and reads what the first has written."""
    async with database.open_database() as opened, lane(opened) as first, lane(opened) as second:
        rows = await add_customer(first, "anna")
        began = first.transaction()
        await began.start()
        assert await parts.lock_stock(first, ["mug", "cap"]) == {"mug": 0, "cap": 0}
        waiting = asyncio.create_task(_locked(second, ["cap", "bag"]))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        await rows.write(counters=[("reward:mug", 3), ("reward:cap", 4)])
        await began.commit()
        assert await asyncio.wait_for(waiting, 5) == {"bag": 0, "cap": 4}
        assert await _locked(first, ["mug"]) == {"mug": 3}


async def _locked(connection: parts.Connection, rewards: list[str]) -> dict[str, int]:
    async with connection.transaction():
        return await parts.lock_stock(connection, rewards)


@pytest.mark.each_postgres
async def test_codes_are_given_in_order_and_once(anna: Rows) -> None:
    codes = [("mug", n, bytes([n]) * 32, f"code {n}".encode()) for n in (1, 2, 3)]
    await anna.connection.executemany(
        "insert into reward_codes (reward, n, code_hash, code) values ($1, $2, $3, $4)",
        [*codes, ("cap", 1, bytes(32), b"other")],
    )
    assert await parts.next_codes(anna.connection, "mug", 2) == [codes[0][1:], codes[1][1:]]
    claim = anna.new_id()
    await anna.write(codes=[("mug", 1, claim)])
    await anna.write(codes=[("mug", 1, anna.new_id())])
    assert [code.n for code in await parts.next_codes(anna.connection, "mug", 9)] == [2, 3]
    given = await anna.connection.fetch("select reward, n, event_id from reward_codes where event_id is not null")
    assert [tuple(row) for row in given] == [("mug", 1, claim)], "the first one keeps it"


# Due work


@pytest.mark.each_postgres
async def test_what_is_due_is_found_and_when_the_next_is(anna: Rows) -> None:
    now, hour = day("2026-05-01"), timedelta(hours=1)
    released = anna.lot(0, pending=5, release_at=now)
    ended = anna.lot(expires_at=now, wallet="gems")
    both = anna.lot(pending=3, release_at=now - hour, expires_at=now - hour)
    idle = [anna.lot(0, pending=5), anna.lot(0, expires_at=now), anna.lot(0, release_at=now), anna.lot()]
    await anna.write_lots(released, ended, both, *idle, anna.lot(expires_at=now + 4 * hour))
    opening, later = await anna.open_order(order_key("A-1")), await anna.open_order(order_key("A-2"))
    timed_out, held = reservation(anna, now), reservation(anna, now + 2 * hour)
    await anna.write(
        orders=[(1, opening.id, order_of(anna, opening.id), now), (1, later.id, None, now + 3 * hour)],
        reservations=[(1, timed_out), (1, held), (1, _as(reservation(anna, now), "released"))],
    )
    found = await parts.load_due(anna.connection, anna.key, now)
    assert {lot.key: lot for lot in found.lots} == {lot.key: lot for lot in (released, ended, both)}
    assert len(found.lots) == 3, "each once"
    assert (found.until, found.orders, found.reservations) == (now, (opening.id,), (timed_out,))
    assert found.later == now + 2 * hour
    for moment, expected in [(now + 2 * hour, 3), (now + 3 * hour, 4), (now + 4 * hour, None)]:
        later_on = (await parts.load_due(anna.connection, anna.key, moment)).later
        assert later_on == (now + expected * hour if expected else None)
    before = await parts.load_due(anna.connection, anna.key, now - 2 * hour)
    assert (before.lots, before.orders, before.reservations, before.later) == ((), (), (), now - hour)


@pytest.mark.each_postgres
async def test_much_that_is_due_is_cut_between_two_moments(anna: Rows) -> None:
    """Everything of one moment comes together, however few were asked for; the rest is told by `later`."""
    days = [day(f"2026-05-0{n}") for n in (1, 2, 2, 2, 3, 4)]
    endings = [anna.lot(expires_at=moment, wallet=f"w{n % 2}") for n, moment in enumerate(days)]
    release = anna.lot(0, pending=1, release_at=days[4])
    await anna.write_lots(*endings, release)
    for most, lots, until, later in [(1, 1, 0, 1), (2, 4, 1, 4), (4, 4, 1, 4), (5, 6, 4, 5), (7, 7, 5, None)]:
        found = await parts.load_due(anna.connection, anna.key, days[5], most)
        assert (len(found.lots), found.until) == (lots, days[until]), most
        assert found.later == (days[later] if later else None), most
    whole = await parts.load_due(anna.connection, anna.key, day("2026-06-01"), 8)
    assert (len(whole.lots), whole.until, whole.later) == (7, day("2026-06-01"), None)


@pytest.mark.each_postgres
async def test_qualifying_points_count_when_they_were_earned(anna: Rows) -> None:
    """Release and reversal count at the time of earning; what stays inside or outside of lifetime does not count."""
    earned = day("2025-12-31")
    moves = [
        ("program", "available", 10, True, None, "points"), ("program", "pending", 20, True, None, "points"),
        ("pending", "available", 30, True, earned, "points"), ("available", "program", 4, True, earned, "points"),
        ("available", "spent", 5, True, None, "points"), ("pending", "program", 6, True, None, "points"),
        ("program", "available", 7, False, None, "points"), ("program", "available", 8, True, None, "gems"),
        ("debt", "program", 2, True, None, "points"),
    ]  # fmt: skip
    event = anna.event(occurred_at=day("2026-03-01"))
    postings = [
        Posting(n=n, wallet=wallet, from_state=left, to_state=entered, points=points, qualifying=qualifying,
                lot_event=None, lot_n=None, occurred_at=START, reason="award", earned_at=counts)
        for n, (left, entered, points, qualifying, counts, wallet) in enumerate(moves)
    ]  # fmt: skip
    await anna.write(events=[event], postings=[(1, posting) for posting in postings])
    known = recorded_at(event.id)
    assert await parts.load_qualifying(anna.connection, anna.key, "points") == [
        (event.occurred_at, known, 10), (earned, known, 30), (earned, known, -4), (event.occurred_at, known, -2),
    ]  # fmt: skip
