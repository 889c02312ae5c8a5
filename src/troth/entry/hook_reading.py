"""The body of a webhook → what it says, by the kind and the settings of its source. Stores nothing.

In: a source, the headers and the bytes. Out: events for the pipeline, what the settings leave out, or why nothing can
be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256

import msgspec

from troth import limits
from troth.api.source_registry import Source
from troth.core.coercion import Problem
from troth.core.sources.shops import ShopifySettings, WooCommerceSettings
from troth.core.sources.webhook import WebhookSettings
from troth.entry.hook_signatures import is_signed
from troth.entry.incoming import read_incoming
from troth.entry.json_text import JsonReader, UnreadableError
from troth.entry.shop_orders import Mapped, Received
from troth.entry.shopify import read_shopify
from troth.entry.woocommerce import read_woocommerce
from troth.pipeline.outcome import RawEvent

Headers = Mapping[bytes, bytes]


class Understood(msgspec.Struct, frozen=True, kw_only=True):
    """What a body says."""

    events: tuple[RawEvent, ...] = ()
    dropped: int = 0
    reason: str | None = None  # of what a shop's order was dropped for
    problems: tuple[Problem, ...] = ()  # why nothing can be read
    payload: object = None


def understand(source: Source, headers: Headers, body: bytes) -> Understood:
    """What came, by today's settings."""
    try:
        document = JsonReader().read(body, depth=limits.HOOK_DEPTH)
    except UnreadableError as error:
        return Understood(problems=(Problem("", error.code, error.detail),))
    if document.flaws:
        return Understood(problems=tuple(Problem(flaw.pointer, flaw.code, flaw.detail) for flaw in document.flaws))
    payload = document.value
    if isinstance(source.settings, WebhookSettings):
        read = read_incoming(payload, source.settings, headers, source_id=source.id, is_signed=is_signed(source))
        problems = (read.problem,) if read.problem is not None else ()
        return Understood(events=read.events, dropped=read.dropped, problems=problems, payload=payload)
    if not isinstance(payload, dict):
        return Understood(problems=(Problem("", "not_an_object", "A shop's webhook is a JSON object."),))
    mapped = _of_shop(source, headers, body, payload)
    return Understood(
        events=mapped.events, dropped=int(mapped.dropped is not None), reason=mapped.dropped, payload=payload
    )


def _of_shop(source: Source, headers: Headers, body: bytes, payload: dict[str, object]) -> Mapped:
    match source.settings:
        case ShopifySettings() as shopify:
            names = (b"x-shopify-event-id", b"x-shopify-webhook-id")
            return read_shopify(payload, shopify, _received(source, headers, body, (b"x-shopify-topic", *names)))
        case WooCommerceSettings() as woocommerce:
            names = (b"x-wc-webhook-topic", b"x-wc-webhook-delivery-id")
            return read_woocommerce(payload, woocommerce, _received(source, headers, body, names))
        case _:
            raise AssertionError(f"{source.kind} sends no webhooks")


def _received(source: Source, headers: Headers, body: bytes, names: tuple[bytes, ...]) -> Received:
    topic, *deliveries = (headers.get(name, b"").decode("latin-1") for name in names)
    delivery = next((text for text in deliveries if text), None)
    return Received(
        source_id=source.id,
        delivery=delivery or sha256(body).hexdigest(),
        topic=topic.lower(),
        at=datetime.now(UTC),
    )
