"""Topics: what an event is told as, and what a webhook may ask for."""

from __future__ import annotations

import pytest

from troth.core.topics import FAMILIES, NEVER_SENT, TOPICS, is_choice, reasons_of, topics_of, unsent, wants

EVERY = "event.recorded"


@pytest.mark.parametrize(
    ("event_type", "seq", "reasons", "changes_order", "topics"),
    [
        ("login", 2, (), False, (EVERY,)),
        ("login", 1, (), False, (EVERY, "customer.created")),
        ("profile", 1, (), False, (EVERY, "customer.created")),
        ("profile", 2, (), False, (EVERY, "customer.updated")),
        ("purchase", 2, ("award", "repayment"), True, (EVERY, "points.earned", "order.updated")),
        ("refund", 2, ("reversal", "return", "pardon"), True, (EVERY, "points.reversed", "order.updated")),
        ("checkout", 2, ("burn",), True, (EVERY, "points.redeemed", "order.updated")),
        ("points_released", 2, ("release",), False, (EVERY, "points.released")),
        ("points_expired", 2, ("expiry",), False, (EVERY, "points.expired")),
        ("point_sub", 2, ("adjustment",), False, (EVERY, "points.adjusted")),
        ("points_reserved", 2, ("reservation",), False, (EVERY,)),
        ("reservation_captured", 2, ("spend", "return"), False, (EVERY, "points.redeemed")),
        ("reward_claimed", 2, ("spend",), False, (EVERY, "points.redeemed", "reward.claimed")),
        ("reward_cancelled", 2, ("return",), False, (EVERY, "reward.cancelled")),
        ("tier_upgraded", 2, ("award",), False, (EVERY, "points.earned", "tier.upgraded")),
        ("tier_downgraded", 2, (), False, (EVERY, "tier.downgraded")),
    ],
)
def test_topics(
    event_type: str, seq: int, reasons: tuple[str, ...], changes_order: bool, topics: tuple[str, ...]
) -> None:
    assert topics_of(event_type, seq, reasons, changes_order=changes_order) == topics


def test_what_a_webhook_asks_for() -> None:
    assert wants(("*",), "tier.upgraded")
    assert wants(("points.*", "x"), "points.earned")
    assert wants(("points.earned",), "points.earned")
    assert not wants(("points.earned", "tier.*"), "points.expired")
    assert all(is_choice(name) for name in ("*", *FAMILIES, *TOPICS))
    assert not any(is_choice(name) for name in ("", "points", "points.", "*.*", "webhook.ping"))


def test_topics_of_what_does_not_happen_are_named() -> None:
    told = {topic for topic, meaning in TOPICS.items() if "Never sent by this version" in meaning}
    assert told == NEVER_SENT
    chosen = ("points.earned", "segment.*", "customer.*", "customer.erased", "segment.left", "*")
    assert unsent(chosen) == ("segment.*", "customer.erased", "segment.left")


def test_a_topic_tells_of_its_own_postings() -> None:
    assert reasons_of("points.redeemed") == {"spend", "burn"}
    assert reasons_of("tier.upgraded") == frozenset()
