"""Topics: under which names webhooks are told of what happened.

In: what an event was. Out: its topics, in the order of this list. A webhook names topics, families (`points.*`) or `*`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from troth.core.program.builtin_types import PROFILE_TYPE

EVENT_RECORDED = "event.recorded"
PROGRAM_PUBLISHED = "program.published"
PING = "webhook.ping"
DISABLED = "webhook.disabled"

TOPICS: Mapping[str, str] = {
    EVENT_RECORDED: "An event was recorded: sent, fallen due, or caused by another one.",
    "points.earned": "Rules awarded points.",
    "points.released": "Pending points became available.",
    "points.redeemed": "Points were spent: on a reward, a captured reservation or an order.",
    "points.expired": "Points came to their end.",
    "points.adjusted": "Points were added or taken by hand.",
    "points.reversed": "An order deserves less than it held, so points were taken back.",
    "tier.upgraded": "A customer reached a higher level.",
    "tier.downgraded": "A customer fell to a lower level.",
    "reward.claimed": "A reward was claimed.",
    "reward.fulfilled": "A claimed reward was handed over.",
    "reward.cancelled": "A claim was cancelled, and its points are back.",
    "customer.created": "The first event of a customer was recorded.",
    "customer.updated": "Attributes or tags of a customer changed.",
    "customer.erased": "A customer was erased. Never sent by this version, which erases nobody.",
    "customer.merged": "Two customers became one. Never sent by this version, which merges nobody.",
    "segment.entered": "A customer entered a segment. Never sent by this version, which has no segments.",
    "segment.left": "A customer left a segment. Never sent by this version, which has no segments.",
    "order.updated": "An order was opened, or what it deserves was judged anew.",
    PROGRAM_PUBLISHED: "A revision of the program went live.",
    DISABLED: "Another webhook was disabled, since it failed for too long or said that it is gone.",
}
NEVER_SENT = frozenset({"customer.erased", "customer.merged", "segment.entered", "segment.left"})  # as said above
EVERYTHING = "*"
FAMILIES = tuple(dict.fromkeys(f"{topic.partition('.')[0]}.*" for topic in TOPICS))

_BY_REASON = {
    "award": "points.earned",
    "release": "points.released",
    "spend": "points.redeemed",
    "burn": "points.redeemed",
    "expiry": "points.expired",
    "adjustment": "points.adjusted",
    "reversal": "points.reversed",
}
_BY_TYPE = {
    "tier_upgraded": "tier.upgraded",
    "tier_downgraded": "tier.downgraded",
    "reward_claimed": "reward.claimed",
    "reward_fulfilled": "reward.fulfilled",
    "reward_cancelled": "reward.cancelled",
}


def topics_of(event_type: str, seq: int, reasons: Collection[str], *, changes_order: bool) -> tuple[str, ...]:
    """Every topic of an event. In: the reasons of its postings, and whether it is an applied event of an order."""
    found = {EVENT_RECORDED, *(_BY_REASON[reason] for reason in reasons if reason in _BY_REASON)}
    if event_type in _BY_TYPE:
        found.add(_BY_TYPE[event_type])
    if seq == 1:
        found.add("customer.created")
    elif event_type == PROFILE_TYPE:
        found.add("customer.updated")
    if changes_order:
        found.add("order.updated")
    return tuple(topic for topic in TOPICS if topic in found)


def reasons_of(topic: str) -> frozenset[str]:
    """The reasons of the postings that a topic tells of."""
    return frozenset(reason for reason, known in _BY_REASON.items() if known == topic)


def wants(chosen: Iterable[str], topic: str) -> bool:
    """Whether a webhook with these topics is told of `topic`."""
    family = f"{topic.partition('.')[0]}.*"
    return any(name in (topic, family, EVERYTHING) for name in chosen)


def unsent(chosen: Iterable[str]) -> tuple[str, ...]:
    """Those of a webhook's topics and families under which nothing is sent: what they tell of does not happen here."""
    sent = TOPICS.keys() - NEVER_SENT
    return tuple(name for name in chosen if not any(wants((name,), topic) for topic in sent))


def is_choice(name: str) -> bool:
    """Whether a webhook may name this."""
    return name == EVERYTHING or name in TOPICS or name in FAMILIES
