"""Which function runs which kind of job. A new kind of job is one line here.

In: the engine, and the right to run one job. Out: how it ended, or None when it was interrupted. A runner notes
checkpoints through its lease, goes on from the last one, and looks at `lease.interrupted` between two chunks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from troth.engine import Engine
from troth.store.jobs import Ending, JobKind, Lease

Runner = Callable[[Engine, Lease], Awaitable[Ending | None]]

RUNNERS: Mapping[JobKind, Runner] = {}
