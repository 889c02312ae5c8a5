"""Events that wait in the inboxes of webhook sources for their orders, tried again: an order may open by another way.

In: the inboxes, a page of each at a time, oldest first. Out: what is recorded is taken out. The order of a refund may
come through another door, or be replayed from a rejection; then no webhook looks into the inbox.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from troth.entry.hook_recording import read_waiting
from troth.entry.hooks import HOOK_KINDS
from troth.entry.source_door import SourceDoor
from troth.pipeline.outcome import Overloaded

_OLDEST = UUID(int=0)


@dataclass(slots=True, kw_only=True)
class OrderInbox:
    """The inboxes as one process goes through them."""

    door: SourceDoor
    places: dict[str, UUID] = field(default_factory=dict)  # source → the last item tried

    async def revisit(self) -> int:
        """Try the next page of every source. Out: how much was taken out."""
        taken = 0
        try:
            for kind in HOOK_KINDS:
                for source in await self.door.sources.of_kind(kind):
                    tried = await self.door.inbox.oldest(source.id, self.places.get(source.id, _OLDEST))
                    taken += await self.door.retry_waiting(source, tried, read_waiting)
                    self.places[source.id] = tried[-1].id if tried else _OLDEST
        except Overloaded:
            pass  # live events come first; the next round goes on from here
        return taken
