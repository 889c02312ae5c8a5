"""What is promised of speed: each measure with what it must reach and what is aimed at. The issue's table as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A figure and its bounds. None: shown, not judged."""

    name: str
    label: str
    must: float | None
    aim: float | None
    is_most: bool = False  # the bounds are upper bounds

    def verdict(self, value: float) -> str:
        if self.must is None or self.aim is None:
            return ""
        if self._holds(value, self.aim):
            return "aim reached"
        return "must holds" if self._holds(value, self.must) else "MISSED"

    def _holds(self, value: float, bound: float) -> bool:
        return value <= bound if self.is_most else value >= bound


MEASURES = (
    Measure(name="single_64", label="single, 64 connections ÷ CTE at 32", must=0.50, aim=1.0),
    Measure(name="single_256", label="single, 256 connections ÷ CTE at 32", must=0.65, aim=1.3),
    Measure(name="single_16", label="single, 16 connections ÷ CTE at 16", must=0.30, aim=0.6),
    Measure(name="single_1", label="single, 1 connection ÷ CTE at 1", must=0.12, aim=0.4),
    Measure(name="tail", label="p99 ÷ p50 at 64 connections", must=5, aim=2, is_most=True),
    Measure(name="bulk", label="bulk of 1,000 ÷ CTE at 32", must=1.3, aim=2.5),
    Measure(name="import", label="import ÷ CTE at 32", must=1.3, aim=2.5),
    Measure(name="bulk_copy", label="bulk ÷ COPY", must=0.12, aim=0.35),
    Measure(name="import_copy", label="import ÷ COPY", must=0.12, aim=0.35),
    Measure(name="bulk_copies", label="bulk ÷ COPY over 2 connections", must=None, aim=None),
    Measure(name="rules", label="rule ÷ Decimal lambda, median rule (time)", must=1.0, aim=0.4, is_most=True),
    Measure(name="rules_worst", label="rule ÷ Decimal lambda, worst rule (time)", must=1.0, aim=0.4, is_most=True),
    Measure(name="drift", label="last ÷ first three tenths of the long load", must=0.85, aim=0.95),
    Measure(name="drift_cost", label="the same of processor time per event", must=None, aim=None),
    Measure(name="memory", label="memory of the Python server, MB at most", must=200, aim=100, is_most=True),
)
