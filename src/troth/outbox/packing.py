"""Packing: claimed deliveries → the requests that carry them. One each, or for the format `segment` batches of them.

In: a webhook, its deliveries, and the vault that opens what they tell of. Out: parcels with exact bytes. What cannot be
told any more (its event is not there) makes none.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from troth import __version__
from troth.core.ids import read_id
from troth.outbox import segment
from troth.outbox.messages import EventData, Message, message_of
from troth.outbox.sending import Request
from troth.outbox.webhooks import signed_headers
from troth.store import deliveries
from troth.store.deliveries import Claimed, Traits
from troth.store.events import fetch_events
from troth.store.pool import Connection
from troth.store.vault import Vault
from troth.store.webhooks import Webhook, open_headers, open_sealed

_HEADERS = {
    "Accept-Encoding": "identity",
    "Content-Type": "application/json",
    "User-Agent": f"Troth/{__version__}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """What one request carries."""

    deliveries: tuple[Claimed, ...]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A webhook as requests need it, its secrets open."""

    webhook: Webhook
    headers: dict[str, str]
    secrets: tuple[str, ...]  # the newest first; of the format segment the write key

    def request(self, parcel: Parcel) -> Request:
        """The request of this moment: the time is signed, so each attempt has its own."""
        if self.webhook.format == "segment":
            url = segment.batch_url(self.webhook.url)
            own = {"Authorization": segment.authorization(self.secrets[0])}
        else:
            url = self.webhook.url
            name = f"msg_{parcel.deliveries[0].message_id.hex}"
            own = signed_headers(self.secrets, name, int(time.time()), parcel.body)
        ours = {**_HEADERS, **own}
        names = {name.lower() for name in ours}
        others = {name: value for name, value in self.headers.items() if name.lower() not in names}
        return Request(url=url, headers={**others, **ours}, body=parcel.body)


def address_of(vault: Vault, webhook: Webhook, now: datetime) -> Address:
    """Where and as whom to send; while a rotated secret lasts, with both."""
    secrets = [open_sealed(vault, webhook.id, webhook.secret)]
    if webhook.old_secret is not None and webhook.old_secret_until is not None and webhook.old_secret_until > now:
        secrets.append(open_sealed(vault, webhook.id, webhook.old_secret))
    return Address(webhook=webhook, headers=open_headers(vault, webhook), secrets=tuple(secrets))


async def pack(
    connection: Connection, vault: Vault, webhook: Webhook, claimed: Sequence[Claimed]
) -> tuple[list[Parcel], list[Claimed]]:
    """The parcels, in order, and what cannot be told."""
    events = await fetch_events(connection, vault, {item.event_id for item in claimed if item.event_id is not None})
    told: list[tuple[Claimed, Message]] = []
    lost: list[Claimed] = []
    for item in claimed:
        message = message_of(item, events.get(item.event_id) if item.event_id is not None else None)
        if message is None:
            lost.append(item)
        else:
            told.append((item, message))
    if webhook.format == "standard":
        return [Parcel(deliveries=(item,), body=msgspec.json.encode(message)) for item, message in told], lost
    messages = [message for _, message in told]
    found = segment.batches(messages, await _traits(connection, messages), datetime.now(UTC))
    parcels = [Parcel(deliveries=tuple(told[place][0] for place in places), body=body) for places, body in found]
    return parcels, lost


async def _traits(connection: Connection, messages: Iterable[Message]) -> dict[str, Traits]:
    """What the customers of these messages are like, as far as somebody is told."""
    asked: dict[UUID, str] = {}
    for message in messages:
        if message.type in segment.IDENTIFIES and isinstance(message.data, EventData):
            key = read_id("cus", message.data.customer_id)
            if key is not None:
                asked[key] = message.data.customer_id
    found = await deliveries.traits(connection, list(asked)) if asked else {}
    return {asked[key]: known for key, known in found.items()}
