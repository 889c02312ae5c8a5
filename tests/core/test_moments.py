"""Birthday, anniversary, inactivity: when each is told, that it is told once, and when by nobody. Dates by hand."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta

import msgspec
import pytest

from tests.core.judging import NOON, Judge, document, hour, judge_of, moment, rule
from troth.core.moments import birthday_told, occasions
from troth.core.state import NO_CALENDAR, CalendarState

BUDAPEST = {"name": "T", "time_zone": "Europe/Budapest"}


def newcomer(**settings: str) -> Judge:
    """A customer who is first recorded with the first event, at noon of 20 November 2026."""
    source = document(rule("1"), settings={**BUDAPEST, **settings})
    return judge_of(source, created_at=NOON, calendar=NO_CALENDAR)


def told(judge: Judge, until: str) -> list[tuple[str, str]]:
    """(type, moment) of what is told until then."""
    return [(judged.event.type.id, f"{judged.event.occurred_at:%Y-%m-%dT%H}") for judged in judge.settle(moment(until))]


# Birthday


def test_a_birthday_is_told_at_the_local_midnight_each_year() -> None:
    judge = newcomer()
    judge.send("profile", birth_date="1990-07-15")
    assert told(judge, "2028-12-31T00:00Z")[0] == ("birthday", "2027-07-14T22")  # summer: UTC+2
    judge = newcomer()
    judge.send("profile", birth_date="1990-01-15")
    birthdays = [at for type_id, at in told(judge, "2029-12-31T00:00Z") if type_id == "birthday"]
    assert birthdays == ["2027-01-14T23", "2028-01-14T23", "2029-01-14T23"]


def test_who_is_born_on_29_february_has_it_on_the_28th_in_common_years() -> None:
    judge = newcomer()
    judge.send("profile", birth_date="1992-02-29")
    birthdays = [at for type_id, at in told(judge, "2029-12-31T00:00Z") if type_id == "birthday"]
    assert birthdays == ["2027-02-27T23", "2028-02-28T23", "2029-02-27T23"]


@pytest.mark.parametrize(
    ("born", "first"),
    [
        ("1990-11-19", "2027-11-18T23"),  # yesterday: next year
        ("1990-11-20", "2027-11-19T23"),  # today's has begun before it was known
        ("1990-11-21", "2026-11-20T23"),  # tomorrow
    ],
)
def test_dates_that_had_passed_are_not_told(born: str, first: str) -> None:
    judge = newcomer()
    judge.send("profile", birth_date=born)
    birthdays = [at for type_id, at in told(judge, "2027-11-30T00:00Z") if type_id == "birthday"]
    assert birthdays[0] == first


def test_a_changed_date_is_told_once_a_year() -> None:
    """Told on 15 January 2027; then it becomes 15 June: the next one is that of 2028."""
    judge = newcomer()
    judge.send("profile", birth_date="1990-01-15")
    assert told(judge, "2027-02-01T00:00Z") == [("birthday", "2027-01-14T23")]
    judge.send("profile", now=moment("2027-02-01T12:00Z"), birth_date="1990-06-15")
    birthdays = [at for type_id, at in told(judge, "2028-12-31T00:00Z") if type_id == "birthday"]
    assert birthdays == ["2028-06-14T22"]


def test_a_mended_date_is_told_in_the_year_that_has_not_told_one() -> None:
    """In November it is first given as 15 June, which has passed, and then as 25 November, which has not."""
    judge = newcomer()
    judge.send("profile", birth_date="1990-06-15")
    judge.send("profile", birth_date="1990-11-25")
    birthdays = [at for type_id, at in told(judge, "2027-12-31T00:00Z") if type_id == "birthday"]
    assert birthdays == ["2026-11-24T23", "2027-11-24T23"]


def test_a_date_that_is_taken_away_is_told_no_more() -> None:
    judge = newcomer()
    judge.send("profile", birth_date="1990-01-15")
    judge.state = msgspec.structs.replace(judge.state, birth_date=None)
    assert "birthday" not in dict(told(judge, "2028-12-31T00:00Z"))


def test_birth_dates_of_before_are_told_from_now_on() -> None:
    book = newcomer().book
    found = birthday_told(NO_CALENDAR, date(1990, 1, 15), NOON, book)
    assert found.birthday_passed == 2026
    assert birthday_told(CalendarState(birthday=2024), date(1990, 1, 15), NOON, book).birthday == 2024
    assert birthday_told(NO_CALENDAR, None, NOON, book) is NO_CALENDAR


# Anniversary


def anniversaries(judge: Judge, until: str) -> list[tuple[str, int]]:
    return [
        (f"{judged.event.occurred_at:%Y-%m-%dT%H}", int(json.loads(judged.event.properties)["years"]))
        for judged in judge.settle(moment(until))
        if judged.event.type.id == "anniversary"
    ]


def test_the_first_event_begins_the_years() -> None:
    judge = newcomer()
    judge.send(amount="1")
    judge.send(now=hour(30), amount="1")
    assert anniversaries(judge, "2028-12-01T00:00Z") == [("2027-11-19T23", 1), ("2028-11-19T23", 2)]


def test_an_opt_in_begins_them_anew_but_only_the_first() -> None:
    judge = newcomer()
    judge.send(amount="1")
    judge.send("opt_in", now=moment("2026-12-10T12:00Z"))
    judge.send("opt_in", now=moment("2026-12-20T12:00Z"))
    judge.send(now=moment("2026-12-21T12:00Z"), amount="1")
    assert anniversaries(judge, "2028-01-01T00:00Z") == [("2027-12-09T23", 1)]


def test_years_that_had_passed_are_not_told() -> None:
    """Joined on 1 March 2023, recorded in November 2026: the first one told is the fourth."""
    judge = newcomer()
    judge.send("opt_in", at=moment("2023-03-01T12:00Z"))
    assert anniversaries(judge, "2027-12-01T00:00Z") == [("2027-02-28T23", 4)]


def test_joined_on_a_leap_day() -> None:
    judge = newcomer()
    judge.send("opt_in", at=moment("2024-02-29T12:00Z"))
    assert anniversaries(judge, "2028-12-01T00:00Z") == [("2027-02-27T23", 3), ("2028-02-28T23", 4)]


def test_the_day_is_that_of_the_programs_zone() -> None:
    """23:30 in London is the next day in Budapest."""
    judge = newcomer()
    judge.send(now=moment("2026-11-20T23:30Z"), amount="1")
    assert anniversaries(judge, "2027-12-01T00:00Z") == [("2027-11-20T23", 1)]


# Inactivity


def silent(judge: Judge, until: str) -> list[str]:
    found = [judged for judged in judge.settle(moment(until)) if judged.event.type.id == "inactivity"]
    assert all(json.loads(judged.event.properties) == {"days": "30"} for judged in found)
    return [f"{judged.event.occurred_at:%Y-%m-%dT%H}" for judged in found]


def test_a_silence_is_told_once_at_the_end_of_its_last_day() -> None:
    """20 November + 30 days: the end of 20 December."""
    judge = newcomer(inactivity_days="30")
    judge.send(amount="1")
    assert silent(judge, "2026-12-20T22:59:59Z") == []
    assert silent(judge, "2027-10-01T00:00Z") == ["2026-12-20T23"]


def test_activity_ends_a_silence_and_begins_the_next() -> None:
    judge = newcomer(inactivity_days="30")
    judge.send(amount="1")
    judge.send(now=moment("2026-12-10T12:00Z"), amount="1")
    assert silent(judge, "2027-02-01T00:00Z") == ["2027-01-09T23"]
    judge.send(now=moment("2027-02-01T12:00Z"), amount="1")
    assert silent(judge, "2027-10-01T00:00Z") == ["2027-03-03T23"]


def test_what_comes_late_of_the_last_day_begins_no_other_silence() -> None:
    """Both are of 20 November; the second one is of a later hour and comes after the silence was told."""
    judge = newcomer(inactivity_days="30")
    judge.send(amount="1")
    assert silent(judge, "2027-01-10T00:00Z") == ["2026-12-20T23"]
    judge.send(now=moment("2027-01-10T12:00Z"), at=moment("2026-11-20T22:30Z"), amount="1")
    assert silent(judge, "2027-10-01T00:00Z") == []


@pytest.mark.parametrize(
    ("type_id", "raw"),
    [("point_add", {"points": "1"}), ("checkout_accept", {"order_id": "o9"}), ("points_reserved", {"points": "1"})],
)
def test_what_is_no_activity_ends_no_silence(type_id: str, raw: dict[str, object]) -> None:
    judge = newcomer(inactivity_days="30")
    judge.send(amount="1")
    judge.send(type_id, now=moment("2026-12-10T12:00Z"), **raw)
    assert silent(judge, "2027-02-01T00:00Z") == ["2026-12-20T23"]


def test_a_silence_from_before_the_customer_was_recorded_is_not_told() -> None:
    judge = newcomer(inactivity_days="30")
    judge.send(at=moment("2026-10-01T12:00Z"), amount="1")  # silent with 31 October: before anything was recorded
    assert silent(judge, "2027-02-01T00:00Z") == []
    judge = newcomer(inactivity_days="30")
    judge.send(at=moment("2026-11-01T12:00Z"), amount="1")  # silent with 1 December
    assert silent(judge, "2027-02-01T00:00Z") == ["2026-12-01T23"]


def test_without_a_setting_nobody_is_silent() -> None:
    judge = newcomer()
    judge.send(amount="1")
    assert silent(judge, "2027-10-01T00:00Z") == []


def test_the_calendar_is_no_activity() -> None:
    judge = newcomer(inactivity_days="30")
    judge.send("profile", birth_date="1990-12-10")
    seen = judge.state.last_activity_at
    assert told(judge, "2027-01-10T00:00Z") == [("birthday", "2026-12-09T23"), ("inactivity", "2026-12-20T23")]
    assert judge.state.last_activity_at == seen == NOON


# What falls due


def test_the_earliest_of_them_is_when_something_is_due() -> None:
    judge = newcomer(inactivity_days="30")
    judge.send("profile", birth_date="1990-12-10")
    moments = [occasion.moment for occasion in occasions(judge.state, judge.book)]
    expected: list[datetime] = [
        moment("2026-12-09T23:00Z"),
        moment("2027-11-19T23:00Z"),
        moment("2026-12-20T23:00Z"),
    ]
    assert moments == expected
    assert judge.state.due_at == min(expected)
    judge.settle(min(expected) + timedelta(hours=1))
    assert judge.state.due_at == moment("2026-12-20T23:00Z")
