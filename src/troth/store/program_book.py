"""The programs a process has read: revision number → `Program`, each validated once.

A revision never changes, so what was read stays true; only which one is live has to be asked. Must never: hold more
than `limits.PROGRAM_REVISIONS_CACHED` programs.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from troth import limits
from troth.core.program import Program
from troth.core.program_document import validate_document
from troth.store.programs import Revision, live_revision, load_live, load_revision

if TYPE_CHECKING:
    from troth.store.pool import Connection


class UnknownRevisionError(LookupError):
    """No program of this number was ever published."""


class UnfitProgramError(Exception):
    """A stored revision does not validate under this version of Troth."""


class ProgramBook:
    """Programs by revision. Safe to share within one event loop."""

    __slots__ = ("_programs",)

    def __init__(self) -> None:
        self._programs: OrderedDict[int, Program] = OrderedDict()

    def known(self, number: int) -> Program | None:
        """The program if this process holds it; asks nobody."""
        program = self._programs.get(number)
        if program is not None:
            self._programs.move_to_end(number)
        return program

    async def at(self, connection: Connection, number: int) -> Program:
        """The program of revision `number`; raises UnknownRevisionError."""
        program = self.known(number)
        if program is not None:
            return program
        revision = await load_revision(connection, number)
        if revision is None:
            raise UnknownRevisionError(f"There is no program revision {number}.")
        return self._keep(revision)

    async def live(self, connection: Connection) -> Program:
        """The program that is live now; raises UnknownRevisionError when none was ever published."""
        number = await live_revision(connection)
        program = self.known(number)
        if program is not None:
            return program
        revision = await load_live(connection)
        if revision is None:
            raise UnknownRevisionError("No program was published yet.")
        return self._keep(revision)

    def _keep(self, revision: Revision) -> Program:
        program = read_program(revision)
        self._programs[revision.number] = program
        while len(self._programs) > limits.PROGRAM_REVISIONS_CACHED:
            self._programs.popitem(last=False)
        return program


def read_program(revision: Revision) -> Program:
    """The program of a stored revision; raises UnfitProgramError."""
    validated = validate_document(revision.document, revision=revision.number, item_revisions=revision.item_revisions)
    if validated.program is None:
        first = validated.errors[0]
        raise UnfitProgramError(
            f"Program revision {revision.number} does not fit this version of Troth: {first.pointer}: {first.message}. "
            "Start the version that published it, or publish a mended program with this one."
        )
    return validated.program
