"""Event and outbox row: both or none; and with no webhook not one row more."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.outbox.conftest import Desk
from tests.pipeline.shop import VAULT, Shop, document, open_shop, purchase, signup
from troth.embedded.access import DatabaseAccess
from troth.engine import running_engine
from troth.store.pool import Connection
from troth.store.row_ids import new_id
from troth.store.webhooks import Webhook, changing, delete, insert, seal


def webhook() -> Webhook:
    key = new_id()
    return Webhook(
        id=key,
        url="https://shop.example",
        topics=("*",),
        format="standard",
        description="",
        headers=None,
        secret=seal(VAULT, key, "whsec_"),
        old_secret=None,
        old_secret_until=None,
        enabled=True,
        created_at=datetime.now(UTC),
        updated_at=datetime.now(UTC),
    )


async def listen(shop: Shop) -> Webhook:
    made = webhook()
    async with shop.database.pool.acquire() as connection, changing(connection):
        await insert(connection, made)
    return made


async def outbox(shop: Shop) -> set[str]:
    return {row["id"] for row in await shop.rows("select id from outbox")}


async def events(shop: Shop) -> set[str]:
    return {row["id"] for row in await shop.rows("select id from events")}


async def test_without_a_webhook_nothing_is_written(database: DatabaseAccess) -> None:
    async with open_shop(database, document()) as shop:
        await shop.send(purchase("ada"), purchase("bea"))
        await shop.one(purchase("ada"))
        await shop.publish(document(settings={"name": "Other"}))
        assert await outbox(shop) == set()
        made = await listen(shop)
        await shop.one(purchase("ada"))
        assert len(await outbox(shop)) == 1
        async with shop.database.pool.acquire() as connection, changing(connection):
            await delete(connection, made.id)
        await shop.one(purchase("ada"))
        assert len(await outbox(shop)) == 1


async def test_every_event_has_its_row_and_no_other(database: DatabaseAccess) -> None:
    async with open_shop(database, document()) as shop:
        await listen(shop)
        await shop.send(purchase("ada", reference="a"), purchase("bea", reference="b"))
        await shop.send(purchase("ada", reference="c"))  # the usual batch
        await shop.send(purchase("ada", reference="c"), purchase("cid", reference="a"), signup("bea"), signup("bea"))
        assert len(await events(shop)) == 4
        assert await outbox(shop) == await events(shop)
        await shop.publish(document(settings={"name": "Other"}))
        (row,) = await shop.rows("select revision from outbox where revision is not null")
        assert row["revision"] == 2


async def test_what_is_not_committed_is_not_told(database: DatabaseAccess) -> None:
    async def refuse(_: Connection) -> None:
        raise LookupError

    async with open_shop(database, document()) as shop:
        await listen(shop)
        with pytest.raises(LookupError):
            await shop.send(purchase("ada"), companion=refuse)
        assert await outbox(shop) == await events(shop) == set()
        async with database.owner() as owner:
            await owner.execute("create function no() returns trigger language plpgsql as $$begin raise 'no'; end$$")
            await owner.execute("create trigger no before insert on outbox for each row execute function no()")
        with pytest.raises(Exception, match="no"):
            await shop.one(purchase("ada"))
        assert await events(shop) == set(), "no event without its row"


async def test_history_is_not_told(database: DatabaseAccess) -> None:
    async with open_shop(database, document()) as shop:
        await listen(shop)
        old = purchase("ada", reference="old", is_historical=True)
        await shop.send(old, purchase("ada", reference="new"), purchase("bea", is_historical=True))
        await shop.one(purchase("ada", is_historical=True))
        assert len(await events(shop)) == 4
        assert len(await outbox(shop)) == 1


async def test_what_falls_due_is_told(desk: Desk) -> None:
    await desk.add("http://127.0.0.1:9/", topics=["points.expired"])
    await desk.served.post("/v1/clock", {"now": "2026-03-01T10:00:00Z"})
    await desk.send("ada")
    await desk.served.post("/v1/clock", {"now": "2030-01-01T10:00:00Z"})
    async with (
        desk.served.database.open_database(connections=2) as database,
        running_engine(database, desk.served.vault) as engine,
    ):
        assert await engine.settle() == 1
        shop = Shop(database=database, engine=engine)
        assert await outbox(shop) == await events(shop)
        assert len(await outbox(shop)) >= 2
