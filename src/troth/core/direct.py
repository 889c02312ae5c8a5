"""Direct effects: points added, taken and set aside by hand or by a payment, without a rule.

In: an event whose properties say what to do. Out: movements on the account, and the reservation as it then is.
Refusals are the caller's to mend: `insufficient_points`, `unknown_wallet`, `reservation_ended`, …
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal, TypeVar
from uuid import UUID

import msgspec

from troth import limits
from troth.core.account import About, Account, Refused
from troth.core.burning import split
from troth.core.calendar import end_of_day, expires_at, expiry_text, local_day
from troth.core.coercion import parse_moment
from troth.core.earning import Terms, lot_on
from troth.core.exact_json import read_exact
from troth.core.ids import IdKind, read_id
from troth.core.program import Wallet
from troth.core.program.fields import read_duration
from troth.core.state import Lacking, PointState, Redemption, Reservation


def stored(account: Account) -> Mapping[str, object]:
    """The event's properties in stored form."""
    found: Mapping[str, object] = read_exact(account.event.properties)
    return found


def add_points(account: Account) -> None:
    """`point_add`: program → available, or → pending when it names a hold that is not over."""
    given = stored(account)
    wallet = wallet_of(account, given)
    points, earned_at = _points(given), _moment(given, "earned_at") or account.event.occurred_at
    if earned_at > account.event.judged_at + timedelta(seconds=limits.FUTURE_SECONDS):
        raise Refused("/properties/earned_at", "in_future", "points cannot have been earned in the future")
    hold = _duration(given, "hold")
    hold_until = account.event.occurred_at + hold if hold else None
    is_pending = hold_until is not None and hold_until > account.event.judged_at
    begins = max(earned_at, hold_until or earned_at)
    stated = _stated_end(account, given)
    terms = Terms(
        wallet=wallet.id,
        earned_at=earned_at,
        hold_until=hold_until,
        release_at=begins if is_pending else None,
        is_pending=is_pending,
        expiry=None if stated else expiry_text(wallet.expiry),
        expires_at=stated or (None if is_pending else expires_at(wallet.expiry, begins, account.shelf.live.zone)),
    )
    qualifying = bool(given.get("qualifying", True))
    lot = lot_on(account, terms, {}, (qualifying, None))
    about = About(reason="adjustment", qualifying=qualifying, earned_at=earned_at, expires_at=account.end_of(lot))
    account.post(about, points, ("program", "pending" if is_pending else "available"), lot)
    if not is_pending:
        account.settle(lot.key, points)


def take_points(account: Account) -> None:
    """`point_sub`: available → spent, or → program when it says `reverse`; the rest becomes debt if that is allowed."""
    given = stored(account)
    wallet, points = wallet_of(account, given), _points(given)
    target: PointState = "program" if given.get("reverse") else "spent"
    about = About(reason="adjustment", qualifying=bool(given.get("qualifying", True)) and target == "program")
    found = min(points, account.wallet(wallet.id).available)
    if found < points and not given.get("allow_debt"):
        raise Refused("/properties/points", "insufficient_points", f"{points} points are asked for, {found} are there")
    rest = max(account.wallet(wallet.id).qualifying, 0) if about.qualifying else 0
    plain = msgspec.structs.replace(about, qualifying=False)
    for kind, counted, uncounted in _split_counted(found, points - found, rest):
        if kind == "available":
            for part, told in ((counted, about), (uncounted, plain)):
                account.take(wallet.id, part, told, (kind, target))
        else:
            for part, told in ((counted, about), (uncounted, plain)):
                if part:
                    account.post(told, part, (kind, target), wallet.id)


def _split_counted(found: int, owed: int, rest: int) -> list[tuple[Literal["available", "debt"], int, int]]:
    """What is taken from available points and owed as debt, each parted by whether it counts for tiers: of `rest`
    points that do, no more can be taken back."""
    counted = min(found, rest)
    counted_debt = min(owed, rest - counted)
    return [("available", counted, found - counted), ("debt", counted_debt, owed - counted_debt)]


# Reservations


def reserve(account: Account) -> Reservation:
    """`points_reserved`: available → reserved, until captured, released or timed out."""
    given = stored(account)
    wallet, points = wallet_of(account, given), _points(given)
    wait = _duration(given, "timeout")
    if wait is None:
        wait = timedelta(minutes=limits.RESERVATION_MINUTES)
    if not timedelta(0) < wait <= timedelta(days=limits.RESERVATION_DAYS_MAX):
        detail = f"a reservation lasts at least a minute and at most {limits.RESERVATION_DAYS_MAX} days"
        raise Refused("/properties/timeout", "out_of_range", detail)
    parts = account.take(wallet.id, points, About(reason="reservation"), ("available", "reserved"))
    due_at = account.event.judged_at + wait
    return Reservation(id=account.event.id, wallet=wallet.id, points=points, parts=parts, due_at=due_at)


def capture(account: Account) -> Reservation:
    """`reservation_captured`: reserved → spent, all of it or `points`; the rest is released."""
    given = stored(account)
    held = under_way(account, "reservation", account.state.reservations)
    points = _points(given) if given.get("points") is not None else held.points
    if points > held.points:
        detail = f"the reservation holds {held.points} points"
        raise Refused("/properties/points", "insufficient_points", detail)
    spent, rest = split(held.parts, points)
    missing = tuple((part.event_id, part.n) for part in held.parts if (part.event_id, part.n) not in account.lots)
    if missing:
        raise Lacking(lot_keys=missing)
    for part in spent:
        account.post(About(reason="spend"), part.points, ("reserved", "spent"), account.lot((part.event_id, part.n)))
    account.give_back(rest, "reserved", About(reason="return"), extends=False)
    return msgspec.structs.replace(held, status="captured")


def release(account: Account) -> Reservation:
    """`reservation_released`: reserved → available, with the date the points had; past it they expire."""
    held = under_way(account, "reservation", account.state.reservations)
    account.give_back(held.parts, "reserved", About(reason="return"), extends=False)
    return msgspec.structs.replace(held, status="released")


Named = TypeVar("Named", Reservation, Redemption)


def under_way(
    account: Account, kind: Literal["reservation", "redemption"], known: Mapping[UUID, Named | None]
) -> Named:
    """The reservation or redemption that an event names, not ended yet. Raises Lacking, Refused."""
    text = str(stored(account).get(kind))
    key = read_id(_ID_KINDS[kind], text)
    if key is not None and key not in known and not account.state.is_whole:
        raise Lacking(**{kind: key})
    found = known.get(key) if key is not None else None
    if found is None:
        raise Refused(f"/properties/{kind}", f"unknown_{kind}", f"this customer has no {kind} '{text}'")
    if found.status not in ("held", "created"):
        raise Refused(f"/properties/{kind}", f"{kind}_ended", f"this {kind} was {found.status} before")
    return found


_ID_KINDS: Mapping[str, IdKind] = {"reservation": "res", "redemption": "rdm"}


# What they are given


def wallet_of(account: Account, given: Mapping[str, object]) -> Wallet:
    """The wallet an event names, else the main wallet."""
    book = account.shelf.live
    name = given.get("wallet") or book.main_wallet
    wallet = book.wallets.get(str(name))
    if wallet is None:
        raise Refused("/properties/wallet", "unknown_wallet", f"the program has no wallet '{name}'")
    return wallet


def _points(given: Mapping[str, object]) -> int:
    points = int(str(given["points"]))
    if points > limits.AWARD_POINTS:
        raise Refused("/properties/points", "above_maximum", f"at most {limits.AWARD_POINTS} points at a time")
    return points


def _moment(given: Mapping[str, object], name: str) -> datetime | None:
    return parse_moment(given[name]) if given.get(name) is not None else None


def _duration(given: Mapping[str, object], name: str) -> timedelta | None:
    if given.get(name) is None:
        return None
    found = read_duration(str(given[name]))
    if found is None:
        detail = f"'{name}' must be a duration such as PT30M or P14D"
        raise Refused(f"/properties/{name}", "invalid_duration", detail)
    return found


def _stated_end(account: Account, given: Mapping[str, object]) -> datetime | None:
    """A stated end is the end of its local day (answer 29)."""
    stated = _moment(given, "expires_at")
    zone = account.shelf.live.zone
    return end_of_day(local_day(stated, zone), zone) if stated is not None else None
