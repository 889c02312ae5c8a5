"""A program document → a `Program`, or everything that is wrong with it.

In: plain values (from `core/program/text.py` or storage). Out: the program, whole and consistent, or problems with
pointers. Must never: stop at the first problem, or let through what this version does not build.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from troth.core.expression import common_to
from troth.core.program import Program
from troth.core.program.builtin_types import PROFILE_TYPE
from troth.core.program.events import read_event_types
from troth.core.program.fields import Fields
from troth.core.program.problem import NOWHERE, Positions, Problems, ProgramProblem
from troth.core.program.rewards import read_rewards
from troth.core.program.rules import Surroundings, read_rules
from troth.core.program.sections import NOT_AVAILABLE, read_orders, read_settings
from troth.core.program.tiers import read_tiers
from troth.core.program.wallets import read_wallets

SEMANTICS_VERSION = 2  # what the engine makes of a program; stored with every revision
_NOT_BUILT = ("segments", "automations", "campaigns")


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    program: Program | None  # None when there are errors
    problems: tuple[ProgramProblem, ...]  # errors and warnings, in document order where positions are known

    @property
    def errors(self) -> tuple[ProgramProblem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "error")

    @property
    def warnings(self) -> tuple[ProgramProblem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "warning")


def validate_document(
    raw: object,
    *,
    revision: int,
    item_revisions: Mapping[str, int] | None = None,
    positions: Positions = NOWHERE,
) -> Validated:
    """The program that `raw` describes as revision number `revision`, or why there is none."""
    problems = Problems()
    program = _read(Fields(raw, "", problems), revision, item_revisions or {})
    listed = problems.listed(positions)
    refused = any(problem.severity == "error" for problem in listed)
    return Validated(program=None if refused else program, problems=listed)


def _read(document: Fields, revision: int, item_revisions: Mapping[str, int]) -> Program:
    settings = read_settings(document)
    orders = read_orders(document)
    wallets = read_wallets(document)
    tiers = read_tiers(document, wallets)
    levels = tuple(level.id for level in tiers.levels) if tiers else ()
    event_types = read_event_types(document, levels)
    around = Surroundings(
        event_types=event_types,
        wallets={wallet.id: wallet for wallet in wallets},
        common=common_to(profile=event_types[PROFILE_TYPE], levels=levels, event_types=event_types.keys()),
        settings=settings,
        zone=ZoneInfo(settings.time_zone),
    )
    rules = read_rules(document, around)
    rewards = read_rewards(document, wallets=tuple(around.wallets), levels=levels, zone=around.zone)
    _refuse_not_built(document)
    document.take("revision")  # the API shows it with a document; sent back, it means nothing
    document.close()
    return Program(
        revision=revision,
        settings=settings,
        orders=orders,
        wallets=wallets,
        event_types=event_types,
        rules=rules,
        tiers=tiers,
        rewards=rewards,
        item_revisions=item_revisions,
    )


def _refuse_not_built(document: Fields) -> None:
    for name in _NOT_BUILT:
        value = document.take(name)
        if value not in (None, [], {}):
            message = f"{name} are not available in this version"
            document.error(name, NOT_AVAILABLE, message, f"write {name}: [] or leave it out")
