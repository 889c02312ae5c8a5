"""Settings of a Segment-compatible source: what its calls become."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from troth import limits
from troth.core.coercion import Problem
from troth.core.sources.settings import Name, SourceSettings, TypeId

Path = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.IDENTIFIER_LENGTH)]
Paths = Annotated[Mapping[Name, Path], msgspec.Meta(max_length=limits.SOURCE_MAPPINGS)]


class EventMapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a call becomes."""

    type: TypeId
    properties: Paths | None = None  # our property → path in theirs, as products.sku; None: theirs as they are


Events = Annotated[Mapping[Name, EventMapping | None], msgspec.Meta(max_length=limits.SOURCE_MAPPINGS)]


Origins = Annotated[tuple[Name, ...], msgspec.Meta(max_length=limits.KEY_ORIGINS)]


class SegmentSettings(SourceSettings, frozen=True, kw_only=True):
    """What a Segment-compatible source is told."""

    browsers: Literal["refused", "only"] = "refused"  # refused: a server's key; only: pages have it, so it is public
    origins: Origins = ()  # scheme://host[:port] of pages that may send; empty: any
    events: Events = msgspec.field(
        default_factory=dict
    )  # name of a track call → what it becomes; null drops it; goes before the default mapping
    default_events: bool = True  # whether the public ecommerce vocabulary is mapped
    unmapped: Literal["drop", "same_name"] = "drop"  # same_name: the event type of that name
    page: EventMapping | None = None  # null: counted and dropped
    screen: EventMapping | None = None
    group: EventMapping | None = None
    identify: Literal["profile", "link"] = "profile"  # link: names visitors, changes no profile
    traits: Paths | None = None  # attribute → path in the traits; null: the default mapping
    anonymous: Literal["wait", "drop"] = "wait"
    anonymous_days: Annotated[int, msgspec.Meta(ge=1, le=limits.SOURCE_INBOX_DAYS)] = limits.SOURCE_INBOX_DAYS

    @property
    def is_public(self) -> bool:
        return self.browsers == "only"

    def flaws(self) -> tuple[Problem, ...]:
        if not self.origins or self.is_public:
            return ()
        return (Problem("/origins", "not_for_browsers", "Origins are those of pages: set browsers to only."),)
