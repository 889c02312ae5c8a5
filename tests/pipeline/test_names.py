"""A customer's name and row stand or fall together, and a broken pair never hangs a lane."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.conftest import TestDatabase
from tests.pipeline.books_balance import check_books
from tests.pipeline.shop import Shop, codes, document, open_shop, purchase
from troth import limits


@pytest.fixture
async def shop(database: TestDatabase) -> AsyncIterator[Shop]:
    async with open_shop(database, document(), lanes=1) as opened:
        yield opened


async def test_a_refused_first_event_names_nobody(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """BALANCE_POINTS is the one refusal that a first event can meet; here it is 100."""
    assert limits.BALANCE_POINTS == 2**53 - 1
    monkeypatch.setattr(limits, "BALANCE_POINTS", 100)
    for _ in range(2):
        assert codes(await shop.send(purchase("anna", "101"), purchase("berta", "1"))) == ["balance_limit", "applied"]
    assert [await shop.count(table) for table in ("identities", "customers", "personal_keys")] == [1, 1, 1]
    assert codes(await shop.send(purchase("anna", "101"), purchase("anna", "99"))) == ["balance_limit", "applied"]
    assert (await shop.balance("anna"), await shop.balance("berta")) == (99, 2)
    await check_books(shop.database)


async def test_a_name_without_its_customer_fails_and_does_not_hang(shop: Shop, database: TestDatabase) -> None:
    """NAME_TRIES: what only a broken database shows ends as our mistake, for this customer alone."""
    assert limits.NAME_TRIES > 1
    await shop.send(purchase("anna"), purchase("berta"))
    async with database.owner() as owner:
        await owner.execute(
            "delete from customers where id = (select customer_id from identities where external_id = 'anna')"
        )
    assert codes(await shop.send(purchase("anna"), purchase("berta"))) == ["internal_error", "applied"]
    assert await shop.balance("berta") == 20
