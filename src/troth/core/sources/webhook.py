"""Settings of a generic incoming webhook: how a sender proves itself, and what its JSON means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from troth import limits
from troth.core.coercion import Problem
from troth.core.sources.filters import Filter, diagnose
from troth.core.sources.paths import Path
from troth.core.sources.settings import Name, SourceSettings, TypeId

Text = Annotated[str, msgspec.Meta(max_length=limits.IDENTIFIER_LENGTH)]
Header = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]
Reading = Literal["as_is", "text", "lower", "unix_seconds", "unix_milliseconds", "cents"]


class HeaderAuth(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="scheme", tag="header"
):
    """The secret itself, in a header."""

    header: Header = "X-Webhook-Secret"
    prefix: Text = ""  # before the secret, as "Bearer "


class HmacAuth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="scheme", tag="hmac"):
    """An HMAC of the body by the secret, in a header."""

    header: Header = "X-Signature"
    algorithm: Literal["sha1", "sha256", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    prefix: Text = ""  # before the signature, as "sha256="
    timestamp_header: Header | None = None  # Unix seconds; then `timestamp.body` is signed
    tolerance_seconds: Annotated[int, msgspec.Meta(ge=1, le=3_600)] = limits.SIGNATURE_SECONDS


class StandardAuth(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="scheme", tag="standard_webhooks"
):
    """Standard Webhooks: webhook-id, webhook-timestamp, webhook-signature."""

    tolerance_seconds: Annotated[int, msgspec.Meta(ge=1, le=3_600)] = limits.SIGNATURE_SECONDS


class Taken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a value comes from: the first of these that is given."""

    constant: str | int | bool | None = None
    header: Header | None = None
    path: Path | None = None  # a JSON pointer, or names with dots between them; "" is the whole
    prefix: Text = ""  # before a text
    read: Reading = "as_is"
    default: str | int | bool | None = None  # where there is none
    properties: Mapping[Name, Path | Taken] | None = None  # the path leads to a list: each item is mapped so


Value = Path | Taken
Properties = Annotated[Mapping[Name, Value], msgspec.Meta(max_length=limits.SOURCE_MAPPINGS)]
Names = Annotated[Mapping[Name, TypeId | None], msgspec.Meta(max_length=limits.SOURCE_MAPPINGS)]


class WebhookSettings(SourceSettings, frozen=True, kw_only=True):
    """A system that sends JSON of its own form."""

    auth: HeaderAuth | HmacAuth | StandardAuth = HeaderAuth()
    events: Path | None = None  # where the list of events is; null: the body is one event
    customer: Value = "customer"
    type: Value = "type"
    type_names: Names = msgspec.field(default_factory=dict)  # their name of a type → ours; null drops it
    unmapped: Literal["drop", "same_name"] = "same_name"  # names that `type_names` does not hold
    reference: Value | None = None  # null: the id of Standard Webhooks, else a hash of the event
    occurred_at: Value | None = None  # null: when it came
    properties: Properties | None = None  # null: what stands under "properties"
    filter: Filter | None = None

    def flaws(self) -> tuple[Problem, ...]:
        """A filter that says nothing, and mappings of lists within lists within lists."""
        found = (
            [Problem("/filter/when", "invalid_expression", text) for text in diagnose(self.filter)]
            if self.filter
            else []
        )
        if _depth(self.properties) > limits.PROPERTY_DEPTH:
            detail = f"Lists are mapped within each other at most {limits.PROPERTY_DEPTH} deep."
            found.append(Problem("/properties", "too_deep", detail))
        return tuple(found)


def _depth(properties: Mapping[str, Value] | None) -> int:
    if properties is None:
        return 0
    return 1 + max((_depth(value.properties) for value in properties.values() if isinstance(value, Taken)), default=0)
