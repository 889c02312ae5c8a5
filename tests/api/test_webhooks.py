"""Webhooks over HTTP: set up, changed, rotated, listed; what is refused, what is never shown, and who may."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.serving import Served, serving
from troth import limits
from troth.config import Config
from troth.embedded.access import DatabaseAccess

PATH = "/v1/webhooks"
URL = "https://shop.example/hooks"


@pytest.fixture
async def quiet(database: DatabaseAccess) -> AsyncIterator[Served]:
    """A server that delivers nothing."""
    async with serving(database, Config(delivers=False)) as server:
        yield server


async def add(server: Served, **settings: object) -> dict[str, Any]:
    answer = await server.post(PATH, {"url": URL, **settings})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def change(server: Served, webhook: dict[str, Any], status: int = 200, **settings: object) -> dict[str, Any]:
    answer = await server.request("PATCH", f"{PATH}/{webhook['id']}", json=settings)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_webhook_is_set_up_changed_and_deleted(quiet: Served) -> None:
    made = await add(quiet, topics=["points.*", "points.*"], description="CRM", headers={"X-Key": "hidden"})
    assert made["secret"].startswith("whsec_")
    shown = (await quiet.get(f"{PATH}/{made['id']}")).json()
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    assert (shown["topics"], shown["format"], shown["enabled"]) == (["points.*"], "standard", True)
    assert (shown["header_names"], shown["description"]) == (["X-Key"], "CRM")
    changed = await change(quiet, made, url=URL + "/2", enabled=False, headers={})
    assert (changed["url"], changed["enabled"], changed["header_names"]) == (URL + "/2", False, [])
    assert (changed["topics"], changed["description"]) == (["points.*"], "CRM")
    assert (changed["disabled_at"], changed["disabled_reason"]) == (None, None), "it was its owner's wish"
    assert (await change(quiet, made)) == {
        **changed,
        "updated_at": (await quiet.get(f"{PATH}/{made['id']}")).json()["updated_at"],
    }
    gone = await quiet.request("DELETE", f"{PATH}/{made['id']}")
    assert (gone.status_code, gone.content) == (204, b"")
    for path in (f"{PATH}/{made['id']}", f"{PATH}/{made['id']}/deliveries", f"{PATH}/nonsense"):
        assert (await quiet.get(path)).status_code == 404


async def test_a_webhook_says_which_of_its_topics_are_never_sent(quiet: Served) -> None:
    made = await add(quiet, topics=["points.*", "customer.*", "segment.entered"])
    assert (made["topics"], made["never_sent"]) == (["points.*", "customer.*", "segment.entered"], ["segment.entered"])
    changed = await change(quiet, made, topics=["*", "customer.erased"])
    assert changed["never_sent"] == ["customer.erased"]


async def test_secrets_lie_sealed(quiet: Served) -> None:
    made = await add(quiet, headers={"X-Key": "hidden"})
    await add(quiet, format="segment", write_key="wk_secret")
    async with quiet.database.owner() as owner:
        rows = await owner.fetch("select secret, headers from webhooks")
    stored = b"".join(value or b"" for row in rows for value in row)
    assert len(stored) > 300
    assert not any(text in stored for text in (made["secret"].encode(), b"hidden", b"wk_secret"))
    listed = (await quiet.get(PATH)).text
    assert not any(text in listed for text in (made["secret"], "hidden", "wk_secret"))


async def test_pages(quiet: Served) -> None:
    made = [(await add(quiet))["id"] for _ in range(5)]
    first = (await quiet.get(PATH, params={"limit": 3})).json()
    rest = (await quiet.get(PATH, params={"limit": 3, "cursor": first["next"]})).json()
    assert [item["id"] for page in (first, rest) for item in page["items"]] == made
    assert rest["next"] is None


BAD: list[tuple[object, list[tuple[str, str]]]] = [
    ({}, [("/url", "missing")]),
    ([], [("", "not_an_object")]),
    (
        {"url": 5, "enabled": "yes", "colour": "red"},
        [("/url", "type"), ("/enabled", "type"), ("/colour", "unknown_field")],
    ),
    ({"url": "ftp://shop.example"}, [("/url", "invalid_url")]),
    ({"url": "https://"}, [("/url", "invalid_url")]),
    ({"url": "https://shop.example:99999/"}, [("/url", "invalid_url")]),
    ({"url": "https://ada:secret@shop.example/"}, [("/url", "invalid_url")]),
    ({"url": "https://shop.example/#x"}, [("/url", "invalid_url")]),
    ({"url": "https://shöp.example/"}, [("/url", "invalid_url")]),
    ({"url": "https://shop.example/a b"}, [("/url", "invalid_url")]),
    ({"url": URL + "x" * limits.WEBHOOK_URL_LENGTH}, [("/url", "too_long")]),
    ({"url": "http://127.0.0.1/"}, [("/url", "private_address")]),
    ({"url": "http://[::ffff:169.254.169.254]/"}, [("/url", "private_address")]),
    ({"url": URL, "topics": []}, [("/topics", "type")]),
    (
        {"url": URL, "topics": ["points.earned", "points.burnt", 5]},
        [("/topics/1", "unknown_topic"), ("/topics/2", "unknown_topic")],
    ),
    ({"url": URL, "format": "xml"}, [("/format", "not_in_enum")]),
    ({"url": URL, "format": "segment"}, [("/write_key", "missing")]),
    ({"url": URL, "write_key": "x"}, [("/write_key", "unknown_field")]),
    ({"url": URL, "format": "segment", "write_key": "a:b"}, [("/write_key", "invalid_character")]),
    ({"url": URL, "headers": {"webhook-id": "x"}}, [("/headers/webhook-id", "not_allowed")]),
    ({"url": URL, "headers": {"Host": "x"}}, [("/headers/Host", "not_allowed")]),
    ({"url": URL, "headers": {"X A": "x"}}, [("/headers/X A", "not_allowed")]),
    ({"url": URL, "headers": {"X-A": "a\r\nX-B: b"}}, [("/headers/X-A", "invalid_character")]),
    ({"url": URL, "headers": {"X-A": 5}}, [("/headers/X-A", "type")]),
    ({"url": URL, "headers": {"X-A": "x" * (limits.WEBHOOK_HEADER_LENGTH + 1)}}, [("/headers/X-A", "too_long")]),
    ({"url": URL, "headers": {f"X-{n}": "x" for n in range(limits.WEBHOOK_HEADERS + 1)}}, [("/headers", "type")]),
    ({"url": URL, "description": "x" * (limits.TEXT_LENGTH + 1)}, [("/description", "too_long")]),
]


async def test_bad_webhooks_are_problems_with_pointers(quiet: Served) -> None:
    for body, problems in BAD:
        answer = await quiet.post(PATH, body)
        assert answer.status_code == 422, (body, answer.text)
        assert [(item["pointer"], item["code"]) for item in answer.json()["errors"]] == problems
    assert (await quiet.post(PATH, b"{")).status_code == 400
    assert (await quiet.get(PATH)).json()["items"] == []


async def test_changes_are_checked_like_new_ones(quiet: Served) -> None:
    made = await add(quiet)
    assert (await change(quiet, made, 422, url="http://10.0.0.1/"))["code"] == "private_address"
    assert (await change(quiet, made, 422, write_key="x"))["code"] == "unknown_field"
    assert (await change(quiet, made, 422, format="segment", write_key="x"))["code"] == "cannot_change"
    segment = await add(quiet, format="segment", write_key="x")
    assert (await change(quiet, segment, write_key="y"))["format"] == "segment"
    assert (await quiet.post(f"{PATH}/{segment['id']}/rotate", {})).json()["code"] == "no_secret"


async def test_production_sends_over_https(database: DatabaseAccess) -> None:
    async with serving(database, Config(mode="production", delivers=False)) as server:
        refused = await server.post(PATH, {"url": "http://shop.example/"})
        assert (refused.status_code, refused.json()["code"]) == (422, "https_required")
        await add(server)


async def test_there_are_only_so_many(quiet: Served) -> None:
    made = [await add(quiet) for _ in range(limits.WEBHOOKS)]
    refused = await quiet.post(PATH, {"url": URL})
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_webhooks")
    await quiet.request("DELETE", f"{PATH}/{made[0]['id']}")
    await add(quiet)


async def test_the_overlap_of_a_rotation(quiet: Served) -> None:
    made = await add(quiet)
    path = f"{PATH}/{made['id']}/rotate"
    usual = (await quiet.post(path, {})).json()
    assert usual["old_secret_until"] is not None
    assert limits.WEBHOOK_OVERLAP_HOURS == 24
    for hours in (-1, limits.WEBHOOK_OVERLAP_HOURS_MAX + 1, "2", True, 1.5):
        assert (await quiet.post(path, {"overlap_hours": hours})).json()["code"] == "out_of_range", hours
    assert (await quiet.post(path, {"hours": 1})).json()["code"] == "unknown_field"
    at_once = (await quiet.post(path, {"overlap_hours": 0})).json()
    assert len({made["secret"], usual["secret"], at_once["secret"]}) == 3
    async with quiet.database.owner() as owner:
        assert await owner.fetchval("select old_secret from webhooks") is None


async def test_deliveries_by_pages_and_filters(quiet: Served) -> None:
    made = await add(quiet)
    path = f"{PATH}/{made['id']}"
    pings = [(await quiet.post(f"{path}/test")).json() for _ in range(5)]
    async with quiet.database.owner() as owner:
        key = pings[2]["id"].removeprefix("dlv_")
        await owner.execute("update webhook_deliveries set status = 'failed' where id = $1", key)
    first = (await quiet.get(f"{path}/deliveries", params={"limit": 3})).json()
    rest = (await quiet.get(f"{path}/deliveries", params={"limit": 3, "cursor": first["next"]})).json()
    assert [item["id"] for page in (first, rest) for item in page["items"]] == [ping["id"] for ping in pings[::-1]]
    assert "attempts" not in first["items"][0]
    assert pings[0]["attempts"] == []

    async def found(**filters: str) -> int:
        return len((await quiet.get(f"{path}/deliveries", params=filters)).json()["items"])

    assert [await found(status=status) for status in ("waiting", "delivered", "failed")] == [4, 0, 1]
    assert [await found(topic=topic) for topic in ("webhook.ping", "points.earned")] == [5, 0]
    assert (await quiet.get(f"{path}/deliveries", params={"status": "lost"})).status_code == 422
    assert (await quiet.get(f"{path}/deliveries/dlv_{'0' * 32}")).status_code == 404
    other = await add(quiet)
    assert (await quiet.get(f"{PATH}/{other['id']}/deliveries/{pings[0]['id']}")).status_code == 404
    missing = await quiet.post(f"{PATH}/{other['id']}/deliveries/{pings[0]['id']}/redeliver")
    assert missing.status_code == 404
    await change(quiet, made, enabled=False)
    for asked in ("test", f"deliveries/{pings[0]['id']}/redeliver"):
        assert (await quiet.post(f"{path}/{asked}")).json()["code"] == "disabled"


async def test_who_may(quiet: Served) -> None:
    made = await add(quiet)
    reader, _ = await quiet.make_key(scopes=("webhooks:read",))
    stranger, _ = await quiet.make_key(scopes=("events:write", "program:write"))
    path = f"{PATH}/{made['id']}"
    for method, asked, writes in (
        ("GET", PATH, False),
        ("GET", path, False),
        ("GET", f"{path}/deliveries", False),
        ("POST", PATH, True),
        ("PATCH", path, True),
        ("DELETE", path, True),
        ("POST", f"{path}/rotate", True),
        ("POST", f"{path}/test", True),
    ):
        assert (await quiet.request(method, asked, key=stranger)).status_code == 403
        assert ((await quiet.request(method, asked, key=reader)).status_code == 403) == writes
    assert (await quiet.get(path)).status_code == 200


def measured(text: str, name: str) -> float:
    return float(next(line for line in text.splitlines() if line.startswith(f"troth_{name} ")).split()[1])


async def test_measurements(quiet: Served) -> None:
    made = await add(quiet)
    for _ in range(3):
        await quiet.post("/v1/events", {"customer": "ada", "type": "login"})
    await quiet.post(f"{PATH}/{made['id']}/test")
    text = (await quiet.get("/metrics", key=None)).text
    assert (measured(text, "outbox_waiting"), measured(text, "webhook_deliveries_waiting")) == (3, 1)
    assert (measured(text, "webhooks_enabled"), measured(text, "webhooks_failing")) == (1, 0)
    assert 0 < measured(text, "webhook_oldest_seconds") < 300
    async with quiet.database.owner() as owner:
        await owner.execute("update webhooks set delivered = 7, given_up = 2, failing_since = now()")
        await owner.execute("drop table outbox")
    assert measured((await quiet.get("/metrics", key=None)).text, "webhook_deliveries_total") == 0, "as it was"


async def test_measurements_count_up_to_a_bound(quiet: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    await add(quiet)
    for name in "abc":
        await quiet.post("/v1/events", {"customer": name, "type": "login"})
    monkeypatch.setattr(limits, "OUTBOX_COUNTED", 2)
    assert measured((await quiet.get("/metrics", key=None)).text, "outbox_waiting") == 2
