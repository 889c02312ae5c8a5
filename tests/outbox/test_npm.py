"""Messages verified by the official library of npm, installed by `npm ci` beside its lock; skipped without node."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.outbox.conftest import Desk
from tests.outbox.receiver import Receiver

CLIENTS = Path(__file__).resolve().parents[1] / "clients"
SECONDS = 60

pytestmark = pytest.mark.slow


async def verified(*messages: tuple[str, dict[str, str], bytes]) -> list[dict[str, Any]]:
    """What the library says of each message."""
    lines = [
        json.dumps({"secret": secret, "headers": headers, "body": body.decode()}) for secret, headers, body in messages
    ]
    process = await asyncio.create_subprocess_exec(
        "node", str(CLIENTS / "verify-webhooks.mjs"), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        told, _ = await asyncio.wait_for(process.communicate("\n".join(lines).encode()), SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0
    return [json.loads(line) for line in told.splitlines()]


async def test_messages_verify(desk: Desk, receiver: Receiver, node_modules: Path) -> None:
    assert node_modules.is_dir()
    webhook = await desk.add(receiver.url, topics=["event.recorded", "points.earned"])
    rotated = (await desk.served.post(f"/v1/webhooks/{webhook['id']}/rotate", {"overlap_hours": 1})).json()
    await desk.send("zoë ✓", "125.00")
    await desk.turn()
    first, second = [(dict(got.headers), got.body) for got in receiver.got]
    told = await verified(
        (webhook["secret"], *first),
        (rotated["secret"], *second),
        (rotated["secret"], first[0], second[1]),
        ("whsec_" + "A" * 32, *first),
    )
    assert [item.get("verified") for item in told[:2]] == [json.loads(first[1]), json.loads(second[1])]
    assert told[0]["verified"]["data"]["customer"] == "zoë ✓"
    assert [item.get("refused") for item in told[2:]] == ["No matching signature found"] * 2
