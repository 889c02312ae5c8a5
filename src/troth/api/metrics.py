"""What is measured, in the exposition format of Prometheus.

In: outcomes and durations as they happen; queues as they stand when asked. Out: the text at /metrics.
Must never: carry a label whose values a caller chooses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_BATCH = (1, 2, 5, 10, 25, 50, 100, 250, 500)

Gauges = Callable[[], Mapping[str, float]]  # name → value, read when somebody asks


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
        self._batches = Histogram(
            "troth_batch_events", "Events written per transaction.", buckets=_BATCH, registry=self.registry
        )
        self._by_request: dict[tuple[str, str, int], Histogram] = {}
        self._by_outcome: dict[str, Counter] = {}

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

    def observe_batch(self, events: int) -> None:
        """A transaction wrote this many events."""
        self._batches.observe(events)

    def watch(self, gauges: Gauges) -> None:
        """Shows what `gauges` tells at each scrape, under the names it gives."""
        self.registry.register(_Watched(gauges))

    def exposition(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)


class _Watched(Collector):
    def __init__(self, gauges: Gauges) -> None:
        self._gauges = gauges

    def collect(self) -> list[Metric]:
        return [_gauge(name, value) for name, value in self._gauges().items()]


def _gauge(name: str, value: float) -> Metric:
    family = GaugeMetricFamily(f"troth_{name}", name.replace("_", " ").capitalize())
    family.add_metric([], value)
    return family
