"""The section `wallets` of a program document, and what rules say of the points they award.

In: the fields of the document. Out: wallets in document order, never none; the first is the main wallet.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, cast

from troth import limits
from troth.core.program import Expiry, ExpiryKind, Wallet
from troth.core.program.fields import Fields

MAIN_WALLET = Wallet(id="points", label="Points")  # what a program without wallets counts in
_EXPIRIES = ("never", "months_after_earning", "months_after_activity")


def read_wallets(document: Fields) -> tuple[Wallet, ...]:
    """At least one wallet; the first is the main wallet."""
    found: dict[str, Wallet] = {}
    for fields in document.items("wallets", limits.WALLETS):
        wallet = _read_wallet(fields)
        if wallet.id in found:
            fields.error("id", "duplicate_id", f"there is already a wallet {wallet.id!r}")
        elif wallet.id:
            found[wallet.id] = wallet
    return tuple(found.values()) or (MAIN_WALLET,)


def _read_wallet(fields: Fields) -> Wallet:
    wallet_id = fields.identifier()
    wallet = Wallet(
        id=wallet_id,
        label=fields.text("label", wallet_id),
        expiry=read_expiry(fields) or Expiry(),
        hold=fields.duration("hold") or timedelta(0),
        negative_balance=cast(
            "Literal['allow', 'forgive']", fields.choice("negative_balance", ("allow", "forgive"), "allow")
        ),
    )
    fields.close()
    return wallet


def read_expiry(fields: Fields) -> Expiry | None:
    """`never`, or a mapping with its kind and months; None when nothing is said."""
    if fields.take("expiry") is None:
        return None
    if fields.take("expiry") == "never":
        return Expiry()
    child = fields.child("expiry")
    assert child is not None, "taken above"
    misread = "months_after_earning" if child.has("kind") else "never"  # so that its months are no second problem
    kind = cast("ExpiryKind", child.choice("kind", _EXPIRIES, misread))
    if kind == "never":
        child.close()
        return Expiry()
    if not child.has("months"):
        child.error("", "required", "'months' is missing", "say how many months points live")
    months = child.whole("months", 1, least=1, most=limits.EXPIRY_MONTHS)
    month_end = child.boolean("month_end", False)
    child.close()
    return Expiry(kind=kind, months=months, month_end=month_end)
