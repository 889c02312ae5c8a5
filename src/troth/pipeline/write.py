"""The one place that writes: decisions → rows → one statement in the batch's transaction.

Events and postings are inserted here and nowhere else (law 1). Personal parts are sealed on the way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from troth.core.calendar import show_time
from troth.core.decide import Decision, Judged
from troth.core.ids import reference_hash, show_id
from troth.core.inputs import to_json
from troth.core.program.builtin_types import PROFILE_TYPE
from troth.core.record import CausedEvent, RecordedEvent, awards_of, net_points, show_after, show_caused
from troth.core.rules import RuleBook
from troth.core.state import CustomerState
from troth.pipeline.work import Work
from troth.store import ledger
from troth.store.batch import CustomerRow
from troth.store.events import CustomerPersonal, Personal
from troth.store.ledger import EventRow, Written
from troth.store.pool import Connection
from troth.store.vault import CustomerKey

_encoder = msgspec.json.Encoder(decimal_format="number")


class Party(msgspec.Struct, kw_only=True):
    """A customer within one batch: the row, the key, and the state that decisions carry forward."""

    row: CustomerRow
    key: CustomerKey | None  # None: read for a preview, nothing will be sealed
    before: CustomerState  # as loaded; tells what changed
    is_new: bool = False
    has_new_profile: bool = False


class Ledger:
    """Gathers what one batch leaves behind."""

    def __init__(self, book: RuleBook) -> None:
        self._book = book
        self._written = Written(
            revision=book.program.revision,
            events=[],
            postings=[],
            lots=[],
            closed=[],
            customers=[],
            new_customers=[],
            profiles=[],
            balances=[],
            uses=[],
            references=[],
        )
        self._touched: dict[UUID, Party] = {}

    def add(self, work: Work, party: Party, decision: Decision) -> RecordedEvent | None:
        """Take in one decision. Out: the record to answer with, or None when the event was refused."""
        for judged in decision.due:
            self._add_event(judged, party, None)
        self._written.closed.extend(decision.closed)
        party.row.state = decision.state
        if decision.recorded:
            self._touched[party.row.id] = party
        if decision.judged is None:
            return None
        record = self._add_event(decision.judged, party, work)
        for judged in decision.judged.caused:
            self._add_event(judged, party, None)
        if work.valid.type.id == PROFILE_TYPE:
            party.has_new_profile = True
            if work.valid.personal_properties:
                _merge_personal(party, work.valid.personal_properties)
        return record

    @property
    def needs_transaction(self) -> bool:
        """New customers and profiles take further statements."""
        return any(party.is_new or party.has_new_profile for party in self._touched.values())

    async def write(self, connection: Connection, claims: Mapping[bytes, UUID], judged: Sequence[CustomerRow]) -> None:
        """Write it all, if these references are free and these customers unchanged. Raises ledger.Conflicting."""
        if not self._touched:
            return
        written = self._written
        for party in self._touched.values():
            written.customers.append(party.row)
            self._finish(party, len(written.customers))
        await ledger.write(connection, written, claims, judged)

    def _finish(self, party: Party, place: int) -> None:
        """What changed of a customer: its wallets, its limit uses, its profile; of a new one everything."""
        row, state, before = party.row, party.row.state, party.before
        written = self._written
        if party.is_new:
            if row.personal is None:
                plain = CustomerPersonal(external_id=row.external_id)
                row.personal = _key(party).seal(msgspec.json.encode(plain), row.id)
            written.new_customers.append(row)
        elif party.has_new_profile:
            written.profiles.append(row)
        for wallet_id, wallet in state.wallets.items():
            if before.wallets.get(wallet_id) is not wallet:
                written.balances.append((place, wallet_id, wallet))
        if state.uses:
            written.uses.extend((place, key, use) for key, use in state.uses.items() if before.uses.get(key) is not use)

    def _add_event(self, judged: Judged, party: Party, work: Work | None) -> RecordedEvent:
        record = show_record(judged, party, work, self._book)
        row = self._event_row(judged, party, work, record)
        written = self._written
        written.events.append(row)
        place = len(written.events)
        for posting in judged.postings:
            written.postings.append((place, posting))
        for lot in judged.lots:
            written.lots.append((place, lot))
        if work is None:
            written.references.append((_system_reference(judged, party), judged.event.id))
        return record

    def _event_row(self, judged: Judged, party: Party, work: Work | None, record: RecordedEvent) -> EventRow:
        event, raw, row_key = judged.event, work.raw if work else None, _key(party)
        inputs = to_json(judged.inputs)
        personal = _seal(work, party, event.id) if work else None
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
            points=record.points,
            properties=event.properties,
            inputs=None if inputs is None else _encoder.encode(inputs).decode(),
            after=_encoder.encode({"wallets": record.wallets, "tier": record.tier}).decode(),
            warnings=_encoder.encode(record.warnings).decode() if record.warnings else None,
            personal_key=row_key.id if personal else None,
            personal=personal,
        )


def show_record(judged: Judged, party: Party, work: Work | None, book: RuleBook) -> RecordedEvent:
    """The answer to a judged event, as it will be read back."""
    event, event_id = judged.event, show_id("evt", judged.event.id)
    after = show_after(judged.after, tuple(wallet.id for wallet in book.program.wallets))
    reference = work.valid.reference if work else None
    return RecordedEvent(
        id=event_id,
        customer=party.row.external_id,
        type=event.type.id,
        reference=event_id if reference is None else reference,
        occurred_at=show_time(event.occurred_at),
        recorded_at=show_time(event.recorded_at),
        points=net_points(judged.postings, book.main_wallet),
        awards=awards_of(judged.postings, _ends(judged), event.recorded_at),
        wallets=after["wallets"],  # type: ignore[arg-type]
        tier=after["tier"],  # type: ignore[arg-type]
        outcome="applied",
        caused=tuple(_show_caused(effect, book) for effect in judged.caused),
        warnings=tuple({"code": item.code, "pointer": item.pointer, "detail": item.detail} for item in judged.warnings),
        seq=judged.seq,
        revision=book.program.revision,
    )


def _ends(judged: Judged) -> Mapping[tuple[UUID, int], datetime | None]:
    return {(lot.event_id, lot.n): lot.expires_at for lot in judged.lots}


def _show_caused(effect: Judged, book: RuleBook) -> CausedEvent:
    awards = awards_of(effect.postings, _ends(effect), effect.event.recorded_at)
    return show_caused(effect.event.id, effect.event.type.id, net_points(effect.postings, book.main_wallet), awards)


def _seal(work: Work, party: Party, event_id: UUID) -> bytes | None:
    """The personal part of an event, sealed; None when it has none."""
    raw, valid = work.raw, work.valid
    if valid.reference is None and not valid.personal_properties and raw.ip is None and raw.user_agent is None:
        return None
    personal = Personal(
        reference=valid.reference,
        properties=dict(valid.personal_properties),
        ip=raw.ip,
        user_agent=raw.user_agent,
    )
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
    if event.type.id == "points_expired":
        # A day may end twice, when a server whose clock is behind still earns for it; a lot ends once.
        wallet, lot = event.values[0], judged.postings[0]
        ends = f"{show_time(event.occurred_at)}:{show_id('evt', lot.lot_event)}:{lot.lot_n}"
        return reference_hash("sys", f"sys:expired:{customer}:{wallet}:{ends}")
    assert event.type.id == "tier_upgraded", event.type.id
    assert event.parent is not None
    return reference_hash("sys", f"sys:tier:{show_id('evt', event.parent)}")
