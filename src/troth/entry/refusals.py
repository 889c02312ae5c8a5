"""What doors refuse, kept for /v1/rejections: of requests written after the fact, in the background.

In: a refused event, its problems, and the payload it came in. Out: nothing that a request waits for. The refused rows
of an import are written with its checkpoints (`import_refusals.py`).
Must never: hold a request up, write anything personal in clear, or lose one without counting it.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice

import msgspec

from troth import limits
from troth.api.problems import ErrorItem
from troth.core.coercion import Problem
from troth.core.ids import show_id
from troth.pipeline.outcome import Conflict, RawEvent, Rejected
from troth.store.pool import Connection, Database
from troth.store.rejections import RejectionRow, insert_rejections
from troth.store.row_ids import new_id
from troth.store.vault import Vault

FLUSHED = 500  # of one statement
_PROBLEM_BYTES = 64 << 10  # of reasons beside the payload
_PROBLEMS_ALONE = 20
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9 _.:-]{0,63}")
_encode = msgspec.json.Encoder(decimal_format="number").encode


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """What is sealed of a refused event."""

    problems: tuple[Problem, ...]
    raw: RawEvent | None  # None: it could not be read, or is too large to be kept
    payload: object = None  # as it came in, where that differs from `raw`
    text: str | None = None  # what could not be read


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a refusal came about."""

    source: str  # as events name it
    source_detail: str | None  # the key's name, the source's id, or the import's
    line: int | None = None  # of an import's file
    command: str | None = None  # what was called; None: an event was sent


class Refusals:
    """The refused events of one process, until they are written. Handlers find it in `app.state["refusals"]`."""

    __slots__ = ("_bytes", "_database", "_flushing", "_kept", "_vault", "lost")

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._kept: deque[RejectionRow] = deque()  # not sealed yet
        self._bytes = 0
        self._flushing = asyncio.Lock()
        self.lost = 0  # refused while too much was waiting to be written

    def keep_outcome(self, raw: RawEvent, outcome: Rejected | Conflict, payload: object = None) -> str | None:
        """Keep what the pipeline refused."""
        problems = outcome.problems if isinstance(outcome, Rejected) else (outcome.problem,)
        return self.keep(Refusal(problems=problems, raw=raw, payload=payload), raw.source, raw.source_detail)

    def keep(self, refusal: Refusal, source: str, source_detail: str | None, command: str | None = None) -> str | None:
        """Keep a refused event. Out: the id of its rejection, None when it was lost."""
        origin = Origin(source=source, source_detail=source_detail, command=command)
        row = unsealed_row(refusal, origin)
        is_full = len(self._kept) >= limits.REJECTIONS_WAITING
        if is_full or self._bytes + len(row.sealed) > limits.REJECTIONS_WAITING_BYTES:
            self.lost += 1
            return None
        self._kept.append(row)
        self._bytes += len(row.sealed)
        return show_id("rej", row.id)

    async def flush(self) -> None:
        """Write what was kept so far; what cannot be written stays."""
        async with self._flushing:
            while self._kept:
                some = list(islice(self._kept, FLUSHED))
                async with self._database.pool.acquire() as connection:
                    await write_rows(connection, self._vault, some)
                for row in some:
                    self._kept.popleft()
                    self._bytes -= len(row.sealed)


def unsealed_row(refusal: Refusal, origin: Origin) -> RejectionRow:
    """The row of a refusal, its content in clear still."""
    now = datetime.now(UTC)
    return RejectionRow(
        id=new_id(),
        received_at=now,
        expires_at=now + timedelta(days=limits.REJECTION_DAYS),
        source=origin.source,
        source_detail=origin.source_detail,
        type=clear_type(refusal.raw.type) if refusal.raw is not None else None,
        codes=tuple(dict.fromkeys(problem.code for problem in refusal.problems)),
        sealed=_written(refusal),
        line=origin.line,
        command=origin.command,
    )


async def write_rows(connection: Connection, vault: Vault, rows: Sequence[RejectionRow]) -> None:
    """Seal rows and store them, FLUSHED in a statement. What is stored already stays as it is."""

    def seal(some: Sequence[RejectionRow]) -> list[RejectionRow]:
        return [msgspec.structs.replace(row, sealed=vault.seal_alone(row.sealed, row.id)) for row in some]

    for first in range(0, len(rows), FLUSHED):
        await insert_rejections(connection, await asyncio.to_thread(seal, rows[first : first + FLUSHED]))


def text_of(body: bytes) -> str:
    """A body that could not be read, as far as it is text."""
    return body[: limits.REJECTION_BYTES].decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")


def whole_text(text: str) -> str:
    """A text in which bytes that were none stand as they came, as far as it is text."""
    return text_of(text[: limits.REJECTION_BYTES].encode("utf-8", "surrogateescape"))


def problems_of(items: Sequence[ErrorItem]) -> tuple[Problem, ...]:
    """Problems from the items of a problem document."""
    return tuple(Problem(item.pointer, item.code, item.detail) for item in items)


def _written(refusal: Refusal) -> bytes:
    """The refusal as JSON; without its payload when that is too large, or no text."""
    try:
        written = _encode(refusal)
    except UnicodeEncodeError:
        written = b""
    if not 0 < len(written) <= limits.REJECTION_BYTES + _PROBLEM_BYTES:
        written = _encode(Refusal(problems=refusal.problems[:_PROBLEMS_ALONE], raw=None))
    return written


def clear_type(type_id: object) -> str | None:
    """A type in clear, unless it may be something else than a name."""
    return type_id if isinstance(type_id, str) and _NAME.fullmatch(type_id) else None
