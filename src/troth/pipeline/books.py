"""The revisions of the program that this process has compiled, and which of them is live.

A revision never changes, so a compiled one is kept; the live number is compared with the database by every batch.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from troth import limits
from troth.core.program import Program
from troth.core.rules import RuleBook, compile_rules
from troth.pipeline.validate import Validator, validator_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """One revision, ready to validate and to judge."""

    rules: RuleBook
    validator: Validator

    @property
    def revision(self) -> int:
        return self.rules.program.revision


class Books:
    """Compiled revisions, at most PROGRAMS_KEPT of them; `read` fetches one, or the live one for None."""

    def __init__(self, read: Callable[[int | None], Awaitable[Program]], *, demands_signatures: bool = False) -> None:
        self._read = read
        self._demands_signatures = demands_signatures
        self._kept: OrderedDict[int, Book] = OrderedDict()
        self._live: Book | None = None
        self.clock: datetime | None = None  # the test clock, as the last batch found it; None: real time
        self._reading = asyncio.Lock()  # compiling takes long: many callers, one reading

    async def live(self) -> Book:
        """The newest revision this process knows; reads it from the database the first time."""
        return self._live or await self.refresh(0)

    async def refresh(self, revision: int | None = None) -> Book:
        """Read the live revision: the database says that it is newer. Not again if it is `revision` at least by now."""
        async with self._reading:
            if self._live is None or revision is None or self._live.revision < revision:
                self._live = self._keep(await self._read(None))
            return self._live

    async def at(self, revision: int) -> Book:
        known = self._kept.get(revision)
        if known is not None:
            self._kept.move_to_end(revision)
            return known
        return self._keep(await self._read(revision))

    def _keep(self, program: Program) -> Book:
        book = Book(
            rules=compile_rules(program),
            validator=validator_for(program, demands_signatures=self._demands_signatures),
        )
        self._kept[program.revision] = book
        while len(self._kept) > limits.PROGRAMS_KEPT:
            self._kept.popitem(last=False)
        return book
