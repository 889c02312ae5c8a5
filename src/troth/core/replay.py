"""The fold that proves: a customer's recorded events in `seq` order → the state they led to, and every difference
between what is recorded and what the program of that time gives.

Pure. Every event is judged again by the same code that judged it live, from the folded state, under the recorded
revision; what fell due is found again. Beside it wallets and lots are added up from the recorded postings alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from troth.core.account import Refused, end_of
from troth.core.calendar import local_day
from troth.core.coercion import Reading, read_fields
from troth.core.due import next_step, take_step
from troth.core.event import Event
from troth.core.exact_json import read_exact
from troth.core.ids import recorded_at, show_id
from troth.core.inputs import to_json
from troth.core.judging import Judged, record_event
from troth.core.moments import Occasion, told
from troth.core.order_events import SameOrder
from troth.core.order_state import LotKey
from troth.core.program.builtin_types import PROFILE_TYPE
from troth.core.record import show_after
from troth.core.rules import RuleBook, Shelf
from troth.core.state import CustomerState, Lacking, Posting, WalletState, apply_postings, qualifying_change
from troth.core.tier_changes import history_of


class PastEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One recorded event with its postings, in stored form."""

    id: UUID
    seq: int
    type: str
    occurred_at: datetime
    source: str
    properties: Mapping[str, object]  # without personal ones
    inputs: Mapping[str, object] | None
    after: Mapping[str, object]
    parent: UUID | None
    depth: int
    caused: int
    outcome: str = "applied"
    revision: int
    order_key: UUID | None = None
    clock: datetime | None = None  # the program's present, when a test clock stood
    postings: tuple[Posting, ...]

    @property
    def is_due(self) -> bool:
        """Written by the engine because its time had come."""
        return self.source == "system" and self.parent is None


class Difference(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One thing that is not as it must be."""

    kind: str  # event, posting, inputs, after, due, customer, balance, lot, limit_use, order, reservation, …
    id: str  # which one
    detail: str
    expected: object
    found: object


class Fold(msgspec.Struct, kw_only=True):
    """A customer's events folded so far. `wallets` and `in_lots` are sums of the recorded postings."""

    state: CustomerState
    wallets: Mapping[str, WalletState] = {}
    in_lots: dict[LotKey, dict[str, int]] = {}  # lot → state → points
    qualifying: list[tuple[str, datetime, datetime, int]] = []  # wallet, counts at, judged at, points
    differences: list[Difference] = []

    def differ(self, kind: str, event_id: UUID, detail: str, pair: tuple[object, object]) -> None:
        expected, found = pair
        self.differences.append(
            Difference(kind=kind, id=show_id("evt", event_id), detail=detail, expected=expected, found=found)
        )


def begin(created_at: datetime) -> Fold:
    """The fold of a customer of whom nothing is recorded yet."""
    return Fold(state=CustomerState(created_at=created_at, is_whole=True))


def replay(fold: Fold, group: Sequence[PastEvent], shelf: Shelf) -> None:
    """Fold one event and what it caused. In: the event, then the events it caused, in `seq` order; their revision."""
    root = group[0]
    produced = _judge_again(fold, root, shelf)
    if len(produced) != len(group):
        types = [item.event.type.id for item in produced], [item.type for item in group]
        fold.differ("event", root.id, "events written together", types)
    for expected, past in zip(produced, group, strict=False):
        _compare(fold, expected, past, shelf.live)
    for past in group:
        _add_up(fold, past)


def _judge_again(fold: Fold, root: PastEvent, shelf: Shelf) -> Sequence[Judged]:
    """What the root gives now; the fold's state after it."""
    while True:
        try:
            return _due_again(fold, root, shelf) if root.is_due else _event_again(fold, root, shelf)
        except Lacking as lacking:
            _begin_history(fold, lacking.need.qualifying, _now(root), shelf)
        except (Refused, SameOrder) as refusal:
            fold.differ("event", root.id, "it could not have been recorded", ("refused", str(refusal)))
            fold.state = msgspec.structs.replace(fold.state, seq=fold.state.seq + 1)
            return ()


def _begin_history(fold: Fold, wallet: str | None, now: datetime, shelf: Shelf) -> None:
    """What tiers are judged by, drawn from all postings so far; nothing else can be lacking where all is known."""
    assert wallet is not None
    found = [entry[1:] for entry in fold.qualifying if entry[0] == wallet]
    fold.state = msgspec.structs.replace(fold.state, tiers=history_of(fold.state.tiers, shelf.live, now, found))


def _now(past: PastEvent) -> datetime:
    return past.clock or recorded_at(past.id)


def _event_again(fold: Fold, root: PastEvent, shelf: Shelf) -> Sequence[Judged]:
    event = event_of(root, shelf.live)
    skip_quiet_steps(fold, event.judged_at, shelf)
    step = next_step(fold.state, shelf)
    if step is not None and step.moment <= event.judged_at:
        moments = str(step.moment), str(event.judged_at)
        fold.differ("due", root.id, f"'{step.name}' was due before this event", moments)
    judged = record_event(fold.state, event, shelf)
    fold.state = judged.after
    return (judged, *judged.caused)


def _due_again(fold: Fold, root: PastEvent, shelf: Shelf) -> Sequence[Judged]:
    skip_quiet_steps(fold, root.occurred_at, shelf)
    if root.type == "birthday":  # the birth date is personal, and proofs open nothing
        year = local_day(root.occurred_at, shelf.live.zone).year
        occasion = Occasion(type="birthday", moment=root.occurred_at, number=year)
        judged = record_event(told(fold.state, occasion), event_of(root, shelf.live), shelf)
        fold.state = judged.after
        return (judged, *judged.caused)
    step = next_step(fold.state, shelf)
    if step is None or step.moment != root.occurred_at:
        fold.differ("due", root.id, root.type, (str(step.moment) if step else "nothing due", str(root.occurred_at)))
        fold.state = msgspec.structs.replace(fold.state, seq=fold.state.seq + 1)
        return ()
    produced, fold.state = take_step(fold.state, step, shelf, root.id)
    return produced


def skip_quiet_steps(fold: Fold, until: datetime, shelf: Shelf) -> None:
    """Reviews that change nothing leave no event."""
    while True:
        step = next_step(fold.state, shelf)
        if step is None or step.moment > until or not step.is_review:
            return
        produced, after = take_step(fold.state, step, shelf, UUID(int=1 << 100))
        if produced:
            return
        fold.state = after


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
        judged_at=past.occurred_at if past.is_due else _now(past),
        values=tuple(None if field.pii else value for field, (_, value) in pairs),
        properties=_encoder.encode(past.properties).decode(),
        attributes=changes,
        tags=tuple(tags) if isinstance(tags, list) else None,
        parent=past.parent,
        depth=past.depth,
        order_key=past.order_key,
        may_earn=bool((past.inputs or {}).get("awards", True)),
    )


# Comparing


def _compare(fold: Fold, expected: Judged, past: PastEvent, book: RuleBook) -> None:
    wallets = tuple(wallet.id for wallet in book.program.wallets)
    pairs: list[tuple[str, object, object]] = [
        ("type", expected.event.type.id, past.type),
        ("seq", expected.seq, past.seq),
        ("outcome", expected.outcome, past.outcome),
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
    return read_exact(_encoder.encode(value).decode())


def _show(postings: Sequence[Posting]) -> list[str]:
    return [
        f"{posting.wallet}: {posting.points} {posting.from_state}→{posting.to_state} ({posting.rule or posting.reason})"
        for posting in postings
    ]


# Adding up what is recorded


def _add_up(fold: Fold, past: PastEvent) -> None:
    fold.wallets = apply_postings(fold.wallets, past.postings)
    for posting in past.postings:
        change = qualifying_change(posting)
        if change:
            counts_at = posting.earned_at or posting.occurred_at
            fold.qualifying.append((posting.wallet, counts_at, _now(past), change))
        if posting.lot_event is None or posting.lot_n is None:
            continue
        lot = fold.in_lots.setdefault((posting.lot_event, posting.lot_n), {"pending": 0, "available": 0, "expired": 0})
        if posting.from_state in lot:
            lot[posting.from_state] -= posting.points
        if posting.to_state in lot:
            lot[posting.to_state] += posting.points


def lost_lots(fold: Fold) -> Iterator[Difference]:
    """Lots that postings name and no judged event earned, or that hold other points than the postings left."""
    nothing = {"pending": 0, "available": 0, "expired": 0}
    for key in fold.in_lots.keys() | fold.state.lots.keys():
        lot, sums = fold.state.lots.get(key), fold.in_lots.get(key, nothing)
        held = {"pending": lot.pending, "available": lot.remaining, "expired": lot.expired} if lot is not None else None
        if held != sums:
            name = f"{show_id('evt', key[0])}/{key[1]}"
            yield Difference(kind="lot", id=name, detail="sums of its postings", expected=held, found=sums)


def due_moment(fold: Fold, shelf: Shelf) -> datetime | None:
    """When the first thing of the customer falls due, birthdays aside: `due_at` may be no later."""
    step = next_step(fold.state, shelf)
    return step.moment if step is not None else None


def settled_lot_ends(fold: Fold, shelf: Shelf) -> Mapping[LotKey, datetime | None]:
    """When each lot ends, as activity has moved it."""
    last = fold.state.last_activity_at
    return {key: end_of(lot, last, shelf) for key, lot in fold.state.lots.items()}
