"""Processor time of the server and of its PostgreSQL: what an event costs, however busy the machine is with others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Seconds of processor time, system calls included."""

    server: float
    postgres: float

    def per_event(self, before: Spent, events: int) -> tuple[float, float]:
        """Microseconds per event since `before`: of the server, of PostgreSQL."""
        return (self.server - before.server) / events * 1e6, (self.postgres - before.postgres) / events * 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    server: int  # process numbers
    postmaster: int

    def read(self) -> Spent:
        living = [_stat(process) for process in _processes()]
        backends = sum(_seconds(stat[11:13]) for stat in living if stat and int(stat[1]) == self.postmaster)
        own = _seconds(_stat(self.postmaster)[11:15])  # with those of its children that have ended
        return Spent(server=_seconds(_stat(self.server)[11:13]), postgres=own + backends)


def _processes() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _stat(process: int) -> list[str]:
    """What the kernel says of a process, from its state on; empty when it has ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _seconds(ticks: list[str]) -> float:
    return sum(map(int, ticks)) / _TICKS
