"""Who may call: requests signed by the library of that family, unsigned ones where they are allowed, nobody else."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from tests.entry.antavo.calling import SCOPE, Shop, error_in, open_shop
from tests.entry.sourcing import counters, points_of
from tests.serving import Served, serving
from troth import limits
from troth.config import Config
from troth.embedded.access import DatabaseAccess

POINTS = {"customer": "ada", "action": "point_add", "data": {"points": 5}}
REFUSED = (401, "UnauthorizedException", 101021)


async def test_signed_requests_need_no_key_in_the_query(shop: Shop) -> None:
    answer = await shop.signed("POST", "/events", json=POINTS)
    assert answer.status_code == 200, answer.text
    event = (await shop.server.get(f"/v1/events/{answer.json()['events'][0]['id']}")).json()
    assert event["signed"] is True
    data = {"customer": "ada", "action": "point_add", "data[points]": "7", "data[reason]": "a & b é"}
    assert (await shop.signed("POST", "/events", data=data)).status_code == 200
    query = {"api_key": shop.key, "limit": "1", "z": "ü ~*!()/", "a": ""}
    answer = await shop.signed("GET", "/customers/ada/events", params=query)
    assert answer.status_code == 200, answer.text
    assert (await shop.signed("GET", "/customers/ada")).json()["spendable"] == 12
    bulk = await shop.signed("POST", "/events/bulk", json={"events": [POINTS, POINTS]})
    assert (bulk.json()["errors"], await points_of(shop.server, "ada")) == (0, 22)


async def test_the_body_is_signed_as_it_is_sent(shop: Shop) -> None:
    prepared = requests.Request("POST", shop.server.address + "/events", json=POINTS, auth=shop.auth()).prepare()
    altered = {**dict(prepared.headers), "Content-Type": "application/json"}
    body = json.dumps({**POINTS, "data": {"points": 5_000}}).encode()
    altered["Content-Length"] = str(len(body))
    answer = await shop.server.post("/events", body, key=None, headers=altered)
    assert error_in(answer) == REFUSED
    packed = await shop.server.post(
        f"/events?api_key={shop.key}",
        gzip.compress(json.dumps(POINTS).encode()),
        key=None,
        headers={"Content-Encoding": "gzip"},
    )
    assert (packed.status_code, await points_of(shop.server, "ada")) == (200, 5)


WRONG: dict[str, tuple[dict[str, Any], int]] = {  # what is wrong: how it is signed, and whether the source is known
    "secret": ({"secret": "another"}, 1),
    "key": ({"key": "another"}, 0),
    "scope": ({"scope": "demo/api/aws4_request"}, 1),
    "service": ({"scope": "demo/other/antavo_request"}, 1),
    "too late": ({"now": -limits.SIGNATURE_SECONDS - 60}, 1),
    "too early": ({"now": limits.SIGNATURE_SECONDS + 60}, 1),
}


async def test_wrong_signatures_leave_no_trace_but_a_counter(shop: Shop) -> None:
    for what, (signing, _) in WRONG.items():
        if "now" in signing:
            signing = {"now": datetime.now(UTC) + timedelta(seconds=signing["now"])}
        answer = await shop.signed("POST", "/events", json=POINTS, signing=signing)
        assert error_in(answer) == REFUSED, what
    assert await counters(shop.server, "my-antavo") == {"unsigned": sum(count for _, count in WRONG.values())}
    assert (await shop.server.get("/v1/customers/ada")).status_code == 404
    assert (await shop.server.get("/v1/rejections")).json()["items"] == []


async def test_a_date_may_be_of_either_form_and_commas_stand_alone(shop: Shop) -> None:
    now = datetime.now(UTC)
    for number, date in enumerate(
        (f"{now:%Y%m%dT%H%M%SZ}", f"{now:%a, %d %b %Y %H:%M:%S GMT}", now.isoformat()[:19] + "Z")
    ):
        request = requests.Request("POST", shop.server.address + "/events", json=POINTS, headers={"Date": date})
        prepared = request.prepare()
        shop.auth(now=now)(prepared)
        if number == 1:
            prepared.headers["Authorization"] = prepared.headers["Authorization"].replace(", ", ",")
        answer = await shop.server.post("/events", prepared.body, key=None, headers=dict(prepared.headers))
        assert answer.status_code == 200, (date, answer.text)


async def test_bad_authorization_headers_are_refused(shop: Shop) -> None:
    cut = "ANTAVO-HMAC-SHA256 Credential=a/20260101/x/api/antavo_request"
    for authorization in ("", "Bearer x", "Basic eDp5", "ANTAVO-HMAC-SHA256", cut):
        headers = {"Authorization": authorization}
        answer = await shop.server.post(f"/events?api_key={shop.key}", POINTS, key=None, headers=headers)
        assert error_in(answer) == REFUSED, authorization


async def test_a_replay_has_no_second_effect(shop: Shop) -> None:
    prepared = requests.Request("POST", shop.server.address + "/events", json=POINTS, auth=shop.auth()).prepare()
    answers = [
        await shop.server.post("/events", prepared.body, key=None, headers=dict(prepared.headers)) for _ in range(3)
    ]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert len({answer.content for answer in answers}) == 1
    assert await points_of(shop.server, "ada") == 5
    bulk = {"events": [POINTS, POINTS]}
    prepared = requests.Request("POST", shop.server.address + "/events/bulk", json=bulk, auth=shop.auth()).prepare()
    for _ in range(2):
        await shop.server.post("/events/bulk", prepared.body, key=None, headers=dict(prepared.headers))
    assert await points_of(shop.server, "ada") == 15
    part = {"customer": "ada", "action": "checkout", "data": {"transaction_id": "T-1", "total": 5}}
    prepared = requests.Request("POST", shop.server.address + "/events", json=part, auth=shop.auth()).prepare()
    for expected in (200, 400):
        answer = await shop.server.post("/events", prepared.body, key=None, headers=dict(prepared.headers))
        assert answer.status_code == expected
    assert error_in(answer)[2] == 5003


async def test_unsigned_requests_are_taken_where_they_are_allowed(database: DatabaseAccess) -> None:
    async with serving(database, Config(mode="production")) as server:
        shop = await open_shop(server)
        assert error_in(await shop.send("ada", "login")) == REFUSED
        assert error_in(await shop.get("/customers/ada")) == REFUSED
        assert await counters(server, "my-antavo") == {"unsigned": 2}
        assert (await shop.signed("POST", "/events", json=POINTS)).status_code == 200
        await server.request("PATCH", "/v1/sources/my-antavo", json={"settings": {"unsigned": True}})
        assert (await shop.send("ada", "login")).status_code == 200
        assert error_in(await server.post("/events", POINTS, key=None)) == REFUSED
        assert error_in(await server.post("/events?api_key=x", POINTS, key=None)) == REFUSED
        mixed = await shop.signed("POST", "/events?api_key=x", json=POINTS)
        assert error_in(mixed) == REFUSED


async def test_in_development_they_may_be_forbidden(served: Served) -> None:
    shop = await open_shop(served, {"unsigned": False, "region": "demo"})
    assert error_in(await shop.send("ada", "login")) == REFUSED
    assert (await shop.signed("POST", "/events", json=POINTS)).status_code == 200
    answer = await shop.signed("POST", "/events", json=POINTS, signing={"scope": SCOPE.replace("demo", "eu1")})
    assert error_in(answer) == REFUSED


async def test_keys_before_a_rotation_are_taken_during_the_overlap(shop: Shop) -> None:
    rotated = await shop.server.post("/v1/sources/my-antavo/rotate", {"overlap_seconds": 60})
    fresh = rotated.json()["secrets"]
    assert (await shop.signed("POST", "/events", json=POINTS)).status_code == 200
    signing = {"key": fresh["api_key"], "secret": fresh["api_secret"]}
    assert (await shop.signed("POST", "/events", json=POINTS, signing=signing)).status_code == 200
    await shop.server.post("/v1/sources/my-antavo/rotate", {})
    assert error_in(await shop.signed("POST", "/events", json=POINTS)) == REFUSED
