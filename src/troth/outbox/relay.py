"""The relay: fans the outbox out, and has what is due delivered, each webhook by a run of its own.

In: the database, the vault, a sender. Out: requests. Several relays share the work: rows and deliveries that one holds
are skipped by the others. A receiver that hangs holds up its own run and nothing else. Killed at any moment it loses
nothing: what was under way is repeated, under the same message id, when its lease is over.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import structlog

from troth import limits
from troth.core.ids import show_id
from troth.outbox.fanout import disable, fan_out
from troth.outbox.run import Office, Run
from troth.store import deliveries, outbox
from troth.store.pool import Connection

_log = structlog.get_logger()
LOOK_SECONDS = 0.25  # between two looks while some webhook is enabled,
QUIET_SECONDS = 1.0  # and while none is
STOP_SECONDS = 3.0  # for requests under way at the end; what is cut off is given back
SWEEP_SECONDS = 3_600.0


@dataclass(slots=True, kw_only=True)
class Relay:
    """The relay of one process."""

    office: Office
    runs: dict[UUID, asyncio.Task[None]] = field(default_factory=dict)
    rests: dict[UUID, float] = field(default_factory=dict)  # until when, by the monotonic clock
    sweeps_at: float = 0.0

    async def look(self) -> float:
        """One look: fan out, and begin a run for each webhook that has something due. Out: seconds to the next look."""
        office = self.office
        async with office.connection() as connection:
            is_wanted = await outbox.any_webhook(connection)
            first_bucket = random.randrange(limits.BUCKETS)  # noqa: S311 - no secret
            told = await fan_out(connection, first_bucket, office.now())
            due = await deliveries.due_webhooks(connection, office.now()) if is_wanted else []
            await self._sweep(connection)
        for webhook_id in due:
            if webhook_id not in self.runs and self.rests.get(webhook_id, 0.0) <= time.monotonic():
                self.runs[webhook_id] = asyncio.create_task(self._run(webhook_id))
        if told == limits.OUTBOX_CLAIMED:
            return 0.0
        return LOOK_SECONDS if is_wanted else QUIET_SECONDS

    async def close(self) -> None:
        """Let requests under way end for a moment, then cut them off; what they carried is given back."""
        self.office.is_stopping = True
        runs = list(self.runs.values())
        if runs:
            _, late = await asyncio.wait(runs, timeout=STOP_SECONDS)
            for run in late:
                run.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*late, return_exceptions=True)

    async def _run(self, webhook_id: UUID) -> None:
        try:
            end = await Run(office=self.office, webhook_id=webhook_id).go()
            if end.reason is not None:
                await self._switch_off(webhook_id, end.reason)
            if end.rests:
                self._rest(webhook_id)
        except Exception as error:  # whatever it is, it ends this run alone; its leases end by themselves
            self._rest(webhook_id)
            _log.warning("webhook_run_failed", webhook=show_id("whk", webhook_id), exc_info=error)
        finally:
            del self.runs[webhook_id]

    def _rest(self, webhook_id: UUID) -> None:
        self.rests[webhook_id] = time.monotonic() + self.office.pace.rest_seconds

    async def _switch_off(self, webhook_id: UUID, reason: str) -> None:
        """Disable a webhook for good, and say so."""
        async with self.office.connection() as connection:
            is_new = await disable(connection, webhook_id, reason, self.office.now())
        if is_new:
            _log.warning("webhook_disabled", webhook=show_id("whk", webhook_id), reason=reason)

    async def _sweep(self, connection: Connection) -> None:
        """Now and then, forget what is old: a bounded number at once, and soon again if there is more."""
        if time.monotonic() < self.sweeps_at:
            return
        before = self.office.now() - timedelta(days=limits.WEBHOOK_DELIVERY_DAYS)
        if await deliveries.sweep(connection, before) < limits.WEBHOOK_SWEPT:
            self.sweeps_at = time.monotonic() + SWEEP_SECONDS
