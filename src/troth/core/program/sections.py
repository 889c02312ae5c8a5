"""The sections `settings`, `orders`, `wallets` and `tiers` of a program document, and what they share with rules.

In: the fields of the document. Out: the records of `core/program.py`, with the defaults of semantics.md §9.
What this version does not build is refused here (`not_available`), since half of it would pay wrongly for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Literal, cast
from zoneinfo import ZoneInfo, available_timezones

from troth import limits
from troth.core.program import Expiry, ExpiryKind, Level, Orders, RoundingMode, Settings, Tiers, Wallet
from troth.core.program.currencies import CURRENCIES
from troth.core.program.fields import Fields
from troth.core.program.problem import meant

NOT_AVAILABLE = "not_available"
MAIN_WALLET = Wallet(id="points", label="Points")  # what a program without wallets counts in
_ROUNDINGS = ("floor", "half_up", "ceil")
_EXPIRIES = ("never", "months_after_earning", "months_after_activity")
_POINT_VALUE_PLACES = 8


def not_available(fields: Fields, name: str, what: str) -> None:
    fields.error(name, NOT_AVAILABLE, f"{what} is not available in this version", "leave it out")


def read_settings(document: Fields) -> Settings:
    fields = document.child("settings")
    if fields is None:
        return Settings(name="Loyalty program")
    settings = Settings(
        name=fields.text("name", "Loyalty program"),
        time_zone=_time_zone(fields),
        rounding=cast("RoundingMode", fields.choice("rounding", _ROUNDINGS, "floor")),
        unknown_customer=cast(
            "Literal['create', 'reject']", fields.choice("unknown_customer", ("create", "reject"), "create")
        ),
        point_value=fields.decimal(
            "point_value", Decimal(0), least=Decimal(0), most=Decimal(10**6), places=_POINT_VALUE_PLACES
        ),
        currency=_currency(fields),
        require_signatures=fields.boolean("require_signatures", False),
    )
    fields.close()
    return settings


def _time_zone(fields: Fields) -> str:
    name = fields.text("time_zone", "UTC")
    if _is_zone(name):
        return name
    hint = meant(name, sorted(available_timezones())) or "write an IANA name such as Europe/Budapest"
    fields.error("time_zone", "time_zone", f"there is no time zone {name!r}", hint)
    return "UTC"


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, unsafe or a folder of the database
        return False
    return name not in {"", "localtime", "posixrules"}


def _currency(fields: Fields) -> str:
    code = fields.text("currency", "EUR")
    if code in CURRENCIES:
        return code
    hint = meant(code.upper(), sorted(CURRENCIES)) or "write an ISO 4217 code such as EUR"
    fields.error("currency", "currency", f"there is no currency {code!r}", hint)
    return "EUR"


def read_orders(document: Fields) -> Orders:
    fields = document.child("orders")
    if fields is None:
        return Orders()
    acceptance = fields.take("acceptance")
    if isinstance(acceptance, dict):
        _read_delayed(Fields(acceptance, fields.at("acceptance"), fields.problems))
        not_available(fields, "acceptance", "acceptance after a time")
    elif fields.choice("acceptance", ("immediate", "manual"), "immediate") == "manual":
        not_available(fields, "acceptance", "manual acceptance")
    fields.close()
    return Orders()


def _read_delayed(fields: Fields) -> None:
    """Checked in full, so that one answer names everything, though no program can hold it yet."""
    if not fields.has("after"):
        fields.error("", "required", "'after' is missing", "write {after: P14D, then: accept}")
    fields.duration("after")
    fields.choice("then", ("accept", "reject"), "accept")
    fields.close()


def read_wallets(document: Fields) -> tuple[Wallet, ...]:
    """At least one wallet; the first is the main wallet."""
    found: list[Wallet] = []
    for fields in document.items("wallets", limits.WALLETS):
        wallet = _read_wallet(fields)
        if wallet.id in {known.id for known in found}:
            fields.error("id", "duplicate_id", f"there is already a wallet {wallet.id!r}")
        elif found:
            not_available(fields, "id", f"a second wallet ({wallet.id!r})")
        if wallet.id:
            found.append(wallet)
    return tuple(found) or (MAIN_WALLET,)


def _read_wallet(fields: Fields) -> Wallet:
    wallet_id = fields.identifier()
    negative = fields.choice("negative_balance", ("allow", "forgive"), "allow")
    if negative == "forgive":
        not_available(fields, "negative_balance", "'forgive'")
    wallet = Wallet(
        id=wallet_id,
        label=fields.text("label", wallet_id),
        expiry=read_expiry(fields) or Expiry(),
        hold=read_hold(fields) or timedelta(0),
        negative_balance=cast("Literal['allow', 'forgive']", negative),
    )
    fields.close()
    return wallet


def read_hold(fields: Fields) -> timedelta | None:
    hold = fields.duration("hold")
    if hold:
        not_available(fields, "hold", "holding points back")
    return hold


def read_expiry(fields: Fields) -> Expiry | None:
    """`never`, or a mapping with its kind and months."""
    if fields.take("expiry") is None:
        return None
    if fields.take("expiry") == "never":
        return Expiry()
    child = fields.child("expiry")
    assert child is not None, "taken above"
    kind = cast("ExpiryKind", child.choice("kind", _EXPIRIES, "never"))
    if kind == "never":
        child.close()
        return Expiry()
    if not child.has("months"):
        child.error("", "required", "'months' is missing", "say how many months points live")
    months = child.whole("months", 1, least=1, most=limits.EXPIRY_MONTHS)
    month_end = child.boolean("month_end", False)
    child.close()
    if kind == "months_after_activity":
        not_available(child, "kind", "expiry by activity")
    return Expiry(kind=kind, months=months, month_end=month_end)


def read_tiers(document: Fields, wallets: tuple[Wallet, ...]) -> Tiers | None:
    """The tiers, or None when there are no levels."""
    if document.take("tiers") in (None, []):
        return None
    fields = document.child("tiers")
    assert fields is not None, "taken above"
    wallet, window = _read_basis(fields, tuple(known.id for known in wallets))
    _read_downgrade(fields, window)
    levels = _read_levels(fields)
    fields.close()
    return Tiers(wallet=wallet, levels=levels) if levels else None


def _read_basis(fields: Fields, wallets: Sequence[str]) -> tuple[str, str]:
    basis = fields.child("basis")
    if basis is None:
        return wallets[0], "lifetime"
    wallet = basis.reference("wallet", wallets, "wallet") or wallets[0]
    window = basis.choice("window", ("lifetime", "rolling", "calendar_year"), "lifetime")
    if window == "rolling":
        basis.whole("months", 12, least=1, most=limits.EXPIRY_MONTHS)
    if window != "lifetime":
        not_available(basis, "window", f"the window {window!r}")
    basis.close()
    return wallet, window


def _read_downgrade(fields: Fields, window: str) -> None:
    downgrade = fields.choice("downgrade", ("never", "at_period_end", "immediately"), "never")
    grace_days = fields.whole("grace_days", 0, least=0, most=limits.DURATION_DAYS)
    if downgrade != "never":
        reason = "a lifetime tier is never lost to time; " if window == "lifetime" else ""
        message = f"{reason}downgrade {downgrade!r} is not available in this version"
        fields.error("downgrade", NOT_AVAILABLE, message, "write never")
    if grace_days:
        not_available(fields, "grace_days", "grace")


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
