"""Idempotency: a reference pays once, for ever, and its resends are answered from the record."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.conftest import TestDatabase
from tests.pipeline.shop import (
    BASE,
    PURCHASE,
    Shop,
    answer,
    code,
    codes,
    document,
    open_shop,
    purchase,
    record,
    signup,
)
from troth.core.record import encode_answer
from troth.pipeline.outcome import RawEvent, Rejected


@pytest.fixture
async def shop(database: TestDatabase) -> AsyncIterator[Shop]:
    async with open_shop(database, document()) as opened:
        yield opened


@pytest.mark.each_postgres
async def test_the_same_reference_pays_once(shop: Shop) -> None:
    first = await shop.one(purchase("anna", "125.00", "order_123"))
    assert (code(first), record(first).points) == ("applied", 125)
    for amount in ("125.00", "125", 125):  # equal once coerced
        again = await shop.one(purchase("anna", amount, "order_123"))
        assert (code(again), answer(again)) == ("duplicate", answer(first))
    assert (await shop.balance("anna"), await shop.count("events"), await shop.posted()) == (125, 1, 125)


async def test_other_content_is_answered_with_the_first_and_a_mark(shop: Shop) -> None:
    first = await shop.one(purchase("anna", "125.00", "r"))
    other = await shop.one(purchase("anna", "126.00", "r"))
    assert (code(other), record(other)) == ("payload_mismatch", record(first))
    text = encode_answer(record(other), duplicate=True, payload_mismatch=True)
    assert b'"duplicate":true,"payload_mismatch":true' in text
    assert await shop.balance("anna") == 125


async def test_personal_properties_are_not_compared(shop: Shop) -> None:
    await shop.one(purchase("anna", "1", "r", properties={"email": "a@example.org"}))
    assert code(await shop.one(purchase("anna", "1", "r", properties={"email": "b@example.org"}))) == "duplicate"


async def test_undeclared_properties_are_compared(shop: Shop) -> None:
    await shop.one(purchase("anna", "1", "r", properties={"basket": {"b": 1, "a": [2]}}))
    same, other = {"basket": {"a": [2], "b": 1}}, {"basket": {"a": [2], "b": 2}}
    assert code(await shop.one(purchase("anna", "1", "r", properties=same))) == "duplicate"
    assert code(await shop.one(purchase("anna", "1", "r", properties=other))) == "payload_mismatch"


@pytest.mark.parametrize(
    "other",
    [
        purchase("berta", "125", "r"),
        signup("anna", "r"),
        signup("berta", "r"),
        purchase("Anna", "125", "r"),  # ids are compared exactly
        purchase("anna ", "125", "r"),
    ],
)
async def test_another_customer_or_type_is_a_conflict(shop: Shop, other: RawEvent) -> None:
    await shop.one(purchase("anna", "125", "r"))
    assert code(await shop.one(other)) == "reference_conflict"
    assert (await shop.count("events"), await shop.count("identities")) == (1, 1)


async def test_references_are_compared_exactly(shop: Shop) -> None:
    names = ["r", "R", "r ", "ŕ", "r\u0301", "0", "00", "x" * 255]
    assert codes(await shop.send(*(purchase("anna", "1", name) for name in names))) == ["applied"] * len(names)
    assert codes(await shop.send(*(purchase("anna", "1", name) for name in names))) == ["duplicate"] * len(names)


async def test_without_a_reference_every_event_is_its_own(shop: Shop) -> None:
    outcomes = await shop.send(*(purchase("anna", "10") for _ in range(3)))
    assert [record(outcome).reference for outcome in outcomes] == [record(outcome).id for outcome in outcomes]
    assert await shop.balance("anna") == 30
    # Its own id is then the reference.
    assert code(await shop.one(purchase("anna", "10", record(outcomes[0]).id))) == "duplicate"


@pytest.mark.parametrize("reference", ["sys:", "sys:birthday:anna:2026"])
async def test_the_engines_own_references_are_reserved(shop: Shop, reference: str) -> None:
    assert code(await shop.one(purchase("anna", "1", reference))) == "reserved_reference"
    assert code(await shop.one(purchase("anna", "1", "SYS:1"))) == "applied"


async def test_twins_in_one_batch_pay_once(shop: Shop) -> None:
    outcomes = await shop.send(
        purchase("anna", "10", "r"),
        purchase("anna", "10", "r"),
        purchase("anna", "11", "r"),
        purchase("berta", "1", "r"),
    )
    assert codes(outcomes) == ["applied", "duplicate", "payload_mismatch", "reference_conflict"]
    assert {record(outcome).id for outcome in outcomes[:3]} == {record(outcomes[0]).id}
    assert (await shop.balance("anna"), await shop.count("identities")) == (10, 1)


async def test_a_twin_is_judged_in_the_place_of_a_refused_first(shop: Shop) -> None:
    """The decision refuses anna's second sign-up; its reference is free for berta's, in the same batch."""
    assert codes(await shop.send(signup("anna", "first"))) == ["applied"]
    outcomes = await shop.send(signup("anna", "r"), signup("berta", "r"), signup("anna", "r"))
    assert codes(outcomes) == ["not_repeatable", "applied", "reference_conflict"]


async def test_a_refused_event_can_be_sent_again(shop: Shop) -> None:
    await shop.one(signup("anna"))
    for _ in range(2):
        assert code(await shop.one(signup("anna", "r"))) == "not_repeatable"
    assert await shop.count("event_refs") == 1
    assert code(await shop.one(purchase("anna", "5", "r"))) == "applied"


async def test_an_invalid_event_uses_nothing_up(shop: Shop) -> None:
    refused = await shop.one(purchase("anna", "abc", "r"))
    assert isinstance(refused, Rejected)
    assert [(problem.pointer, problem.code) for problem in refused.problems] == [("/properties/amount", "type")]
    assert (await shop.count("event_refs"), await shop.count("identities")) == (0, 0)
    assert code(await shop.one(purchase("anna", "5", "r"))) == "applied"


RATED = {**PURCHASE, "properties": {"rating": {"type": "number", "required": True}}}


async def test_a_resend_that_todays_schema_refuses_is_a_duplicate(shop: Shop) -> None:
    first = await shop.one(purchase("anna", "10", "r"))
    await shop.publish(document(event_types=[RATED], rules=[]))
    await shop.one(purchase("berta", "1", properties={"rating": 1}))  # the engine now knows the new program
    again = await shop.one(purchase("anna", "10", "r"))
    assert (code(again), answer(again)) == ("duplicate", answer(first))
    assert code(await shop.one(purchase("anna", "11", "r"))) == "payload_mismatch"
    assert code(await shop.one(purchase("berta", "10", "r"))) == "reference_conflict"
    assert code(await shop.one(purchase("anna", "10", "s"))) == "missing"


@pytest.mark.parametrize("amount", ["abc", None, "1.234", [], "NaN"])
async def test_a_resend_that_never_fitted_is_a_duplicate_with_other_content(shop: Shop, amount: object) -> None:
    first = await shop.one(purchase("anna", "10", "r"))
    again = await shop.one(purchase("anna", amount, "r"))
    assert (code(again), record(again)) == ("payload_mismatch", record(first))


@pytest.mark.parametrize("customer", ["anna\0", "\ud800", "x" * 256, "", 5, None, ["anna"]])
async def test_a_resend_by_nobody_is_refused(shop: Shop, customer: object) -> None:
    await shop.one(purchase("anna", "10", "r"))
    assert isinstance(await shop.one(purchase(customer, "10", "r")), Rejected)


async def test_a_sender_without_the_right_learns_nothing_of_the_record(shop: Shop) -> None:
    """A publishable key may not read: not even by resending."""
    await shop.one(purchase("anna", "10", "r"))
    assert code(await shop.one(purchase("anna", "10", "r", is_client=True))) == "not_client_allowed"


async def test_a_removed_type_still_answers_its_resends(shop: Shop) -> None:
    first = await shop.one(purchase("anna", "10", "r"))
    await shop.publish(document(event_types=[{"id": "visit"}], rules=[]))
    assert code(await shop.one(RawEvent(customer="berta", type="visit"))) == "applied"
    assert answer(await shop.one(purchase("anna", "10", "r"))) == answer(first)


async def test_a_changed_rule_does_not_change_a_recorded_answer(shop: Shop) -> None:
    first = await shop.one(purchase("anna", "10", "r"))
    await shop.publish(document({**BASE, "award": "properties.amount * 9"}))
    assert answer(await shop.one(purchase("anna", "10", "r"))) == answer(first)
    assert record(await shop.one(purchase("anna", "10", "s"))).points == 90
