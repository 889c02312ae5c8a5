"""A recorded event as the outside sees it, and the one encoder of its JSON.

First answers and duplicates are built from the same record, so they are equal but for `duplicate`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import msgspec

from troth.core.calendar import show_time
from troth.core.ids import show_id
from troth.core.state import CustomerState, Posting


class Award(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one rule awarded."""

    rule: str
    wallet: str
    base: str  # what the formula gave, exact decimal text
    multiplier: str
    points: int  # negative: what an order's award has lost
    cap: str | None  # the limit that cut it, or null
    state: str  # where the points went; `expired` when they were past their date on arrival, `reversed` when taken back
    expires_at: str | None  # first instant at which they are gone


class CausedEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An event written in the same transaction because of another one."""

    id: str
    type: str
    points: int
    awards: tuple[Award, ...]


class RecordedEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Everything the answer to an event says. `customer` and `reference` are null once the person is erased."""

    id: str
    customer: str | None
    type: str
    reference: str | None
    occurred_at: str
    recorded_at: str
    points: int  # net change of pending + available + debt of the main wallet, by its own postings
    awards: tuple[Award, ...]
    wallets: Mapping[str, Mapping[str, int]]  # after the event and everything it caused
    tier: Mapping[str, str] | None
    outcome: str
    caused: tuple[CausedEvent, ...]
    warnings: tuple[Mapping[str, str], ...]
    seq: int
    revision: int


_COUNTED = frozenset({"pending", "available", "debt"})


def net_points(postings: tuple[Posting, ...], main_wallet: str) -> int:
    """The event's `points`: what its own postings change of pending + available + debt of the main wallet."""
    return sum(
        ((posting.to_state in _COUNTED) - (posting.from_state in _COUNTED)) * posting.points
        for posting in postings
        if posting.wallet == main_wallet
    )


def awards_of(postings: tuple[Posting, ...], judged_at: datetime) -> tuple[Award, ...]:
    """What the rules gave, and what an order's awards lost: a reversal is an award of negative points."""
    given = [_award(posting, posting.rule, judged_at) for posting in postings
             if posting.rule is not None and posting.reason == "award"]  # fmt: skip
    taken: dict[str, list[Posting]] = {}
    for posting in postings:
        if posting.rule is not None and posting.reason == "reversal":
            taken.setdefault(posting.rule, []).append(posting)
    return (*given, *(_reversal(rule, found) for rule, found in taken.items()))


def _award(posting: Posting, rule: str, judged_at: datetime) -> Award:
    ends = posting.expires_at
    is_gone = ends is not None and ends <= judged_at
    return Award(
        rule=rule,
        wallet=posting.wallet,
        base=_plain(posting.base),
        multiplier=_plain(posting.multiplier),
        points=posting.points,
        cap=posting.cap,
        state="expired" if is_gone else posting.to_state,
        expires_at=show_time(ends) if ends is not None else None,
    )


def _reversal(rule: str, postings: list[Posting]) -> Award:
    first = postings[0]
    return Award(
        rule=rule,
        wallet=first.wallet,
        base="0" if first.base is None else _plain(first.base),
        multiplier=_plain(first.multiplier),
        points=-sum(posting.points for posting in postings),
        cap=first.cap,
        state="reversed",
        expires_at=None,
    )


def _plain(number: Decimal | None) -> str:
    """Decimal text without an exponent."""
    return "1" if number is None else f"{number:f}"


def show_after(state: CustomerState, wallets: tuple[str, ...]) -> dict[str, object]:
    """The recorded `after`: every wallet, zeros included, and the tier."""
    shown = {}
    for wallet_id in wallets:
        wallet = state.wallet(wallet_id)
        shown[wallet_id] = {
            "balance": wallet.balance,
            "lifetime": wallet.lifetime,
            "pending": wallet.pending,
            "reserved": wallet.reserved,
        }
    since = state.tier_since
    return {"wallets": shown, "tier": {"id": state.tier, "since": show_time(since)} if state.tier and since else None}


_encoder = msgspec.json.Encoder(decimal_format="number")


def encode_answer(record: RecordedEvent, *, duplicate: bool, payload_mismatch: bool = False) -> bytes:
    """The JSON of an answer. `payload_mismatch` is present only when true."""
    marks = b'","duplicate":true,"payload_mismatch":true,' if payload_mismatch else None
    if marks is None:
        marks = b'","duplicate":true,' if duplicate else b'","duplicate":false,'
    body = _encoder.encode(record)
    head = len(record.id) + len('{"id":"')
    return body[:head] + marks + body[head + len('",') :]


def show_caused(event_id: UUID, type_id: str, points: int, awards: tuple[Award, ...]) -> CausedEvent:
    return CausedEvent(id=show_id("evt", event_id), type=type_id, points=points, awards=awards)
