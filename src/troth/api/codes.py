"""Pools of reward codes: POST puts codes in, GET counts what is left. Claims give them out.

In: a list of texts. Out: counts. What the pool holds already is counted, not refused, so an import can be repeated.
"""

from __future__ import annotations

import asyncio
from typing import cast

import msgspec
from litestar import get, post
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from troth import limits
from troth.api.answers import Answer
from troth.api.auth import requires
from troth.api.event_wire import encode
from troth.api.json_bodies import read_object
from troth.api.openapi import documented
from troth.api.problems import ErrorItem, faulty, not_found
from troth.api.reading import Reading, ReadRequest, reading_of
from troth.core.coercion import escape
from troth.store.codes import CodeCounts, add_codes, count_codes, seal_code

_TAGS = ["Program"]


class CodesBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    codes: tuple[str, ...]  # in the order in which they are given out


class CodePool(msgspec.Struct, frozen=True, kw_only=True):
    """The pool of one reward."""

    reward: str
    free: int
    given: int  # to claims, cancelled ones too: a code is never given again


class CodesAnswer(CodePool, frozen=True, kw_only=True):
    """The pool after an import."""

    added: int
    duplicates: int  # sent twice, or in the pool before


_EXAMPLE = {"codes": ["SUMMER-8F3K", "SUMMER-Q2ZT"]}
_POST = documented(body=CodesBody, example=_EXAMPLE, answers={200: CodesAnswer})
_GET = documented(answers={200: CodePool})


@post(
    "/v1/rewards/{reward:str}/codes",
    status_code=200,
    tags=_TAGS,
    summary="Add codes to a reward's pool",
    guards=[requires("program:write")],
    request_max_body_size=limits.BODY_BYTES_BULK,
    opt=_POST,
)
async def import_codes(request: ReadRequest, reward: FromPath[str]) -> ASGIResponse:
    """Add codes behind those that are there. Codes that the pool knows are left out and counted."""
    reading = reading_of(request)
    await _check_reward(reading, reward)
    codes = _read_codes(await request.body())
    fresh = list(dict.fromkeys(codes))
    sealed = await asyncio.to_thread(lambda: [seal_code(reading.vault, reward, code) for code in fresh])
    async with reading.database.pool.acquire() as connection:
        added = await add_codes(connection, reward, sealed) if sealed else 0
        counts = await count_codes(connection, reward)
    found = CodesAnswer(reward=reward, added=added, duplicates=len(codes) - added, free=counts.free, given=counts.given)
    return Answer(200, encode(found))


@get(
    "/v1/rewards/{reward:str}/codes",
    tags=_TAGS,
    summary="Count a reward's codes",
    guards=[requires("program:read")],
    opt=_GET,
)
async def read_codes(request: ReadRequest, reward: FromPath[str]) -> ASGIResponse:
    """How many codes are free, and how many were given."""
    reading = reading_of(request)
    await _check_reward(reading, reward)
    async with reading.database.pool.acquire() as connection:
        counts: CodeCounts = await count_codes(connection, reward)
    return Answer(200, encode(CodePool(reward=reward, free=counts.free, given=counts.given)))


async def _check_reward(reading: Reading, reward: str) -> None:
    """Raises ProblemError 404."""
    if reward not in (await reading.live_book()).program.rewards:
        raise not_found("reward", reward)


def _read_codes(body: bytes) -> list[str]:
    """The codes as they were sent. Raises ProblemError."""
    document = read_object(body)
    detail = "An import of codes has one field: codes."
    items = [
        ErrorItem(pointer=f"/{escape(name)}", code="unknown_field", detail=detail)
        for name in document
        if name != "codes"
    ]
    codes = document.get("codes")
    if not isinstance(codes, list):
        code = "missing" if codes is None else "type"
        items.append(ErrorItem(pointer="/codes", code=code, detail="'codes' is a list of texts."))
    else:
        items += _code_items(codes)
    if items:
        raise faulty("pool of codes", items, 413 if items[0].code == "too_many_codes" else 422)
    return cast("list[str]", codes)


def _code_items(codes: list[object]) -> list[ErrorItem]:
    """What is wrong with single codes."""
    if len(codes) > limits.REWARD_CODES:
        detail = f"An import has at most {limits.REWARD_CODES} codes; send the rest in another one."
        return [ErrorItem(pointer="/codes", code="too_many_codes", detail=detail)]
    found = []
    for place, code in enumerate(codes):
        problem = _problem_of(code)
        if problem is not None:
            found.append(ErrorItem(pointer=f"/codes/{place}", code=problem[0], detail=problem[1]))
            if len(found) == limits.PROBLEMS_PER_EVENT:
                break
    return found


def _problem_of(code: object) -> tuple[str, str] | None:
    if not isinstance(code, str):
        return "type", "A code is text; send numbers as text to keep every digit."
    if not code:
        return "missing", "A code has at least one character."
    if len(code) > limits.REWARD_CODE_LENGTH:
        return "too_long", f"A code has at most {limits.REWARD_CODE_LENGTH} characters."
    return ("nul_character", "A code may not hold NUL characters.") if "\0" in code else None


HANDLERS = [import_codes, read_codes]
