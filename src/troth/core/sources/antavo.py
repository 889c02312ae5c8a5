"""Settings of an Antavo-compatible source: what its actions become, and who may call it how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec

from troth import limits
from troth.core.sources.settings import Name, SourceSettings, TypeId

Names = Annotated[Mapping[Name, Name], msgspec.Meta(max_length=limits.SOURCE_MAPPINGS)]


class ActionMapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an action becomes."""

    type: TypeId
    properties: Names | None = None  # our property → field of `data`; fields that are not named stay as they are


Actions = Annotated[Mapping[Name, ActionMapping | None], msgspec.Meta(max_length=limits.SOURCE_MAPPINGS)]


class AntavoSettings(SourceSettings, frozen=True, kw_only=True):
    """An integration written for that product."""

    actions: Actions = msgspec.field(default_factory=dict)  # others: the event type of that name; null refuses one
    accounts: Names = msgspec.field(default_factory=dict)  # account → wallet; others: the wallet of that name
    region: Name | None = None  # of the credential scope; null: any
    unsigned: bool | None = None  # whether api_key alone is enough; null: in development mode only
    requires_opt_in: bool = False  # events of customers who have not opted in are refused
