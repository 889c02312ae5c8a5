"""The section `tiers` of a program document: what levels are judged by, when they are lost, and the levels.

In: the fields of the document and its wallets. Out: the tiers, or None without levels. Must never: let time take away
what the window cannot lose (semantics.md §6).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Literal, cast

from troth import limits
from troth.core.program import Level, Tiers, Wallet
from troth.core.program.fields import Fields

Window = Literal["lifetime", "rolling", "calendar_year"]
Downgrade = Literal["never", "at_period_end", "immediately"]
_WINDOWS = ("lifetime", "rolling", "calendar_year")
_DOWNGRADES = ("never", "at_period_end", "immediately")


def read_tiers(document: Fields, wallets: tuple[Wallet, ...]) -> Tiers | None:
    """The tiers, or None when there are no levels."""
    if document.take("tiers") in (None, []):
        return None
    fields = document.child("tiers")
    assert fields is not None, "taken above"
    basis = _read_basis(fields, tuple(wallet.id for wallet in wallets))
    downgrade, grace_days = _read_loss(fields, basis.window)
    levels = _read_levels(fields)
    fields.close()
    return replace(basis, downgrade=downgrade, grace_days=grace_days, levels=levels) if levels else None


def _read_basis(fields: Fields, wallets: Sequence[str]) -> Tiers:
    """The tiers as far as `basis` tells them. Only a rolling window has months."""
    basis = fields.child("basis")
    if basis is None:
        return Tiers(wallet=wallets[0])
    wallet = basis.reference("wallet", wallets, "wallet") or wallets[0]
    misread = "rolling" if basis.has("window") else "lifetime"  # so that its months are no second problem
    window = cast("Window", basis.choice("window", _WINDOWS, misread))
    tiers = Tiers(wallet=wallet, window=window)
    if window == "rolling":
        tiers = replace(tiers, months=basis.whole("months", 12, least=1, most=limits.EXPIRY_MONTHS))
    basis.close()
    return tiers


def _read_loss(fields: Fields, window: Window) -> tuple[Downgrade, int]:
    """What time takes away, and how many days later it is reviewed."""
    downgrade = cast("Downgrade", fields.choice("downgrade", _DOWNGRADES, "never"))
    grace_days = fields.whole("grace_days", 0, least=0, most=limits.DURATION_DAYS)
    if fields.take("downgrade") in (None, downgrade):
        _check_loss(fields, window, downgrade)
        if grace_days and downgrade == "never":
            message = "grace postpones the loss of a tier, and with downgrade 'never' none is lost"
            fields.error("grace_days", "tier_policy", message, "leave it out, or choose a downgrade")
    return downgrade, grace_days


def _check_loss(fields: Fields, window: Window, downgrade: Downgrade) -> None:
    if window == "lifetime" and downgrade != "never":
        message = f"a lifetime tier is never lost to time, so downgrade cannot be {downgrade!r}"
        fields.error("downgrade", "tier_policy", message, "write never, or choose the window rolling or calendar_year")
    elif downgrade == "immediately" and window != "rolling":
        message = f"a tier of a {window} is reviewed when a year ends; only a rolling window loses points day by day"
        fields.error("downgrade", "tier_policy", message, "write at_period_end, or choose the window rolling")


def _read_levels(fields: Fields) -> tuple[Level, ...]:
    found: list[Level] = []
    for level_fields in fields.items("levels", limits.LEVELS):
        level = _read_level(level_fields)
        if level.id in {known.id for known in found}:
            level_fields.error("id", "duplicate_id", f"there is already a level {level.id!r}")
        if found and level.threshold <= found[-1].threshold:
            message = f"{level.threshold} is not above the {found[-1].threshold} of {found[-1].id!r} before it"
            level_fields.error("from", "not_ascending", message, "list the levels from the lowest to the highest")
        found.append(level)
    return tuple(found)


def _read_level(fields: Fields) -> Level:
    level_id = fields.identifier()
    if not fields.has("from"):
        fields.error("", "required", "'from' is missing", "say how many points the level asks for")
    level = Level(
        id=level_id,
        label=fields.text("label", level_id),
        threshold=fields.whole("from", 0, least=0, most=limits.BALANCE_POINTS),
        multiplier=fields.decimal(
            "multiplier",
            Decimal(1),
            least=Decimal(0),
            most=Decimal(limits.MULTIPLIER_MAX),
            places=limits.MULTIPLIER_PLACES,
        ),
        benefits=fields.text("benefits", length=limits.PROGRAM_TEXT_LENGTH),
    )
    fields.close()
    return level
