"""The one place that writes: decisions → rows → one statement in the batch's transaction.

Events and postings are inserted here and nowhere else (law 1). Personal parts are sealed on the way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

import msgspec

from troth.core.calendar import show_time
from troth.core.decide import Decision
from troth.core.ids import reference_hash, show_id
from troth.core.inputs import to_json
from troth.core.judging import Judged
from troth.core.program.builtin_types import PROFILE_TYPE
from troth.core.record import CausedEvent, RecordedEvent, awards_of, net_points, show_after, show_caused
from troth.core.rules import RuleBook
from troth.core.state import CustomerState, Stock
from troth.pipeline.outcome import Applied, Brief
from troth.pipeline.work import Work
from troth.store import ledger
from troth.store.batch import CustomerRow
from troth.store.events import CustomerPersonal, Personal
from troth.store.ledger_rows import CustomerFold, EventRow, Written
from troth.store.pool import Connection
from troth.store.vault import CustomerKey

_encoder = msgspec.json.Encoder(decimal_format="number")
Codes = Mapping[tuple[str, int], str]  # reward and number → the code in clear


class Party(msgspec.Struct, kw_only=True):
    """A customer within one batch: the row, the key, and the state that decisions carry forward."""

    row: CustomerRow
    key: CustomerKey | None  # None: read for a preview, nothing will be sealed
    before: CustomerState  # as loaded; tells what changed
    is_new: bool = False


class Ledger:
    """Gathers what one batch leaves behind."""

    def __init__(self, book: RuleBook, codes: Codes | None = None) -> None:
        self._book = book
        self._codes = codes or {}
        self._written = Written(revision=book.program.revision)
        self._quiet: set[int] = set()  # places of events that nobody is told of
        self._touched: dict[UUID, Party] = {}
        self._profiles: dict[UUID, dict[str, object]] = {}  # customer → personal attributes that profile events change
        self._stocks: Mapping[str, Stock] = {}

    def add(self, work: Work, party: Party, decision: Decision) -> Applied | None:
        """Take in one decision. Out: what to answer, or None when the event was not recorded."""
        first = len(self._written.events) + 1
        self.settle(party, decision.due, decision.state, is_touched=bool(decision.recorded))
        applied = None
        if decision.judged is not None:
            applied = self._add_whole(decision.judged, party, work)
        if work.raw.is_historical:
            self._quiet.update(range(first, len(self._written.events) + 1))
        return applied

    def _add_whole(self, judged: Judged, party: Party, work: Work) -> Applied:
        """An event with everything it causes."""
        shown = self._add_event(judged, party, work)
        for effect in judged.caused:
            self._add_event(effect, party, None)
        if work.valid.type.id == PROFILE_TYPE:
            self._profiles.setdefault(party.row.id, {}).update(work.valid.personal_properties)
        customer = party.row.external_id
        brief = Brief(customer, show_time(judged.event.occurred_at), shown.points)
        return Applied(brief, partial(show_record, judged, customer, work.valid.reference, shown))

    def settle(self, party: Party, due: Sequence[Judged], state: CustomerState, *, is_touched: bool = True) -> None:
        """Take in what fell due for a customer, and the state after it (and after the event behind it)."""
        for judged in due:
            self._add_event(judged, party, None)
        party.row.state = state
        if is_touched:
            self._touched[party.row.id] = party

    def share(self, stocks: Mapping[str, Stock]) -> None:
        """What all customers share of rewards, after the last event of the batch."""
        self._stocks = stocks

    @property
    def needs_transaction(self) -> bool:
        """New customers, profiles and whatever is rare take further statements."""
        for party in self._touched.values():
            if party.is_new or party.row.id in self._profiles or _has_rare_changes(party):
                return True
        return bool(self._written.codes)

    async def write(
        self,
        connection: Connection,
        claims: Mapping[bytes, UUID],
        judged: Sequence[CustomerRow],
        *,
        tells: bool,
    ) -> None:
        """Write it all, if these references are free and these customers unchanged. Raises ledger.Conflicting.

        `tells`: some webhook wants to know, so the events go into the outbox too.
        """
        if not self._touched:
            return
        written = self._written
        if tells:
            written.told = [place for place in range(1, len(written.events) + 1) if place not in self._quiet]
        for party in self._touched.values():
            changed = party.row.state, party.before
            has_new_tiers = changed[0].tiers is not changed[1].tiers
            has_new_calendar = changed[0].calendar is not changed[1].calendar
            written.customers.append(CustomerFold(party.row, has_new_tiers, has_new_calendar))
            self._finish(party, len(written.customers))
        written.counters = [(f"reward:{reward}", stock.claimed) for reward, stock in sorted(self._stocks.items())]
        await ledger.write(connection, written, claims, judged)

    def _finish(self, party: Party, place: int) -> None:
        """What changed of a customer: its wallets, lots, limit uses, orders …; of a new one everything."""
        row, state, before = party.row, party.row.state, party.before
        written = self._written
        if changes := self._profiles.get(row.id):
            _merge_personal(party, changes)
        if party.is_new:
            if row.personal is None:
                plain = CustomerPersonal(external_id=row.external_id)
                row.personal = _key(party).seal(msgspec.json.encode(plain), row.id)
            written.new_customers.append(row)
        elif row.id in self._profiles:
            written.profiles.append(row)
        for wallet_id, wallet in state.wallets.items():
            if before.wallets.get(wallet_id) is not wallet:
                written.balances.append((place, wallet_id, wallet))
        if state.uses:
            written.uses.extend((place, key, use) for key, use in state.uses.items() if before.uses.get(key) is not use)
        for lot_key, lot in state.lots.items():
            known = before.lots.get(lot_key)
            if known is None:
                written.lots.append((place, lot))
            elif known is not lot:
                written.changed_lots.append(lot)
        for order_id in state.plain_orders:
            if order_id not in state.order_states:
                written.orders.append((place, order_id, None, None))
        if state.order_states or state.waiting_events is not before.waiting_events:
            self._finish_orders(party, place)
        if state.reservations is not before.reservations or state.redemptions is not before.redemptions:
            self._finish_spending(party, place)

    def _finish_orders(self, party: Party, place: int) -> None:
        state, before = party.row.state, party.before
        for order in state.order_states.values():
            if before.order_states.get(order.id) is not order:
                kept = None if order.is_as_opened else order
                self._written.orders.append((place, order.id, kept, order.decides_at))
        for key, events in state.waiting_events.items():
            known = {event.event_id for event in before.waiting_events.get(key, ())}
            now = {event.event_id for event in events}
            self._written.waiting_new.extend((place, key, event_id) for event_id in now - known)
            self._written.waiting_gone.extend((place, key, event_id) for event_id in known - now)

    def _finish_spending(self, party: Party, place: int) -> None:
        state, before = party.row.state, party.before
        for held in state.reservations.values():
            if held is not None and before.reservations.get(held.id) is not held:
                self._written.reservations.append((place, held))
        for claim in state.redemptions.values():
            if claim is not None and before.redemptions.get(claim.id) is not claim:
                self._written.redemptions.append((place, claim))

    def _add_event(self, judged: Judged, party: Party, work: Work | None) -> Shown:
        shown, written = show(judged, self._book), self._written
        row = self._event_row(judged, party, work, shown)
        written.events.append(row)
        place = len(written.events)
        for posting in judged.postings:
            written.postings.append((place, posting))
        if judged.code is not None:
            written.codes.append((*judged.code, judged.event.id))
        if work is None:
            written.references.append((_system_reference(judged, party), judged.event.id))
        return shown

    def _event_row(self, judged: Judged, party: Party, work: Work | None, shown: Shown) -> EventRow:
        event, raw, row_key = judged.event, work.raw if work else None, _key(party)
        inputs = to_json(judged.inputs)
        code = None if judged.code is None else self._codes.get(judged.code)
        personal = _seal(work, party, event.id, code) if work else None
        return EventRow(
            bucket=party.row.bucket,
            id=event.id,
            customer_id=party.row.id,
            seq=judged.seq,
            type=event.type.id,
            occurred_at=event.occurred_at,
            source=raw.source if raw else "system",
            source_detail=raw.source_detail if raw else None,
            actor=raw.actor if raw else None,
            signed=raw.is_signed if raw else False,
            parent=event.parent,
            depth=event.depth,
            caused=len(judged.caused),
            points=shown.points,
            properties=event.properties,
            inputs=None if inputs is None else _encoder.encode(inputs).decode(),
            after=_encoder.encode(shown.after).decode(),
            warnings=_encoder.encode(shown.warnings).decode() if shown.warnings else None,
            personal_key=row_key.id if personal else None,
            personal=personal,
            outcome=judged.outcome,
            order_key=event.order_key,
            clock=event.judged_at if event.judged_at != event.recorded_at else None,
        )


def _has_rare_changes(party: Party) -> bool:
    state, before = party.row.state, party.before
    return (
        state.waiting_events is not before.waiting_events
        or state.reservations is not before.reservations
        or state.redemptions is not before.redemptions
        or state.lots_to is not before.lots_to
    )


class Shown(msgspec.Struct, frozen=True, gc=False):
    """What is stored of an event, and answered, in the form in which it is shown."""

    book: RuleBook
    points: int
    after: dict[str, object]  # wallets and tier
    warnings: tuple[Mapping[str, str], ...]


def show(judged: Judged, book: RuleBook) -> Shown:
    return Shown(
        book,
        net_points(judged.postings, book.main_wallet),
        show_after(judged.after, book.wallet_ids),
        tuple({"code": item.code, "pointer": item.pointer, "detail": item.detail} for item in judged.warnings),
    )


def show_record(judged: Judged, customer: str, reference: str | None, shown: Shown) -> RecordedEvent:
    """The answer to a judged event, as it will be read back. In: whose it is, and its own reference."""
    event, event_id, book = judged.event, show_id("evt", judged.event.id), shown.book
    return RecordedEvent(
        id=event_id,
        customer=customer,
        type=event.type.id,
        reference=event_id if reference is None else reference,
        occurred_at=show_time(event.occurred_at),
        recorded_at=show_time(event.recorded_at),
        points=shown.points,
        awards=awards_of(judged.postings, event.judged_at),
        wallets=shown.after["wallets"],  # type: ignore[arg-type]
        tier=shown.after["tier"],  # type: ignore[arg-type]
        outcome=judged.outcome,
        caused=tuple(_show_caused(effect, book) for effect in judged.caused),
        warnings=shown.warnings,
        seq=judged.seq,
        revision=book.program.revision,
    )


def _show_caused(effect: Judged, book: RuleBook) -> CausedEvent:
    awards = awards_of(effect.postings, effect.event.judged_at)
    return show_caused(effect.event.id, effect.event.type.id, net_points(effect.postings, book.main_wallet), awards)


def _seal(work: Work, party: Party, event_id: UUID, code: str | None) -> bytes | None:
    """The personal part of an event, sealed; None when it has none."""
    raw, valid = work.raw, work.valid
    own = dict(valid.personal_properties) if code is None else {**valid.personal_properties, "code": code}
    if valid.reference is None and not own and raw.ip is None and raw.user_agent is None:
        return None
    personal = Personal(reference=valid.reference, properties=own, ip=raw.ip, user_agent=raw.user_agent)
    return _key(party).seal(_encoder.encode(personal), event_id)


def _key(party: Party) -> CustomerKey:
    assert party.key is not None, "only parties of a batch are written"
    return party.key


def _merge_personal(party: Party, changes: Mapping[str, object]) -> None:
    """Personal attributes live in the customer's sealed column; None removes one."""
    row = party.row
    known = CustomerPersonal(external_id=row.external_id)
    if row.personal is not None:
        known = msgspec.json.decode(_key(party).open(row.personal, row.id), type=CustomerPersonal)
    merged = {name: value for name, value in {**known.attributes, **changes}.items() if value is not None}
    plain = CustomerPersonal(external_id=known.external_id, attributes=merged)
    row.personal = _key(party).seal(_encoder.encode(plain), row.id)


def _system_reference(judged: Judged, party: Party) -> bytes:
    """The reference of an event the engine writes: it can be written only once."""
    event, customer = judged.event, show_id("cus", party.row.id)
    return reference_hash("sys", f"sys:{_system_name(judged, event.occurred_at)}:{customer}")


def _system_name(judged: Judged, moment: datetime) -> str:
    event = judged.event
    if event.parent is not None:
        return f"caused:{show_id('evt', event.parent)}"
    match event.type.id:
        case "points_expired" | "points_released":
            # A day may end twice, when a server whose clock is behind still earns for it; a lot ends once.
            lots = ",".join(sorted({f"{posting.lot_event}/{posting.lot_n}" for posting in judged.postings}))
            return f"{event.type.id}:{event.values[0]}:{show_time(moment)}:{lots}"
        case "checkout_accept" | "checkout_reject":
            return f"decided:{event.order_key}"
        case "reservation_released":
            return f"timeout:{event.values[0]}"
        case _:
            return f"{event.type.id}:{show_time(moment)}"
