"""What the outbox measures: what waits, since when, and what came of the rest; for all processes, from the database.

In: the database, asked when somebody reads the measurements. Out: names, values and what they mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from troth.core.ids import recorded_at
from troth.store import deliveries, outbox, webhooks
from troth.store.pool import Database

Readings = Mapping[str, tuple[float, str]]


@dataclass(slots=True, kw_only=True)
class Measures:
    """The last look."""

    database: Database
    found: Readings = field(default_factory=dict)

    async def look(self) -> None:
        """Ask the database. Raises what it raises; the readings are then those of the last look."""
        async with self.database.pool.acquire() as connection:
            waiting, oldest = await outbox.backlog(connection)
            on_their_way, next_at = await deliveries.backlog(connection)
            totals = await webhooks.totals(connection)
        now = datetime.now(UTC)
        since = [moment for moment in (recorded_at(oldest) if oldest else None, next_at) if moment is not None]
        late = max(((now - moment).total_seconds() for moment in since), default=0.0)
        self.found = {
            "outbox_waiting": (waiting, "What happened and is not fanned out yet, counted up to a bound."),
            "webhook_deliveries_waiting": (on_their_way, "Messages not delivered yet, counted up to a bound."),
            "webhook_oldest_seconds": (max(late, 0.0), "How long the most urgent message has been due."),
            "webhook_deliveries_total": (totals.delivered, "Messages delivered."),
            "webhook_given_up_total": (totals.given_up, "Messages given up."),
            "webhooks_enabled": (totals.enabled, "Webhooks that are told."),
            "webhooks_failing": (totals.failing, "Of them, those whose last attempt has failed."),
        }

    def readings(self) -> Readings:
        return self.found
