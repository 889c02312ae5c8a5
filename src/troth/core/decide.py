"""The decision: state + event + program → what is recorded, posted and carried on. Pure and total.

Order (semantics.md §1): apply what fell due → rules → post → tier → everything it caused. The same state, event and
books give the same decision, byte for byte; ids of events written along are neighbours of the event's own id.
Where a part of the state is not loaded, `Lacking` says which; nothing is decided then.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from troth import limits
from troth.core.account import Refused
from troth.core.coercion import Problem
from troth.core.due import apply_due
from troth.core.event import Event
from troth.core.judging import Judged, record_event
from troth.core.order_events import SameOrder
from troth.core.rules import Shelf
from troth.core.state import CustomerState


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to write for one event of one customer."""

    due: tuple[Judged, ...]  # what fell due before it; written even when it is refused
    judged: Judged | None  # the event itself; None: refused, or a duplicate
    refusal: Problem | None
    duplicate_of: UUID | None = None  # the opening event of its order, which has the same content
    state: CustomerState  # to carry to the customer's next event

    @property
    def recorded(self) -> tuple[Judged, ...]:
        """Every event to write, in seq order."""
        own = (self.judged, *self.judged.caused) if self.judged else ()
        return (*self.due, *own)


def decide(state: CustomerState, event: Event, shelf: Shelf) -> Decision:
    """Judge one event at its `judged_at`. Expected refusals are values. Raises Lacking."""
    due, settled = apply_due(state, event.judged_at, shelf, event.id)
    try:
        _refuse(settled, event)
        judged = record_event(settled, event, shelf)
        _refuse_excess(judged.after)
    except Refused as refused:
        return Decision(due=due, judged=None, refusal=refused.problem, state=settled)
    except SameOrder as same:
        return Decision(due=due, judged=None, refusal=None, duplicate_of=same.opening, state=settled)
    return Decision(due=due, judged=judged, refusal=None, state=judged.after)


def _refuse(state: CustomerState, event: Event) -> None:
    if event.type.once and state.counts.get(event.type.id):
        raise Refused("/type", "not_repeatable", f"this customer already has a '{event.type.id}' event")


def _refuse_excess(state: CustomerState) -> None:
    most = limits.BALANCE_POINTS
    for wallet_id, wallet in state.wallets.items():
        if wallet.available > most or wallet.lifetime > most or wallet.debt < -most or wallet.pending > most:
            raise Refused("", "balance_limit", f"wallet '{wallet_id}' cannot hold more than {most} points")
