"""The schedule of retries, and when a webhook has failed for too long: pure, so told as tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from troth import limits
from troth.outbox.outcomes import Pace, Response, judge, pause_seconds, reason_to_disable
from troth.store.deliveries import Claimed, Health

NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)
FAILED = Response(at=NOW, milliseconds=5, status=500, error="status: answered 500")


def claimed(tries: int = 1, earlier: int = 0, until: timedelta = timedelta(days=3)) -> Claimed:
    return Claimed(
        id=UUID(int=1), message_id=UUID(int=2), topic="points.earned", event_id=None, data=None, tries=tries,
        earlier=earlier, until=NOW + until,
    )  # fmt: skip


def seconds_after(delivery: Claimed, response: Response = FAILED, jitter: float = 0) -> float:
    found = judge(delivery, response, NOW, pace=Pace(), jitter=jitter)
    assert found.status == "waiting"
    assert found.next_at is not None
    return (found.next_at - NOW).total_seconds()


def test_each_pause_is_longer_up_to_a_bound() -> None:
    pauses = [pause_seconds(tries, limits.WEBHOOK_RETRY_SECONDS) for tries in range(1, 40)]
    assert pauses[:5] == [5, 15, 45, 135, 405]
    assert pauses[8:] == [limits.WEBHOOK_RETRY_SECONDS_MAX] * len(pauses[8:])
    tries, passed = 0, 0.0
    while passed < limits.WEBHOOK_GIVE_UP_SECONDS:
        passed += pauses[tries]
        tries += 1
    assert tries == 20, "so many tries in three days"


def test_jitter_spreads_what_failed_together() -> None:
    assert [seconds_after(claimed(tries=3), jitter=jitter) for jitter in (-1, 0, 1)] == [36, 45, 54]


def test_a_redelivery_begins_anew() -> None:
    assert seconds_after(claimed(tries=21, earlier=20)) == 5


@pytest.mark.parametrize(("asked", "seconds"), [(0, 5), (600, 600), (10**9, limits.WEBHOOK_RETRY_SECONDS_MAX)])
def test_retry_after_is_obeyed_within_bounds(asked: float, seconds: float) -> None:
    slow = Response(at=NOW, milliseconds=5, status=429, error="status: answered 429", retry_after=asked)
    assert seconds_after(claimed(), slow) == seconds


def test_the_last_try_is_no_later_than_the_end() -> None:
    assert seconds_after(claimed(tries=15, until=timedelta(hours=1))) == 3_600
    assert judge(claimed(until=timedelta()), FAILED, NOW, pace=Pace(), jitter=0).status == "failed"


def test_delivered() -> None:
    found = judge(
        claimed(until=-timedelta(days=1)), Response(at=NOW, milliseconds=1, status=200), NOW, pace=Pace(), jitter=0
    )
    assert (found.status, found.attempt.error) == ("delivered", None)


MANY, LONG = limits.WEBHOOK_DISABLE_FAILURES, timedelta(seconds=limits.WEBHOOK_DISABLE_SECONDS)


@pytest.mark.parametrize(
    ("health", "is_disabled"),
    [
        (Health(MANY, NOW - LONG), True),
        (Health(MANY - 1, NOW - LONG), False),
        (Health(MANY, NOW - LONG + timedelta(seconds=1)), False),
        (Health(MANY, None), False),
    ],
)
def test_disabled_when_many_failed_over_a_long_time(health: Health, is_disabled: bool) -> None:
    assert (reason_to_disable(FAILED, health, NOW) is not None) == is_disabled


def test_gone_is_gone_at_once() -> None:
    gone = Response(at=NOW, milliseconds=5, status=410, error="status: answered 410")
    assert reason_to_disable(gone, Health(1, NOW), NOW) is not None


def test_a_lease_covers_what_is_begun_in_its_time() -> None:
    longest = limits.WEBHOOK_BEGIN_SECONDS + limits.WEBHOOK_TIMEOUT_SECONDS
    assert longest + limits.WEBHOOK_TIMEOUT_SECONDS < limits.WEBHOOK_LEASE_SECONDS
    assert limits.WEBHOOK_REST_SECONDS < limits.WEBHOOK_LEASE_SECONDS
