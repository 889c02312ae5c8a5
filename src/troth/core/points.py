"""Points: what awards and dates post to the ledger. Postings and lots, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby

from troth.core.calendar import expires_at, wall_clock
from troth.core.event import Event
from troth.core.rules import RuleBook, Verdict
from troth.core.state import Lot, Posting


def earn(event: Event, verdicts: Sequence[Verdict], book: RuleBook) -> tuple[tuple[Posting, ...], tuple[Lot, ...]]:
    """The postings and lots of an event's awards: program → available, one lot per wallet and expiry.

    What is already past its date when it is recorded is posted available and expired at once (semantics.md §3).
    """
    postings: list[Posting] = []
    lots: dict[tuple[str, datetime | None], Lot] = {}
    for verdict in verdicts:
        if verdict.points:
            ends = _end(verdict, event, book)
            lot = _grow(lots, (verdict.rule.wallet, ends), verdict.points, event)
            postings.append(_award(event, verdict, lot, len(postings)))
            if ends is not None and ends <= event.recorded_at:
                postings.append(
                    _expiry(lot, verdict.points, verdict.rule.qualifying, (event.occurred_at, len(postings)))
                )
    return tuple(postings), tuple(_settled(lot, event.recorded_at) for lot in lots.values())


def _end(verdict: Verdict, event: Event, book: RuleBook) -> datetime | None:
    expiry = verdict.rule.expiry or book.expiries[verdict.rule.wallet]
    return expires_at(expiry, event.occurred_at, book.zone)


def _grow(
    lots: dict[tuple[str, datetime | None], Lot], key: tuple[str, datetime | None], points: int, event: Event
) -> Lot:
    wallet, ends = key
    known = lots.get(key)
    lots[key] = Lot(
        event_id=event.id,
        n=known.n if known else len(lots),
        wallet=wallet,
        earned_at=event.occurred_at,
        expires_at=ends,
        points=points + (known.points if known else 0),
        remaining=points + (known.remaining if known else 0),
    )
    return lots[key]


def _settled(lot: Lot, now: datetime) -> Lot:
    """A lot born past its date has nothing left."""
    if lot.expires_at is None or lot.expires_at > now:
        return lot
    return Lot(
        event_id=lot.event_id, n=lot.n, wallet=lot.wallet, earned_at=lot.earned_at, expires_at=lot.expires_at,
        points=lot.points, remaining=0,
    )  # fmt: skip


def _award(event: Event, verdict: Verdict, lot: Lot, n: int) -> Posting:
    return Posting(
        n=n,
        wallet=lot.wallet,
        from_state="program",
        to_state="available",
        points=verdict.points,
        qualifying=verdict.rule.qualifying,
        lot_event=lot.event_id,
        lot_n=lot.n,
        occurred_at=event.occurred_at,
        reason="award",
        rule=verdict.rule.id,
        base=verdict.base,
        multiplier=verdict.multiplier,
        cap=verdict.cap,
    )


def _expiry(lot: Lot, points: int, qualifying: bool, at: tuple[datetime, int]) -> Posting:
    occurred_at, n = at
    return Posting(
        n=n,
        wallet=lot.wallet,
        from_state="available",
        to_state="expired",
        points=points,
        qualifying=qualifying,
        lot_event=lot.event_id,
        lot_n=lot.n,
        occurred_at=occurred_at,
        reason="expiry",
    )


def expire(lots: Sequence[Lot]) -> tuple[Posting, ...]:
    """The postings that end these lots at their date; the due time is their `occurred_at`."""
    return tuple(
        _expiry(lot, lot.remaining, False, (lot.expires_at, n))
        for n, lot in enumerate(lots)
        if lot.expires_at is not None
    )


def by_expiry_day(lots: Sequence[Lot], book: RuleBook) -> list[tuple[Lot, ...]]:
    """Due lots in order of their date, grouped as one customer's expiry of one local day and wallet."""

    def day(lot: Lot) -> tuple[datetime, str]:
        assert lot.expires_at is not None, "a lot without a date is never due"
        return (wall_clock(lot.expires_at, book.zone), lot.wallet)

    ordered = sorted(lots, key=lambda lot: (*day(lot), lot.earned_at, lot.event_id, lot.n))
    return [tuple(group) for _, group in groupby(ordered, key=day)]
