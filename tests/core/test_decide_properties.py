"""What always holds, whatever is sent in whatever order: sums, caps, sequence numbers, tiers that never fall."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.judging import NOON, Judge, document, judge_of, tiers
from troth.core.calendar import period_key, wall_clock
from troth.core.decide import Decision
from troth.core.moments import occasions
from troth.core.state import WalletState

LEVELS = ("bronze", "silver", "gold")
amounts = st.decimals(0, 1_000, places=2)
steps = st.tuples(
    st.sampled_from(["purchase", "purchase", "purchase", "signup"]),
    st.integers(0, 40),  # days since the event before it
    st.integers(0, 400),  # days that it arrives late
    amounts,
)


@st.composite
def programs(draw: st.DrawFn) -> dict[str, object]:
    months = draw(st.integers(1, 14))
    expiry = {"kind": "months_after_earning", "months": str(months), "month_end": draw(st.booleans())}
    window = draw(st.sampled_from(["day", "week", "month", "year", "ever"]))
    cap = {"points": str(draw(st.integers(1, 3_000))), "times": str(draw(st.integers(1, 6))), "window": window}
    rules = [
        {
            "id": "plain",
            "event_type": "purchase",
            "award": "properties.amount",
            "group": draw(st.sampled_from(["g", "h"])),
        },
        {"id": "half", "event_type": "purchase", "award": "properties.amount / 2", "group": "g", "limits": [cap]},
        {"id": "short", "event_type": "purchase", "award": "7.5", "expiry": {**expiry, "months": "1"}},
        {"id": "welcome", "event_type": "signup", "award": "100", "qualifying": draw(st.booleans())},
        {"id": "rise", "event_type": "tier_upgraded", "award": "50"},
        {"id": "comfort", "event_type": "points_expired", "award": "1"},
    ]
    return document(
        *rules,
        wallets=[{"id": "points", "expiry": draw(st.sampled_from([expiry, {"kind": "never"}]))}],
        tiers=tiers(bronze=("0", "1"), silver=("300", "1.25"), gold=("1000", "2.5")),
        settings={
            "name": "T",
            "rounding": draw(st.sampled_from(["floor", "half_up", "ceil"])),
            "time_zone": draw(st.sampled_from(["UTC", "Europe/Budapest", "America/Sao_Paulo", "Pacific/Auckland"])),
        },
    )


@settings(max_examples=150, deadline=None, derandomize=True, print_blob=True)
@given(programs(), st.lists(steps, min_size=1, max_size=25))
def test_what_always_holds(source: dict[str, object], stream: list[tuple[str, int, int, object]]) -> None:
    judge, now, decisions = judge_of(source), NOON, []
    for type_id, days, late, amount in stream:
        now += timedelta(days=days, minutes=1)
        raw = {"amount": str(amount)} if type_id == "purchase" else {}
        before = judge.state.tier
        decisions.append(judge.decide(type_id, now, now - timedelta(days=late), raw))
        check_wallet(judge.state.wallet("points"), judge, now)
        check_tier(before, judge.state.tier)
    check_sequence(decisions, judge)
    check_caps(decisions, judge)


def check_wallet(wallet: WalletState, judge: Judge, now: datetime) -> None:
    states = ("program", "pending", "available", "reserved", "spent", "expired", "debt", "forgiven")
    assert sum(getattr(wallet, state) for state in states) == 0
    assert wallet.balance == sum(lot.remaining for lot in judge.open_lots) >= 0
    assert wallet.lifetime == -wallet.program
    assert 0 <= wallet.qualifying <= wallet.lifetime
    ends = [lot.expires_at for lot in judge.open_lots if lot.expires_at is not None]
    assert all(end > now for end in ends), "nothing that is due is left"
    (anniversary,) = occasions(judge.state, judge.book)  # in a hundred years
    far = anniversary.moment
    assert judge.state.due_at in ({min(ends)} if ends else {None, far})


def check_tier(before: str | None, after: str | None) -> None:
    assert after is not None
    assert before is None or LEVELS.index(after) >= LEVELS.index(before)


def check_sequence(decisions: list[Decision], judge: Judge) -> None:
    recorded = [judged for decision in decisions for judged in decision.recorded]
    assert [judged.seq for judged in recorded] == list(range(1, judge.state.seq + 1))
    assert len({judged.event.id for judged in recorded}) == len(recorded)
    signups = sum(judged.event.type.id == "signup" for judged in recorded)
    assert signups <= 1
    assert judge.state.counts == Counter(judged.event.type.id for judged in recorded)


def check_caps(decisions: list[Decision], judge: Judge) -> None:
    """No period holds more than the limit of the rule allows."""
    (rule,) = (rule for rule in judge.book.program.rules if rule.limits)
    (limit,) = rule.limits
    points, times = Counter[str](), Counter[str]()
    for judged in (judged for decision in decisions for judged in decision.recorded):
        for posting in judged.postings:
            if posting.rule == rule.id:
                period = period_key(limit.window, wall_clock(judged.event.occurred_at, judge.book.zone))
                points[period] += posting.points
                times[period] += 1
    assert limit.points is not None
    assert limit.times is not None
    assert all(total <= limit.points for total in points.values())
    assert all(total <= limit.times for total in times.values())
