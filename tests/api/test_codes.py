"""Pools of reward codes: what is imported, what is counted twice, and that nobody reads a code from the table."""

from __future__ import annotations

import asyncio

import pytest

from tests.serving import Served
from troth import limits
from troth.store.codes import open_code

PATH = "/v1/rewards/voucher-5/codes"


async def send(server: Served, *codes: object) -> dict[str, object]:
    answer = await server.post(PATH, {"codes": list(codes)})
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found


async def test_an_import_can_be_repeated(served: Served) -> None:
    assert (await served.get(PATH)).json() == {"reward": "voucher-5", "free": 0, "given": 0}
    first = await send(served, "B", "A", "B")
    assert first == {"reward": "voucher-5", "free": 2, "given": 0, "added": 2, "duplicates": 1}
    assert await send(served) == {**first, "added": 0, "duplicates": 0}
    assert await send(served, "A", "C", "B ") == {**first, "free": 4, "added": 2, "duplicates": 1}
    assert (await served.get(PATH)).json() == {"reward": "voucher-5", "free": 4, "given": 0}
    async with served.database.owner() as owner:
        rows = await owner.fetch("select n, code_hash, code from reward_codes order by n")
    assert [open_code(served.vault, row["code_hash"], row["code"]) for row in rows] == ["B", "A", "C", "B "]
    assert all(row["code"] != b"A" and len(row["code"]) > 60 for row in rows)


async def test_pools_are_apart(served: Served) -> None:
    await send(served, "A")
    other = await served.post("/v1/rewards/coffee-mug/codes", {"codes": ["A"]})
    assert (other.json()["added"], (await served.get(PATH)).json()["free"]) == (1, 1)


async def test_two_imports_at_once_lose_and_double_nothing(served: Served) -> None:
    codes = [f"code-{number}" for number in range(300)]
    found = await asyncio.gather(*(send(served, *codes[start:], *codes[:start]) for start in range(0, 300, 30)))
    assert sum(int(str(answer["added"])) for answer in found) == 300
    assert (await served.get(PATH)).json()["free"] == 300


BAD = [
    ({}, [("/codes", "missing")]),
    ({"codes": "A"}, [("/codes", "type")]),
    ({"codes": [5, "", "A\0", "x" * (limits.REWARD_CODE_LENGTH + 1), "good"]}, [
        ("/codes/0", "type"), ("/codes/1", "missing"), ("/codes/2", "nul_character"), ("/codes/3", "too_long"),
    ]),
    ({"codes": ["A"], "reward": "x"}, [("/reward", "unknown_field")]),
    ([], [("", "not_an_object")]),
]  # fmt: skip


@pytest.mark.parametrize(("body", "problems"), BAD)
async def test_bad_imports_are_problems_with_pointers(
    served: Served, body: object, problems: list[tuple[str, str]]
) -> None:
    answer = await served.post(PATH, body)
    assert answer.status_code == 422, answer.text
    assert [(item["pointer"], item["code"]) for item in answer.json()["errors"]] == problems
    assert (await served.get(PATH)).json()["free"] == 0


async def test_bounds(served: Served) -> None:
    most = [f"{number:x}" for number in range(limits.REWARD_CODES)]
    refused = await served.post(PATH, {"codes": [*most, "more"]})
    assert (refused.status_code, refused.json()["code"]) == (413, "too_many_codes")
    assert (await send(served, *most[1:], "x" * limits.REWARD_CODE_LENGTH))["added"] == limits.REWARD_CODES
    huge = await served.post(PATH, b" " * (limits.BODY_BYTES_BULK + 1))
    assert huge.status_code == 413
    assert (await served.post(PATH, b"{")).status_code == 400


async def test_who_may(served: Served) -> None:
    for method in ("GET", "POST"):
        missing = await served.request(
            method, "/v1/rewards/nothing/codes", json={"codes": []} if method == "POST" else None
        )
        assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    reader, _ = await served.make_key(scopes=("program:read",))
    assert (await served.get(PATH, key=reader)).status_code == 200
    assert (await served.post(PATH, {"codes": []}, key=reader)).status_code == 403
