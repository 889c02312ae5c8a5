"""The calendar of one customer: birthday, anniversary, inactivity (semantics.md §7).

In: the state, the program. Out: when the next of them is told, and the state after it was. Dates that had passed before
the customer was first recorded, or before they were known, are told by nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from troth.core.calendar import after_silence, anniversary_of, birthday_in, local_day, start_of_day
from troth.core.event import Event
from troth.core.rules import RuleBook
from troth.core.state import CalendarState, CustomerState

CalendarType = Literal["birthday", "anniversary", "inactivity"]


class Occasion(msgspec.Struct, frozen=True, kw_only=True):
    """The next calendar event of one kind."""

    type: CalendarType
    moment: datetime
    number: int  # the year of a birthday, the years of an anniversary, the days of a silence


def occasions(state: CustomerState, book: RuleBook) -> Iterator[Occasion]:
    """What is told next, of each kind at most one."""
    calendar, zone = state.calendar, book.zone
    if state.birth_date is not None:
        year = max(calendar.birthday, calendar.birthday_passed) + 1
        yield Occasion(type="birthday", moment=start_of_day(birthday_in(state.birth_date, year), zone), number=year)
    if calendar.joined_at is not None:
        years = calendar.anniversary + 1
        day = anniversary_of(local_day(calendar.joined_at, zone), years)
        yield Occasion(type="anniversary", moment=start_of_day(day, zone), number=years)
    days, last = book.program.settings.inactivity_days, state.last_activity_at
    if days is not None and last is not None and not _is_told(calendar.silence, last, zone):
        moment = after_silence(last, days, zone)
        if moment > state.created_at:
            yield Occasion(type="inactivity", moment=moment, number=days)


def _is_told(silence: datetime | None, last: datetime, zone: ZoneInfo) -> bool:
    """A silence begins with the local day of the last activity: what comes late of that day begins no other."""
    return silence is not None and (silence == last or local_day(silence, zone) == local_day(last, zone))


def told(state: CustomerState, occasion: Occasion) -> CustomerState:
    """The state after an occasion was told, so that it never is again."""
    match occasion.type:
        case "birthday":
            changes: dict[str, object] = {"birthday": occasion.number}
        case "anniversary":
            changes = {"anniversary": occasion.number}
        case "inactivity":
            changes = {"silence": state.last_activity_at}
    calendar = msgspec.structs.replace(state.calendar, **changes)
    return msgspec.structs.replace(state, calendar=calendar)


def calendar_after(state: CustomerState, event: Event, book: RuleBook) -> CalendarState:
    """What an event changes of the calendar. In: the state before it."""
    calendar = state.calendar
    is_opt_in = event.type.id == "opt_in"
    if calendar.joined_at is None or (is_opt_in and not calendar.opted_in):
        passed = _anniversaries_passed(event.occurred_at, event.judged_at, book)
        calendar = msgspec.structs.replace(
            calendar, joined_at=event.occurred_at, opted_in=is_opt_in, anniversary=passed
        )
    if isinstance(event.birth_date, date):
        year = _birthday_passed(event.birth_date, event.judged_at, book)
        calendar = msgspec.structs.replace(calendar, birthday_passed=year)
    return calendar


def birthday_told(calendar: CalendarState, born: date | None, created_at: datetime, book: RuleBook) -> CalendarState:
    """The calendar of a customer whose birth date was recorded before birthdays were told."""
    if born is None or calendar.birthday or calendar.birthday_passed:
        return calendar
    return msgspec.structs.replace(calendar, birthday_passed=_birthday_passed(born, created_at, book))


def _anniversaries_passed(joined_at: datetime, now: datetime, book: RuleBook) -> int:
    joined = local_day(joined_at, book.zone)
    years = local_day(now, book.zone).year - joined.year
    if years > 0 and start_of_day(anniversary_of(joined, years), book.zone) > now:
        years -= 1
    return max(years, 0)


def _birthday_passed(born: date, now: datetime, book: RuleBook) -> int:
    """The last year whose birthday has passed."""
    year = local_day(now, book.zone).year
    return year if start_of_day(birthday_in(born, year), book.zone) <= now else year - 1
