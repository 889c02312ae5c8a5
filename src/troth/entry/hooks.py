"""POST /v1/hooks/{source}: the address that shops and other systems send their webhooks to.

In: a webhook with its proof. Out: 200 and what became of its events, also when some are refused: senders would send
them again in vain, and in the end close the webhook. 401 leaves no trace but a counter; 503 asks for another try.
Must never: read a body whose proof does not fit its very bytes.
"""

from __future__ import annotations

import asyncio
import re
from typing import cast

from litestar import post
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from troth import limits
from troth.api.answers import Answer
from troth.api.event_wire import encode
from troth.api.openapi import documented, parameter
from troth.api.problems import ProblemError, not_found
from troth.api.source_registry import Source
from troth.core.sources.kinds import Kind
from troth.entry.body import Headers, read_body
from troth.entry.events import EventRequest, overloaded
from troth.entry.hook_payloads import Payloads
from troth.entry.hook_reading import understand
from troth.entry.hook_recording import HookAnswer, record_hook
from troth.entry.hook_signatures import is_proven
from troth.entry.source_door import SourceDoor, source_door_of
from troth.pipeline.outcome import Overloaded

HOOK_KINDS: tuple[Kind, ...] = ("shopify", "woocommerce", "webhook")
_PING = re.compile(rb"webhook_id=\d+")  # how WooCommerce asks whether anybody is there

_HOOK = documented(
    body=object,
    media_types=("application/json",),
    answers={200: HookAnswer},
    needs_key=False,
    parameters=(
        parameter("X-Shopify-Hmac-Sha256", "header", "Shopify: base64 HMAC-SHA256 of the body's bytes."),
        parameter("X-Shopify-Topic", "header", "Shopify: what happened."),
        parameter("X-WC-Webhook-Signature", "header", "WooCommerce: base64 HMAC-SHA256 of the body's bytes."),
        parameter("X-WC-Webhook-Topic", "header", "WooCommerce: what happened."),
    ),
)


@post("/v1/hooks/{source_id:str}", status_code=200, tags=["Sources"], summary="Receive a webhook", opt=_HOOK)
async def receive_webhook(request: EventRequest, source_id: FromPath[str]) -> ASGIResponse:
    """Receive a webhook of a shop or another system. Its proof is the source's secret, in the sender's own manner."""
    door = source_door_of(request)
    source = await hook_source(door, source_id)
    headers: Headers = dict(request.scope["headers"])
    body = await read_hook(request, headers)
    if source.kind == "woocommerce" and b"x-wc-webhook-signature" not in headers and _PING.fullmatch(body):
        return Answer(200, encode(HookAnswer(received=0)))
    if not is_proven(source, headers, body):
        door.sources.count(source.id, unsigned=1)
        detail = "No secret of this source fits this body and its signature. Sign the bytes as they are sent."
        raise ProblemError(401, "invalid_signature", detail)
    payloads_of(request).keep(source, headers, body)
    try:
        answer = await record_hook(door, source, understand(source, headers, body), body)
    except Overloaded as error:
        raise overloaded(error) from None
    return Answer(200, encode(answer))


async def hook_source(door: SourceDoor, source_id: str) -> Source:
    """The open source of this id that is sent webhooks. Raises ProblemError 404."""
    for kind in HOOK_KINDS:
        source = await door.sources.by_id(source_id, kind)
        if source is not None:
            return source
    raise not_found("source", source_id)


async def read_hook(request: EventRequest, headers: Headers) -> bytes:
    """The whole body, without its content encoding. Raises ProblemError 400, 408, 413, 415."""
    try:
        async with asyncio.timeout(limits.HOOK_SECONDS):
            return await read_body(request.receive, headers, bytes_max=limits.HOOK_BYTES)
    except TimeoutError:
        detail = f"The body did not arrive within {limits.HOOK_SECONDS:g} seconds."
        raise ProblemError(408, "too_slow", detail, headers={"Connection": "close"}) from None


def payloads_of(request: EventRequest) -> Payloads:
    return cast("Payloads", request.app.state["payloads"])


HANDLERS = [receive_webhook]
