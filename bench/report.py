"""The figures as text: every point with its rate, then every measure beside what was promised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from bench.measures import MEASURES
from bench.rounds import Line

_POINT = "{:<26}{:>10}{:>9}{:>9}{:>11}{:>13}  {}"
_COLUMNS = ("p50_ms", "p99_ms", "server_us", "postgres_us")
_MEASURE = "{:<46}{:>8}{:>16}{:>8}{:>8}  {}"


def points(rounds: Sequence[Sequence[Line]]) -> str:
    """Medians over the rounds, in the order of measurement. µs: processor time per event."""
    labels = dict.fromkeys(line.label for line in rounds[0])
    rows = [_POINT.format("point", "events/s", "p50 ms", "p99 ms", "server µs", "postgres µs", "")]
    for label in labels:
        same = [line for lines in rounds for line in lines if line.label == label]
        rate = f"{median(line.rate for line in same):,.0f}"
        rows.append(_POINT.format(label, rate, *(_middle(same, name) for name in _COLUMNS), same[-1].note))
    return "\n".join(rows)


def _middle(lines: Sequence[Line], name: str) -> str:
    values = [value for line in lines if (value := getattr(line, name)) is not None]
    return _number(median(values)) if values else ""


def measures(found: Sequence[Mapping[str, float]]) -> str:
    """The median of each measure over the rounds that have it, with the least and the most."""
    rows = [_MEASURE.format("measure", "median", "least – most", "must", "aim", "")]
    for measure in MEASURES:
        values = [ratios[measure.name] for ratios in found if measure.name in ratios]
        if values:
            middle, sign = median(values), "≤ " if measure.is_most else ""
            spread = f"{_number(min(values))} – {_number(max(values))}" if len(values) > 1 else ""
            bounds = (f"{sign}{bound:g}" if bound is not None else "" for bound in (measure.must, measure.aim))
            rows.append(_MEASURE.format(measure.label, _number(middle), spread, *bounds, measure.verdict(middle)))
        else:
            rows.append(_MEASURE.format(measure.label, "–", "", "", "", "not measured"))
    return "\n".join(rows)


def _number(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"
