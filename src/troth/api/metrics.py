"""What is measured, in the exposition format of Prometheus.

In: outcomes and durations as they happen; queues as they stand when asked. Out: the text at /metrics.
Must never: carry a label whose values a caller chooses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_LOOK_SECONDS = 2.0  # that a scrape waits for what has to be asked elsewhere

Readings = Callable[[], Mapping[str, tuple[float, str]]]  # name (…_total counts up) → value and meaning


class Metrics:
    """The measurements of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self.registry)
        self._events = Counter(
            "troth_events",
            "Events by outcome: created, duplicate, rejected, conflict.",
            ["outcome"],
            registry=self.registry,
        )
        self._requests = Histogram(
            "troth_request_seconds",
            "Requests by route, method and class of status.",
            ["route", "method", "status"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._by_request: dict[tuple[str, str, int], Histogram] = {}
        self._by_outcome: dict[str, Counter] = {}
        self._looks: list[Callable[[], Awaitable[None]]] = []

    def count_events(self, outcome: str, number: int = 1) -> None:
        """`number` more events had this outcome."""
        counter = self._by_outcome.get(outcome)
        if counter is None:
            counter = self._by_outcome[outcome] = self._events.labels(outcome)
        counter.inc(number)

    def observe_request(self, place: tuple[str, str, int], seconds: float) -> None:
        """A request to (route, method, status) took this long."""
        histogram = self._by_request.get(place)
        if histogram is None:
            route, method, status = place
            histogram = self._by_request[place] = self._requests.labels(route, method, f"{status // 100}xx")
        histogram.observe(seconds)

    def watch(self, readings: Readings) -> None:
        """Shows what `readings` tells at each scrape, under the names it gives."""
        self.registry.register(_Watched(readings))

    def ask_first(self, look: Callable[[], Awaitable[None]]) -> None:
        """Has `look` gather, before each scrape, what some readings then tell."""
        self._looks.append(look)

    async def ask(self) -> None:
        """Look anew; what cannot be asked at this moment stays as it was."""
        for look in self._looks:
            # Whatever the driver raises: a database that is away must not hide the other measurements.
            with suppress(Exception):
                await asyncio.wait_for(look(), _LOOK_SECONDS)

    def exposition(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)


class _Watched(Collector):
    def __init__(self, readings: Readings) -> None:
        self._readings = readings

    def collect(self) -> list[Metric]:
        return [_family(name, told) for name, told in self._readings().items()]


def _family(name: str, told: tuple[float, str]) -> Metric:
    value, meaning = told
    kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
    return kind(f"troth_{name}", meaning, value=value)
