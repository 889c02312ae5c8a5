"""Answers as that product gives them: the customer without anything personal, and what moved spendable points.

In: the profile as of now, recorded events and their postings. Out: bytes of JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from troth.api.profiles import Profile
from troth.core.ids import read_id, show_id
from troth.core.record import RecordedEvent
from troth.core.sources.antavo import AntavoSettings
from troth.core.state import Posting
from troth.entry.antavo.errors import AntavoError, ErrorBody
from troth.entry.antavo.recording import Recorded, Result
from troth.store.events import fetch_postings
from troth.store.pool import Connection

Postings = Mapping[UUID, tuple[Posting, ...]]
_SPENDABLE = frozenset({"available", "debt"})


class SubEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded event that moved spendable points."""

    id: str
    action: str
    points: int


class CustomerAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The customer as of now, without anything personal; score = spendable + spent + reserved + expired."""

    id: str
    created_at: str
    status: str
    score: int  # ever earned, less what was taken back
    spent: int
    pending: int
    reserved: int
    expired: int
    spendable: int
    level: str | None  # id of the tier
    currency: str
    events: tuple[SubEvent, ...] | msgspec.UnsetType = msgspec.UNSET  # of the event that is answered


class ActionsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A result for each event, in order: `events`, or `error`."""

    results: tuple[object, ...]
    total: int
    errors: int


class EventsResult(msgspec.Struct, frozen=True, kw_only=True):
    events: tuple[SubEvent, ...]


class ErrorResult(msgspec.Struct, frozen=True, kw_only=True):
    error: ErrorBody


class Actions:
    """The names that integrations know our event types by."""

    __slots__ = ("_by_type",)

    def __init__(self, settings: AntavoSettings) -> None:
        self._by_type: dict[str, str] = {}
        for action, mapping in settings.actions.items():
            if mapping is not None:
                self._by_type.setdefault(mapping.type, action)

    def of(self, type_id: str) -> str:
        return self._by_type.get(type_id, type_id)

    def types_of(self, settings: AntavoSettings, action: str) -> str:
        """The type that an action stands for in lists."""
        mapping = settings.actions.get(action)
        return mapping.type if mapping is not None else action


def customer_answer(
    profile: Profile, wallet_id: str, currency: str, events: tuple[SubEvent, ...] | msgspec.UnsetType = msgspec.UNSET
) -> CustomerAnswer:
    wallet = profile.wallets[wallet_id]
    return CustomerAnswer(
        id=profile.customer,
        created_at=profile.created_at,
        status="active",
        score=wallet.lifetime,
        spent=wallet.spent,
        pending=wallet.pending,
        reserved=wallet.reserved,
        expired=wallet.expired,
        spendable=wallet.balance,
        level=profile.tier.id if profile.tier is not None else None,
        currency=currency,
        events=events,
    )


def bulk_answer(results: Sequence[Result], postings: Postings, actions: Actions) -> ActionsAnswer:
    shown: list[object] = []
    for result in results:
        if isinstance(result, AntavoError):
            shown.append(ErrorResult(error=result.body().error))
        else:
            shown.append(EventsResult(events=sub_events(result, postings, actions)))
    failed = sum(isinstance(result, AntavoError) for result in results)
    return ActionsAnswer(results=tuple(shown), total=len(results), errors=failed)


def sub_events(result: Recorded, postings: Postings, actions: Actions) -> tuple[SubEvent, ...]:
    """What was recorded and what it caused, as far as it moved spendable points of the wallet."""
    found = []
    for record in result.records:
        for event_id, type_id in _written(record):
            points = _moved(postings.get(event_id, ()), result.event.wallet)
            if points:
                found.append(SubEvent(id=show_id("evt", event_id), action=actions.of(type_id), points=points))
    return tuple(found)


async def postings_of(connection: Connection, results: Sequence[Result]) -> Postings:
    """The postings of everything that these results recorded."""
    records = [record for result in results if isinstance(result, Recorded) for record in result.records]
    ids = [event_id for record in records for event_id, _ in _written(record)]
    return await fetch_postings(connection, ids) if ids else {}


def _written(record: RecordedEvent) -> list[tuple[UUID, str]]:
    """The event and what it caused: ids and types."""
    names = [(record.id, record.type), *((caused.id, caused.type) for caused in record.caused)]
    return [(event_id, type_id) for name, type_id in names if (event_id := read_id("evt", name)) is not None]


def _moved(postings: Sequence[Posting], wallet: str) -> int:
    return sum(
        ((posting.to_state in _SPENDABLE) - (posting.from_state in _SPENDABLE)) * posting.points
        for posting in postings
        if posting.wallet == wallet
    )
