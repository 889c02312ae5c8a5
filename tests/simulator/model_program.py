"""A program as the model reads it: the document's plain mappings, and each rule's condition and formula as Python.

The engine compiles the text of `when` and `award`; the model calls the functions that stand beside it. Everything else
(limits, groups, holds, expiry, tiers, rewards) is read from the same document by the model itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from tests.simulator.days import duration

Document = Mapping[str, object]
Item = Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a rule sees: properties with exact numbers, customer values, and the event's local time."""

    p: Mapping[str, object]
    c: Mapping[str, object]
    time: datetime

    def number(self, name: str) -> Fraction:
        found = self.p.get(name)
        assert isinstance(found, Fraction), name
        return found

    def items(self) -> Sequence[Mapping[str, object]]:
        found = self.p.get("items") or []
        assert isinstance(found, list)
        return found


def always(_: Seen) -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class Form:
    """What the texts of a rule mean."""

    award: Callable[[Seen], Fraction | int]
    when: Callable[[Seen], bool] = always
    reads_items: bool = False


@dataclass(frozen=True, kw_only=True)
class ModelProgram:
    """One published document with the forms of its rules."""

    document: Document
    forms: Mapping[str, Form]
    zone: ZoneInfo = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "zone", ZoneInfo(str(self.settings.get("time_zone", "UTC"))))

    def section(self, name: str) -> Item:
        found = self.document.get(name) or {}
        assert isinstance(found, Mapping), name
        return found

    def listed(self, name: str) -> Sequence[Item]:
        found = self.document.get(name) or []
        assert isinstance(found, list), name
        return found

    @property
    def settings(self) -> Item:
        return self.section("settings")

    @property
    def return_days(self) -> int:
        return int(str(self.settings.get("return_days_min", 30)))

    @property
    def wallets(self) -> list[str]:
        return [str(wallet["id"]) for wallet in self.listed("wallets")]

    def wallet(self, name: str) -> Item:
        return next(wallet for wallet in self.listed("wallets") if wallet["id"] == name)

    def rules_for(self, event_type: str) -> list[Item]:
        return [r for r in self.listed("rules") if r["event_type"] == event_type and r.get("enabled", True)]

    def wallet_of(self, rule: Item) -> str:
        return str(rule.get("wallet") or self.wallets[0])

    def expiry_of(self, wallet: str, rule: Item | None = None) -> Item:
        found = (rule or {}).get("expiry") or self.wallet(wallet).get("expiry") or {"kind": "never"}
        return {"kind": "never"} if found == "never" else found  # type: ignore[return-value]

    def hold_of(self, rule: Item) -> timedelta:
        text = rule.get("hold") or self.wallet(self.wallet_of(rule)).get("hold") or "P0D"
        found = duration(str(text))
        assert found is not None, text
        return found

    def forgives(self, wallet: str) -> bool:
        return self.wallet(wallet).get("negative_balance") == "forgive"

    def event_type(self, name: str) -> Item:
        return next((known for known in self.listed("event_types") if known["id"] == name), {})

    @property
    def opening_types(self) -> list[str]:
        return [str(known["id"]) for known in self.listed("event_types") if known.get("order")]

    @property
    def levels(self) -> Sequence[Item]:
        return self.section("tiers").get("levels") or []  # type: ignore[return-value]

    def level(self, name: str | None) -> Item:
        return next((level for level in self.levels if level["id"] == name), {})

    def multiplier(self, tier: str | None) -> Fraction:
        return Fraction(str(self.level(tier).get("multiplier", "1")))

    def level_at(self, points: int) -> str | None:
        """The highest level whose threshold is reached; one from 0 is everybody's, whatever was taken back."""
        reached = [str(level["id"]) for level in self.levels if int(str(level.get("from", 0))) <= max(points, 0)]
        return reached[-1] if reached else None

    def rank(self, tier: str | None) -> int:
        return [None, *(level["id"] for level in self.levels)].index(tier)

    def reward(self, name: str) -> Item | None:
        return next((reward for reward in self.listed("rewards") if reward["id"] == name), None)
