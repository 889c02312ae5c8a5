"""The fold that proves: a customer's recorded events in `seq` order → the state they led to, and every difference
between what is recorded and what the program of that time gives.

Pure. Every event is judged again by the same `record_event` that judged it live, from the folded state, under the
recorded revision. Movements, balances and lots are folded from the recorded postings, which are the truth.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import msgspec

from troth.core.coercion import Reading, read_fields
from troth.core.decide import Judged, record_event
from troth.core.event import Event
from troth.core.ids import recorded_at, show_id
from troth.core.inputs import to_json
from troth.core.points import expire
from troth.core.program.builtin_types import PROFILE_TYPE
from troth.core.record import show_after
from troth.core.rules import RuleBook
from troth.core.state import CustomerState, Lot, Posting, apply_postings

LotKey = tuple[UUID, int]  # earning event, number


class PastEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One recorded event with its postings, in stored form."""

    id: UUID
    seq: int
    type: str
    occurred_at: datetime
    properties: Mapping[str, object]  # without personal ones
    inputs: Mapping[str, object] | None
    after: Mapping[str, object]
    parent: UUID | None
    depth: int
    caused: int
    revision: int
    postings: tuple[Posting, ...]


class Difference(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One thing that is not as it must be."""

    kind: str  # event, posting, inputs, after, due, customer, balance, lot, limit_use, reference
    id: str  # which one
    detail: str
    expected: object
    found: object


class Fold(msgspec.Struct, kw_only=True):
    """A customer's events folded so far."""

    state: CustomerState
    lots: dict[LotKey, Lot] = {}
    differences: list[Difference] = []

    def differ(self, kind: str, event_id: UUID, detail: str, pair: tuple[object, object]) -> None:
        expected, found = pair
        self.differences.append(
            Difference(kind=kind, id=show_id("evt", event_id), detail=detail, expected=expected, found=found)
        )


def replay(fold: Fold, group: Sequence[PastEvent], book: RuleBook) -> None:
    """Fold one event and what it caused. In: the event, then the events it caused, in `seq` order; their revision."""
    root = group[0]
    event = event_of(root, book)
    own = _due_postings(fold, event) if root.type == "points_expired" else ()
    if root.type != "points_expired":
        _check_nothing_due(fold, event)
    judged = record_event(fold.state, event, book, own)
    produced = (judged, *judged.caused)
    if len(produced) != len(group):
        types = [item.event.type.id for item in produced], [item.type for item in group]
        fold.differ("event", root.id, "events written together", types)
    for expected, past in zip(produced, group, strict=False):
        _compare(fold, expected, past, book)
    _carry_on(fold, judged, group)


def event_of(past: PastEvent, book: RuleBook) -> Event:
    """The event as it was judged; personal properties stay unread, as rules never see them."""
    event_type = book.program.event_types[past.type]
    found = read_fields(event_type.properties, past.properties, "", Reading(book.zone, []))
    pairs = zip(event_type.properties, found, strict=True)
    is_profile = past.type == PROFILE_TYPE
    tags = past.properties.get("tags") if is_profile else None
    changes = {name: value for name, value in past.properties.items() if name != "tags"} if is_profile else {}
    return Event(
        id=past.id,
        type=event_type,
        occurred_at=past.occurred_at,
        recorded_at=recorded_at(past.id),
        values=tuple(None if field.pii else value for field, (_, value) in pairs),
        properties="",
        attributes=changes,
        tags=tuple(tags) if isinstance(tags, list) else None,
        parent=past.parent,
        depth=past.depth,
    )


def _due_postings(fold: Fold, event: Event) -> tuple[Posting, ...]:
    """What the recorded expiry had to take: every open lot of the wallet that ends at its moment."""
    ending = [
        lot
        for lot in fold.lots.values()
        if lot.remaining and lot.expires_at == event.occurred_at and lot.wallet == event.values[0]
    ]
    return expire(sorted(ending, key=lambda lot: (lot.earned_at, lot.event_id, lot.n)))


def _check_nothing_due(fold: Fold, event: Event) -> None:
    for lot in fold.lots.values():
        if lot.remaining and lot.expires_at is not None and lot.expires_at <= event.recorded_at:
            detail = f"lot of {show_id('evt', lot.event_id)} had to expire before this event"
            fold.differ("due", event.id, detail, (0, lot.remaining))


# Comparing


def _compare(fold: Fold, expected: Judged, past: PastEvent, book: RuleBook) -> None:
    wallets = tuple(wallet.id for wallet in book.program.wallets)
    pairs: list[tuple[str, object, object]] = [
        ("type", expected.event.type.id, past.type),
        ("seq", expected.seq, past.seq),
        ("events caused", len(expected.caused), past.caused),
        ("inputs", _plain(to_json(expected.inputs)), past.inputs),
        ("after", _plain(show_after(expected.after, wallets)), past.after),
    ]
    for detail, wanted, found in pairs:
        if wanted != found:
            fold.differ("event", past.id, detail, (wanted, found))
    if expected.postings != past.postings:
        fold.differ("posting", past.id, "postings", (_show(expected.postings), _show(past.postings)))


_encoder = msgspec.json.Encoder(decimal_format="number")


def _plain(value: object) -> object:
    """The value as it reads back from the record."""
    return json.loads(_encoder.encode(value), parse_float=Decimal)


def _show(postings: Sequence[Posting]) -> list[str]:
    return [
        f"{posting.wallet}: {posting.points} {posting.from_state}→{posting.to_state} ({posting.rule or posting.reason})"
        for posting in postings
    ]


# Carrying on


def _carry_on(fold: Fold, judged: Judged, group: Sequence[PastEvent]) -> None:
    """The state after the group: movements as recorded, everything else as judged."""
    for produced in (judged, *judged.caused):
        for lot in produced.lots:
            fold.lots[lot.event_id, lot.n] = msgspec.structs.replace(lot, points=0, remaining=0)
    wallets = fold.state.wallets
    for past in group:
        wallets = apply_postings(wallets, past.postings)
        for posting in past.postings:
            _move_lot(fold, past, posting)
    fold.state = msgspec.structs.replace(judged.after, wallets=wallets, seq=group[-1].seq)


def _move_lot(fold: Fold, past: PastEvent, posting: Posting) -> None:
    lot = fold.lots.get((posting.lot_event, posting.lot_n))
    if lot is None:
        fold.differ(
            "lot", past.id, "posting names a lot that was never earned", (None, show_id("evt", posting.lot_event))
        )
        return
    earned = posting.points if posting.from_state == "program" else 0
    change = (posting.to_state == "available") - (posting.from_state == "available")
    fold.lots[lot.event_id, lot.n] = msgspec.structs.replace(
        lot, points=lot.points + earned, remaining=lot.remaining + change * posting.points
    )


def due_moment(fold: Fold) -> datetime | None:
    """When the first of the open lots ends: what the customer's `due_at` must be."""
    ends = [lot.expires_at for lot in fold.lots.values() if lot.remaining and lot.expires_at is not None]
    return min(ends, default=None)
