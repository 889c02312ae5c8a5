"""What comes of a try: delivered, tried again later, or given up; and when a webhook has failed for too long.

Pure but for the jitter, which is drawn by whoever calls. In: an answer, a delivery, a moment. Out: what to record.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from troth import limits
from troth.core.calendar import show_time
from troth.store.deliveries import Attempt, Claimed, Health, Recorded

GONE = 410
_FACTOR = 3  # each pause is so many times the one before
_JITTER = 0.2  # a pause is up to so much longer or shorter
_LONG = 40  # exponents beyond it change nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How patient the relay is."""

    timeout_seconds: float = limits.WEBHOOK_TIMEOUT_SECONDS
    retry_seconds: float = limits.WEBHOOK_RETRY_SECONDS
    rest_seconds: float = limits.WEBHOOK_REST_SECONDS
    lease_seconds: float = limits.WEBHOOK_LEASE_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What a receiver answered, or why there is no answer."""

    at: datetime
    milliseconds: int
    status: int | None = None
    error: str | None = None  # None: delivered
    answer: str | None = None
    retry_after: float | None = None  # seconds

    @property
    def is_delivered(self) -> bool:
        return self.error is None


def judge(delivery: Claimed, response: Response, now: datetime, *, pace: Pace, jitter: float) -> Recorded:
    """What to record of a try. In: `jitter` between −1 and 1."""
    attempt = Attempt(
        at=show_time(response.at),
        milliseconds=response.milliseconds,
        status=response.status,
        error=response.error,
        answer=response.answer,
    )
    if response.is_delivered:
        return Recorded(delivery.id, delivery.tries, "delivered", None, attempt)
    if now >= delivery.until:
        return Recorded(delivery.id, delivery.tries, "failed", None, attempt)
    pause = pause_seconds(delivery.tries - delivery.earlier, pace.retry_seconds) * (1 + _JITTER * jitter)
    if response.retry_after is not None:
        pause = max(pause, min(response.retry_after, limits.WEBHOOK_RETRY_SECONDS_MAX))
    next_at = min(now + timedelta(seconds=pause), max(delivery.until, now))
    return Recorded(delivery.id, delivery.tries, "waiting", next_at, attempt)


def pause_seconds(tries: int, first: float) -> float:
    """How long to wait after so many failures."""
    return min(first * float(_FACTOR ** min(max(tries - 1, 0), _LONG)), float(limits.WEBHOOK_RETRY_SECONDS_MAX))


def reason_to_disable(response: Response, health: Health, now: datetime) -> str | None:
    """Why a webhook is to be disabled after this failure; None: it goes on."""
    if response.status == GONE:
        return "The receiver answered 410: it is gone."
    since = health.failing_since
    if since is None or health.failures < limits.WEBHOOK_DISABLE_FAILURES:
        return None
    if now - since < timedelta(seconds=limits.WEBHOOK_DISABLE_SECONDS):
        return None
    return f"{health.failures} attempts in a row have failed since {show_time(since)}; the last one: {response.error}."
