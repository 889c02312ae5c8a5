"""Whose an order is: events of an order may leave out their customer when the order is known.

In: works of one call. Out: every work has its customer, or is settled as `unknown_order`. An order that an earlier
event of the same call opens is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from troth.pipeline.outcome import Problem, Rejected
from troth.pipeline.work import Work
from troth.store import parts
from troth.store.events import CustomerPersonal
from troth.store.pool import Connection
from troth.store.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Owners:
    """Reads only."""

    vault: Vault

    async def find(self, connection: Connection, works: Sequence[Work]) -> None:
        """Give each work its customer."""
        opened: dict[bytes, str] = {}  # order → who opens it in this call
        unknown: list[Work] = []
        for work in works:
            if work.valid.customer is not None:
                if work.order_hash is not None and work.is_opening:
                    opened.setdefault(work.order_hash, work.valid.customer)
            elif work.order_hash in opened:
                work.give_customer(opened[work.order_hash])
            else:
                unknown.append(work)
        if unknown:
            await self._look_up(connection, unknown)

    async def _look_up(self, connection: Connection, works: Sequence[Work]) -> None:
        hashes = [work.order_hash for work in works if work.order_hash is not None]
        found = {owner.order_hash: owner for owner in await parts.owners(connection, list(dict.fromkeys(hashes)))}
        for work in works:
            owner = found.get(work.order_hash) if work.order_hash is not None else None
            name = self._name(owner) if owner is not None else None
            if name is not None:
                work.give_customer(name)
            else:
                detail = f"the order '{work.valid.order_id}' is not known; name its customer"
                work.outcome = Rejected((Problem("/customer", "unknown_order", detail),))

    def _name(self, owner: parts.Owner) -> str | None:
        """The integrator's id of the order's customer; None once it is erased."""
        if owner.personal is None or owner.personal_key is None or owner.sealed_key is None:
            return None
        key = self.vault.open_key(owner.personal_key, owner.sealed_key)
        return msgspec.json.decode(key.open(owner.personal, owner.customer_id), type=CustomerPersonal).external_id
