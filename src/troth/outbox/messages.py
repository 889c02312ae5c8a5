"""Messages: what a webhook is told, thin and by name, made at the moment of sending.

In: a recorded event as the vault opens it, and a topic. Out: {id, type, timestamp, data}. Whoever wants to know more
asks the API by the ids. Must never: carry a personal property; the customer's own id is the one thing that names whom.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from uuid import UUID

import msgspec

from troth.core.calendar import show_time
from troth.core.ids import order_key, recorded_at, show_id
from troth.core.state import Posting
from troth.core.topics import DISABLED, EVENT_RECORDED, PING, PROGRAM_PUBLISHED, TOPICS, reasons_of
from troth.store.deliveries import Claimed
from troth.store.events import StoredEvent


class EventData(msgspec.Struct, frozen=True, kw_only=True):
    """What every message about a customer says."""

    event: str  # GET /v1/events/{event} tells the rest
    event_type: str
    customer: str | None  # the integrator's id; null: the person was erased
    customer_id: str  # ours, which stays
    seq: int  # the order of the customer's events: messages may arrive in another one
    occurred_at: str


class RecordedData(EventData, frozen=True, kw_only=True):
    """event.recorded"""

    reference: str | None
    points: int  # net change of pending + available + debt of the main wallet
    outcome: str
    source: str
    caused_by: str | None  # the event that caused it


class PointsChange(msgspec.Struct, frozen=True, kw_only=True):
    wallet: str
    points: int  # > 0; by hand also < 0
    rule: str | None  # earned and reversed: whose award


class PointsData(EventData, frozen=True, kw_only=True):
    """points.…"""

    points: int  # all changes together
    changes: tuple[PointsChange, ...]
    balances: Mapping[str, int]  # of every wallet, after the event
    order: str | None  # the order's id, when it is of one


class TierData(EventData, frozen=True, kw_only=True):
    """tier.…; null: no level"""

    from_tier: str | None
    to_tier: str | None


class RewardData(EventData, frozen=True, kw_only=True):
    """reward.…"""

    redemption: str
    reward: str | None
    points: int | None  # claimed and cancelled: what it cost
    wallet: str | None


class OrderData(EventData, frozen=True, kw_only=True):
    """order.updated"""

    order: str | None  # GET /v1/orders/{order} tells how it stands


class ProgramData(msgspec.Struct, frozen=True, kw_only=True):
    """program.published"""

    revision: int


class WebhookData(msgspec.Struct, frozen=True, kw_only=True):
    """webhook.ping, webhook.disabled"""

    webhook: str
    reason: str | None = None  # why it was disabled


Data = EventData | ProgramData | WebhookData


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a delivery. `id` is the same for every attempt."""

    id: str
    type: str
    timestamp: str  # when it happened, by our clock
    data: Data


def data_type(topic: str) -> type[Data]:
    """The form of a topic's data."""
    by_name: dict[str, type[Data]] = {
        EVENT_RECORDED: RecordedData,
        PROGRAM_PUBLISHED: ProgramData,
        PING: WebhookData,
        DISABLED: WebhookData,
        "order.updated": OrderData,
    }
    by_family: dict[str, type[Data]] = {"points": PointsData, "tier": TierData, "reward": RewardData}
    return by_name.get(topic) or by_family.get(topic.partition(".")[0], EventData)


def message_id(about: UUID, topic: str) -> UUID:
    """The same for every webhook and every attempt: drawn from the event and the topic."""
    return UUID(bytes=sha256(about.bytes + topic.encode()).digest()[:16])


def message_of(delivery: Claimed, event: StoredEvent | None) -> Message | None:
    """What is sent; None when its event cannot be found."""
    if delivery.event_id is None:
        form = data_type(delivery.topic)
        data, moment = msgspec.json.decode(delivery.data or "{}", type=form), recorded_at(delivery.id)
    elif event is not None:
        data, moment = data_of(delivery.topic, event), recorded_at(event.id)
    else:
        return None
    name = show_id("msg", delivery.message_id)
    return Message(id=name, type=delivery.topic, timestamp=show_time(moment), data=data)


def data_of(topic: str, event: StoredEvent) -> EventData:
    """What a topic says of an event."""
    record = event.record
    about = {
        "event": record.id,
        "event_type": record.type,
        "customer": record.customer,
        "customer_id": show_id("cus", event.customer_id),
        "seq": record.seq,
        "occurred_at": record.occurred_at,
    }
    form = data_type(topic)
    assert issubclass(form, EventData), topic
    return form(**about, **_rest(topic, event))  # type: ignore[arg-type]


def _rest(topic: str, event: StoredEvent) -> dict[str, object]:
    record, given = event.record, event.properties
    match topic.partition("."):
        case "points", _, _:
            return _points(topic, event)
        case "tier", _, _:
            return {"from_tier": given.get("from_tier"), "to_tier": given.get("to_tier")}
        case "reward", _, _:
            return {
                "redemption": given.get("redemption") or show_id("rdm", event.id),
                "reward": given.get("reward"),
                "points": _whole(given.get("points")),
                "wallet": given.get("wallet"),
            }
        case "order", _, _:
            return {"order": _order(event)}
        case "event", _, _:
            return {
                "reference": record.reference,
                "points": record.points,
                "outcome": record.outcome,
                "source": event.source,
                "caused_by": event.parent,
            }
    assert topic in TOPICS, topic
    return {}


def _points(topic: str, event: StoredEvent) -> dict[str, object]:
    reasons = reasons_of(topic)
    changes = _changes(posting for posting in event.postings if posting.reason in reasons)
    return {
        "points": sum(change.points for change in changes),
        "changes": changes,
        "balances": {wallet: after["balance"] for wallet, after in event.record.wallets.items()},
        "order": _order(event),
    }


def _changes(postings: Iterable[Posting]) -> tuple[PointsChange, ...]:
    """By wallet and rule. Points move one way within a topic, but by hand they come or go."""
    found: dict[tuple[str, str | None], int] = {}
    for posting in postings:
        is_taken = posting.reason == "adjustment" and posting.from_state != "program"
        key = posting.wallet, posting.rule
        found[key] = found.get(key, 0) + (-posting.points if is_taken else posting.points)
    return tuple(PointsChange(wallet=wallet, points=points, rule=rule) for (wallet, rule), points in found.items())


def _order(event: StoredEvent) -> str | None:
    """The id of the event's order: the one of its texts by which the order is claimed."""
    if event.order_key is None:
        return None
    texts = (*event.properties.values(), event.record.reference)
    return next((text for text in texts if isinstance(text, str) and order_key(text) == event.order_key), None)


def _whole(value: object) -> int | None:
    return None if value is None else int(str(value))
