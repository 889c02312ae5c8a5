"""The account: what becomes available pays first, what is taken comes off the right lots, and comes back to them."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import msgspec
import pytest

from tests.core.judging import NOON, Judge, book_of, document, event_id, hour, judge_of, moment, moves, named, sale_rule
from troth.core.account import About, Account, Refused, end_of, without_zeros
from troth.core.order_state import Part
from troth.core.rules import Shelf
from troth.core.state import ALL_LOTS, CalendarState, CustomerState, Lacking, Lot, LotPlace, WalletState

FORGIVE = {"id": "points", "negative_balance": "forgive"}
MONTHLY = {"kind": "months_after_earning", "months": "1"}
BY_ACTIVITY = {"kind": "months_after_activity", "months": "12"}
ADJUSTMENT = About(reason="adjustment")
SPEND = ("available", "spent")


# What becomes available


def test_what_becomes_available_pays_in_order() -> None:
    """o1 was forgiven 60, and 25 are owed by hand. Its later 100 cancel the 60, repay the 25; 15 stay."""
    judge = judge_of(document(sale_rule("properties.amount"), wallets=[FORGIVE]))
    judge.send("sale", amount="60")
    judge.send("point_sub", now=hour(1), points="60")
    judge.send("checkout_update", now=hour(2), amount="0")
    judge.send("point_sub", now=hour(3), points="25", allow_debt=True)
    assert judge.in_states() == {"spent": 85, "debt": -25, "forgiven": -60}
    changed = judge.send("checkout_update", now=hour(4), amount="100")
    assert moves(changed.postings) == [
        "100 program→available base",
        "60 available→forgiven pardon",
        "25 available→debt repayment",
    ]
    assert judge.in_states() == {"available": 15, "spent": 85}
    assert [lot.remaining for lot in judge.open_lots] == [15]
    order = judge.order()
    assert (dict(order.forgiven), dict(order.repaid)) == ({}, {"points": 25})


def test_what_is_past_its_date_repays_before_it_expires() -> None:
    """10 owed. 30 that ended long ago are recorded: 10 repay, 20 expire, in the same event."""
    judge = judge_of(document(wallets=[{"id": "points", "expiry": MONTHLY}]))
    judge.send("point_sub", points="10", allow_debt=True)
    judged = judge.send("point_add", now=hour(1), points="30", earned_at="2026-01-01T12:00:00Z")
    assert moves(judged.postings) == [
        "30 program→available adjustment",
        "10 available→debt repayment",
        "20 available→expired expiry",
    ]
    assert judge.in_states() == {"spent": 10, "expired": 20}
    assert (judge.balance, judge.state.wallet("points").lifetime) == (0, 30)


def test_points_of_nobodys_order_cancel_nothing() -> None:
    judge = judge_of(document(sale_rule("properties.amount"), wallets=[FORGIVE]))
    judge.send("sale", amount="60")
    judge.send("point_sub", now=hour(1), points="60")
    judge.send("checkout_reject", now=hour(2))
    judge.send("point_add", now=hour(3), points="60")
    assert judge.in_states() == {"available": 60, "spent": 60, "forgiven": -60}


def test_available_points_and_debt_never_stand_together() -> None:
    judge = judge_of(document(sale_rule("properties.amount")))
    judge.send("point_sub", points="100", allow_debt=True)
    for number, (points, expected) in enumerate([("40", -60), ("60", 0), ("5", 5)]):
        judge.send("point_add", now=hour(number + 1), points=points)
        assert judge.balance == expected
        wallet = judge.state.wallet("points")
        assert not (wallet.available and wallet.debt)


# Release


@pytest.mark.parametrize(
    ("accepted", "ends"),
    [
        ("2026-11-22T12:00Z", "2026-12-31T00:00Z"),  # the hold of 10 days ends on 30 November: a month from there
        ("2026-12-05T12:00Z", "2027-01-06T00:00Z"),  # accepted after it: a month from then
    ],
)
def test_validity_begins_with_the_latest_of_earning_hold_and_acceptance(accepted: str, ends: str) -> None:
    held = sale_rule("100", hold="P10D", expiry=MONTHLY)
    judge = judge_of(document(held, orders={"acceptance": "manual"}))
    opening = judge.send("sale", amount="1")
    assert judge.lot(opening).expires_at is None
    judge.send("checkout_accept", now=moment(accepted))
    judge.settle(moment("2026-12-06T00:00Z"))
    assert judge.in_states() == {"available": 100}
    assert judge.lot(opening).expires_at == moment(ends)


def test_an_acceptance_that_is_told_late_counts_from_its_own_time() -> None:
    """Answer 14: accepted on 22 November, known on 24: a month from 22."""
    judge = judge_of(document(sale_rule("100", expiry=MONTHLY), orders={"acceptance": "manual"}))
    opening = judge.send("sale", amount="1")
    judged = judge.send("checkout_accept", now=moment("2026-11-24T12:00Z"), at=moment("2026-11-22T12:00Z"))
    assert moves(judged.postings) == ["100 pending→available release"]
    assert judged.postings[0].earned_at == NOON, "counts for tiers when it was earned"
    assert judge.lot(opening).expires_at == moment("2026-12-23T00:00Z")


# Activity


def test_activity_moves_the_end_of_a_lot() -> None:
    """12 months after the last activity; a stated end, and the end of a lot by earning, stay."""
    judge = judge_of(document(wallets=[{"id": "points", "expiry": BY_ACTIVITY}]))
    lot = judge.lot(judge.send("point_add", points="10"))
    stated = judge.lot(judge.send("point_add", points="10", expires_at="2026-12-24T10:00:00Z"))
    assert lot.expires_at == moment("2027-11-21T00:00Z")
    seen = moment("2026-12-10T12:00Z")
    assert end_of(lot, seen, judge.shelf) == moment("2027-12-11T00:00Z")
    assert end_of(lot, moment("2026-01-01T00:00Z"), judge.shelf) == lot.expires_at, "older activity shortens nothing"
    assert end_of(stated, seen, judge.shelf) == moment("2026-12-25T00:00Z")
    assert end_of(lot, None, judge.shelf) == lot.expires_at


# Taking, with lots loaded in part


def lot_of(serial: int, ends: str | None, remaining: int, **more: object) -> Lot:
    made = Lot(
        event_id=event_id(NOON, serial),
        n=0,
        wallet="points",
        earned_at=NOON,
        expires_at=moment(ends) if ends else None,
        points=remaining,
        remaining=remaining,
    )
    return msgspec.structs.replace(made, **more)


SOON, LATER, NEVER_ENDS = (
    lot_of(3, "2027-01-01T00:00Z", 10),
    lot_of(2, "2027-03-01T00:00Z", 20),
    lot_of(1, None, 30),
)


def account_of(*lots: Lot, to: Lot | LotPlace | None = None, available: int = 60, **state: object) -> Account:
    """A customer with 60 available points, of whose lots only these are loaded; all up to `to`."""
    judge = judge_of(document(sale_rule("properties.amount")))
    place = to if not isinstance(to, Lot) else (to.expires_at or NOON, to.earned_at, to.event_id, to.n)
    known: dict[str, object] = {
        "created_at": NOON,
        "lots": {lot.key: lot for lot in lots},
        "lots_to": {} if place is None else {"points": place},
        "wallets": {"points": WalletState(program=-available, available=available)},
        "calendar": CalendarState(joined_at=NOON, opted_in=True),
        **state,
    }
    event = judge.event("point_sub", hour(5), hour(5), {"points": "1"})
    return Account(CustomerState(**known), event, judge.shelf)  # type: ignore[arg-type]


def taken(account: Account, points: int) -> list[tuple[UUID, int]]:
    return [(part.event_id, part.points) for part in account.take("points", points, ADJUSTMENT, SPEND)]


def test_the_first_to_end_goes_first_then_the_oldest() -> None:
    older = lot_of(9, "2027-03-01T00:00Z", 5, earned_at=NOON - timedelta(days=1))
    account = account_of(NEVER_ENDS, LATER, older, SOON, to=ALL_LOTS, available=65)
    assert taken(account, 40) == [
        (SOON.event_id, 10),
        (older.event_id, 5),
        (LATER.event_id, 20),
        (NEVER_ENDS.event_id, 5),
    ]
    assert [account.lots[lot.key].remaining for lot in (SOON, older, LATER, NEVER_ENDS)] == [0, 0, 0, 25]
    assert account.wallet("points").spent == 40
    assert [posting.lot_event for posting in account.postings] == [
        SOON.event_id, older.event_id, LATER.event_id, NEVER_ENDS.event_id,
    ]  # fmt: skip


def test_more_than_there_is_is_refused_without_loading_anything() -> None:
    with pytest.raises(Refused) as refused:
        taken(account_of(), 61)
    assert (refused.value.problem.code, refused.value.problem.pointer) == ("insufficient_points", "/properties/points")


def test_lots_that_are_not_loaded_are_asked_for() -> None:
    with pytest.raises(Lacking) as lacking:
        taken(account_of(), 60)
    assert lacking.value.need.lots == ("points", 60)
    assert taken(account_of(), 0) == []


@pytest.mark.parametrize(("points", "is_enough"), [(10, True), (11, False)])
def test_only_lots_up_to_the_loaded_place_are_taken(points: int, is_enough: bool) -> None:
    """NEVER_ENDS is loaded for another reason; LATER, which goes before it, is not."""
    account = account_of(SOON, NEVER_ENDS, to=SOON)
    if is_enough:
        assert taken(account, points) == [(SOON.event_id, 10)]
        return
    with pytest.raises(Lacking) as lacking:
        taken(account, points)
    assert lacking.value.need.lots == ("points", 11)
    assert account.postings == []


def test_an_empty_prefix_takes_nothing() -> None:
    with pytest.raises(Lacking):
        taken(account_of(NEVER_ENDS, to=SOON), 1)


def test_activity_can_move_a_loaded_lot_behind_the_loaded_place() -> None:
    """Of two lots that end by activity the loaded one now ends after a place up to which others are known."""
    moving = lot_of(4, "2027-01-01T00:00Z", 10, expiry="12a")
    fixed = lot_of(5, "2027-06-01T00:00Z", 5)
    account = account_of(moving, fixed, to=fixed, last_activity_at=moment("2026-11-20T00:00Z"))
    assert taken(account, 5) == [(fixed.event_id, 5)], "the other ends with 20 November 2027"
    with pytest.raises(Lacking):
        taken(account, 1)


# Giving back


def reserved(*lots: Lot, points: int = 10) -> Account:
    account = account_of(*lots, to=ALL_LOTS, available=0, is_whole=True)
    account.wallets["points"] = WalletState(program=-points, reserved=points)
    return account


def test_points_come_back_to_their_lots_the_last_taken_first() -> None:
    empty = [msgspec.structs.replace(lot, remaining=0) for lot in (SOON, LATER)]
    account = reserved(*empty, points=15)
    parts = [Part(SOON.event_id, 0, 10), Part(LATER.event_id, 0, 5)]
    account.give_back(parts, "reserved", About(reason="return"), extends=False)
    assert moves(account.postings) == ["5 reserved→available return", "10 reserved→available return"]
    assert [posting.lot_event for posting in account.postings] == [LATER.event_id, SOON.event_id]
    assert [account.lots[lot.key].remaining for lot in (SOON, LATER)] == [10, 5]
    assert account.made == 0


PAST = lot_of(7, "2026-11-20T00:00Z", 0, points=10)
NEAR = lot_of(8, "2026-12-20T00:00Z", 0, points=10)
FAR = lot_of(6, "2026-12-22T00:00Z", 0, points=10)


def test_released_points_keep_their_date_and_end_at_once_past_it() -> None:
    account = reserved(PAST)
    account.give_back([Part(PAST.event_id, 0, 10)], "reserved", About(reason="return"), extends=False)
    assert moves(account.postings) == ["10 reserved→available return", "10 available→expired expiry"]
    lot = account.lots[PAST.key]
    assert (lot.remaining, lot.expired, account.wallet("points").expired) == (0, 10, 10)


@pytest.mark.parametrize(
    ("lot", "ends"),
    [
        (PAST, "2026-12-21T00:00Z"),  # 30 days from 20 November, to the end of that day
        (NEAR, "2026-12-21T00:00Z"),
        (FAR, None),  # its own date is later
        (msgspec.structs.replace(NEVER_ENDS, remaining=0), None),
    ],
)
def test_returned_points_live_at_least_thirty_days(lot: Lot, ends: str | None) -> None:
    account = reserved(lot)
    account.give_back([Part(lot.event_id, 0, 10)], "reserved", About(reason="return"), extends=True)
    assert moves(account.postings) == ["10 reserved→available return"]
    if ends is None:
        assert (account.lots[lot.key].remaining, account.made) == (10, 0)
        return
    assert account.lots[lot.key].remaining == 0
    fresh = account.lots[account.event.id, 0]
    assert (fresh.remaining, fresh.points, fresh.expires_at, fresh.expiry) == (10, 10, moment(ends), None)
    assert (fresh.earned_at, fresh.order) == (lot.earned_at, lot.order)


def test_the_days_of_returned_points_are_a_setting() -> None:
    book = book_of(document(settings={"name": "T", "return_days_min": "3", "time_zone": "Europe/Budapest"}))
    assert book.least_end(moment("2026-11-20T22:59Z")) == moment("2026-11-23T23:00Z")
    assert book.least_end(moment("2026-11-20T23:00Z")) == moment("2026-11-24T23:00Z"), "the next local day"


def test_the_lots_of_points_that_come_back_are_asked_for_together() -> None:
    account = account_of(SOON)
    parts = [Part(SOON.event_id, 0, 1), Part(LATER.event_id, 0, 1), Part(NEVER_ENDS.event_id, 0, 1)]
    with pytest.raises(Lacking) as lacking:
        account.give_back(parts, "reserved", About(reason="return"), extends=False)
    assert lacking.value.need.lot_keys == (LATER.key, NEVER_ENDS.key)
    assert account.postings == []


def test_an_order_or_a_revision_that_is_not_loaded_is_asked_for() -> None:
    account = account_of()
    with pytest.raises(Lacking) as lacking:
        account.order(SOON.event_id)
    assert lacking.value.need.order == SOON.event_id
    with pytest.raises(Lacking) as lacking:
        Shelf(account.shelf.live, {}).at(7)
    assert lacking.value.need.revision == 7


# States


def check_sums(judge: Judge) -> None:
    for wallet in judge.state.wallets.values():
        states = msgspec.structs.asdict(wallet)
        assert sum(points for name, points in states.items() if name != "qualifying") == 0


def test_returned_points_of_an_extended_lot_belong_to_their_order() -> None:
    """100 of o1 end on 20 December, are claimed, and come back: a fresh lot of o1, which its return takes."""
    judge = judge_of(document(sale_rule("100", expiry=MONTHLY), rewards=[{"id": "cup", "cost": "100"}]))
    judge.send("sale", amount="1")
    claimed = judge.send("reward_claimed", now=moment("2026-12-09T12:00Z"), reward="cup")
    cancelled = judge.send("reward_cancelled", now=moment("2026-12-10T12:00Z"), redemption=named("rdm", claimed))
    assert judge.lot(cancelled).expires_at == moment("2027-01-10T00:00Z")
    judge.send("point_add", now=moment("2026-12-10T13:00Z"), points="100", expires_at="2026-12-12T00:00:00Z")
    rejected = judge.send("checkout_reject", now=moment("2026-12-11T12:00Z"))
    assert [posting.lot_event for posting in rejected.postings] == [cancelled.event.id]
    assert judge.in_states() == {"available": 100}
    check_sums(judge)


def test_zeros_are_not_kept() -> None:
    assert without_zeros({"points": 0, "stars": 2, "miles": -1}) == {"stars": 2, "miles": -1}
