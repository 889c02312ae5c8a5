"""Who events are about: unknown customers, exact names, previews that write nothing, duplicates that are equal."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.conftest import TestDatabase
from tests.pipeline.books_balance import check_books
from tests.pipeline.shop import BASE, Shop, answer, code, codes, document, open_shop, purchase, record, signup
from troth import limits
from troth.core.ids import bucket_in, bucket_of, read_id
from troth.pipeline.outcome import RawEvent, Rejected

TIERS = {
    "basis": {"wallet": "points", "window": "lifetime"},
    "levels": [{"id": "bronze", "from": "0"}, {"id": "silver", "from": "100", "multiplier": "1.5"}],
}
RISE = {"id": "rise", "event_type": "tier_upgraded", "award": "10"}
CAPPED = {**BASE, "limits": [{"points": "150", "window": "ever"}]}


@pytest.fixture
async def shop(database: TestDatabase) -> AsyncIterator[Shop]:
    async with open_shop(database, document(CAPPED, RISE, tiers=TIERS)) as opened:
        yield opened


@pytest.fixture
async def closed_shop(database: TestDatabase) -> AsyncIterator[Shop]:
    settings = {"name": "Shop", "unknown_customer": "reject"}
    async with open_shop(database, document(settings=settings)) as opened:
        yield opened


async def test_unknown_customers_are_rejected_where_the_program_says_so(closed_shop: Shop) -> None:
    for _ in range(2):
        assert code(await closed_shop.one(purchase("anna", "10", "r"))) == "unknown_customer"
    assert [await closed_shop.count(table) for table in ("events", "identities", "event_refs", "customers")] == [0] * 4


@pytest.mark.parametrize("founding", ["profile", "opt_in"])
async def test_some_types_create_a_customer_all_the_same(closed_shop: Shop, founding: str) -> None:
    created = RawEvent(customer="anna", type=founding)
    assert code(await closed_shop.engine.batcher.preview(created)) == "applied"
    assert code(await closed_shop.engine.batcher.preview(purchase("anna"))) == "unknown_customer"
    assert codes(await closed_shop.send(created)) == ["applied"]
    assert codes(await closed_shop.send(purchase("anna", "10"))) == ["applied"]


async def test_a_founder_opens_the_door_for_the_rest_of_its_batch(closed_shop: Shop) -> None:
    found = await closed_shop.send(RawEvent(customer="anna", type="profile"), purchase("anna", "10"), purchase("berta"))
    assert codes(found) == ["applied", "applied", "unknown_customer"]


async def test_names_are_compared_exactly(shop: Shop) -> None:
    names = [
        "anna",
        "Anna",
        "anna ",
        " anna",
        "ánna",
        "a\u0301nna",
        "0123",
        "123",
        "x" * 255,
        "\U0001f600" * 255,
        "a\nb",
    ]
    assert set(codes(await shop.send(*(purchase(name, "1") for name in names)))) == {"applied"}
    assert await shop.count("identities") == len(names)
    assert [await shop.balance(name) for name in names] == [1] * len(names)


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("customer", None, "missing"),
        ("customer", "", "missing"),
        ("customer", 374397439743, "type"),
        ("customer", "x" * 256, "too_long"),
        ("customer", "a\0b", "nul_character"),
        ("customer", "\ud800", "invalid_text"),
        ("reference", "", "missing"),
        ("reference", "x" * 10_000, "too_long"),
        ("reference", "a\0b", "nul_character"),
        ("reference", 5, "type"),
        ("type", None, "missing"),
        ("type", "visit", "unknown_type"),
        ("type", ["purchase"], "type"),
        ("type", "tier_upgraded", "system_type"),
        ("type", "points_expired", "system_type"),
        ("type", "reward_claimed", "system_type"),
        ("type", "opt_out", "not_available"),
        ("properties", [], "type"),
        ("properties", None, "type"),
    ],
)
async def test_a_wrong_field_is_named(shop: Shop, field: str, value: object, problem: str) -> None:
    assert limits.IDENTIFIER_LENGTH == 255
    fields = {"customer": "anna", "type": "purchase", "properties": {"amount": "1"}, field: value}
    outcome = await shop.one(RawEvent(**fields))
    assert isinstance(outcome, Rejected)
    assert (outcome.problems[0].pointer, outcome.problems[0].code) == (f"/{field}", problem)
    assert await shop.count("events") == 0


async def test_all_problems_are_told_at_once(shop: Shop) -> None:
    properties = {"amount": "1.234", "category": "a\0b", "basket": {"deep/er": "NaN\0"}}
    sent = RawEvent(customer=5, type="purchase", reference="", properties=properties, extra={"custmer": "x"})
    outcome = await shop.one(sent)
    assert isinstance(outcome, Rejected)
    assert [(found.pointer, found.code) for found in outcome.problems] == [
        ("/customer", "type"),
        ("/reference", "missing"),
        ("/custmer", "unknown_field"),
        ("/properties/amount", "too_many_places"),
    ]
    outcome = await shop.one(RawEvent(customer="anna", type="purchase", properties={**properties, "amount": "1"}))
    assert isinstance(outcome, Rejected)
    assert [(found.pointer, found.code) for found in outcome.problems] == [
        ("/properties/category", "nul_character"),
        ("/properties/basket/deep~1er", "nul_character"),
    ]


async def test_a_preview_is_what_the_event_would_be_and_stores_nothing(shop: Shop) -> None:
    for customer in ("anna", "berta"):
        for amount in ("40", "70", "90"):  # 40, then 70 and silver with 15, then 90 × 1.5 cut to 40
            seen = record(await shop.engine.batcher.preview(purchase(customer, amount)))
            sizes = [await shop.count(table) for table in ("events", "event_refs", "identities", "limit_uses")]
            done = record(await shop.one(purchase(customer, amount)))
            assert sizes[0] == await shop.count("events") - 1 - len(done.caused)
            assert sizes[1] == sizes[0], "every event has its reference; the preview left none"
            assert (seen.points, seen.awards, seen.wallets, seen.seq) == (
                done.points, done.awards, done.wallets, done.seq,
            )  # fmt: skip
            assert [effect.points for effect in seen.caused] == [effect.points for effect in done.caused]
    assert await shop.balance("anna") == 40 + 70 + 15 + 40


async def test_a_preview_of_a_resend_is_the_duplicate(shop: Shop) -> None:
    first = await shop.one(purchase("anna", "10", "r"))
    preview = shop.engine.batcher.preview
    assert answer(await preview(purchase("anna", "10", "r"))) == answer(first)
    assert code(await preview(purchase("anna", "11", "r"))) == "payload_mismatch"
    assert code(await preview(purchase("berta", "10", "r"))) == "reference_conflict"
    assert code(await preview(purchase("berta", "x", "s"))) == "type"
    await shop.one(signup("anna"))
    assert code(await preview(signup("anna"))) == "not_repeatable"


async def test_answers_and_duplicates_are_the_same_bytes(shop: Shop) -> None:
    """With awards, caps, a rise and what it caused; the first from memory, the second from the tables."""
    events = [purchase("anna", amount, f"r{amount}", ip="203.0.113.9") for amount in ("99.99", "150", "7", "0")]
    first, again = await shop.send(*events), await shop.send(*events)
    assert codes(first) == ["applied"] * 4
    assert [answer(outcome) for outcome in again] == [answer(outcome) for outcome in first]
    assert any(record(outcome).caused for outcome in first)
    assert any(award.cap for outcome in first for award in record(outcome).awards)
    assert codes(again) == ["duplicate"] * 4
    await check_books(shop.database)


async def test_ids_carry_their_customers_bucket(shop: Shop) -> None:
    (outcome,) = await shop.send(purchase("anna", "1"))
    event_id = read_id("evt", record(outcome).id)
    assert event_id is not None
    assert bucket_in(event_id) == bucket_of("anna")
    ((customer_bucket, customer_id),) = await shop.rows("select bucket, id from customers")
    assert (customer_bucket, bucket_in(customer_id)) == (bucket_of("anna"), bucket_of("anna"))
