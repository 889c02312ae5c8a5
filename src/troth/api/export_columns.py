"""What an export holds of each row: columns by kind, with one column per property where one event type is asked for.

In: the kind, and the declared properties of the event type. Out: columns in their order. The names of what Troth itself
recorded of an event begin with `troth_`, so that the importer knows them from the sender's and leaves them out.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from troth.core.program import EventType, Property

ExportKind = Literal["events", "customers", "postings", "orders"]
ExportFormat = Literal["csv", "ndjson", "parquet"]
ColumnKind = Literal["text", "integer", "decimal", "boolean", "date", "time", "json"]
PROPERTY = "properties."
_OF_PROPERTY: dict[str, ColumnKind] = {
    "number": "decimal",
    "text": "text",
    "boolean": "boolean",
    "date": "date",
    "datetime": "time",
    "list": "json",
    "object": "json",
}


class Column(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    name: str
    kind: ColumnKind
    places: int | None = None  # of a declared number; None: as many as the value has


def _columns(kind: ColumnKind, *names: str) -> tuple[Column, ...]:
    return tuple(Column(name=name, kind=kind) for name in names)


_SENT = (*_columns("text", "customer", "type", "reference"), *_columns("time", "occurred_at"))
_PROPERTIES = _columns("json", "properties")
_RECORDED = (
    *_columns("text", "troth_id"),
    *_columns("time", "troth_recorded_at"),
    *_columns("integer", "troth_seq", "troth_points"),
    *_columns("json", "troth_awards", "troth_wallets"),
    *_columns("text", "troth_tier", "troth_outcome"),
    *_columns("integer", "troth_revision"),
    *_columns("text", "troth_source", "troth_source_detail", "troth_actor"),
    *_columns("boolean", "troth_signed"),
    *_columns("text", "troth_parent"),
    *_columns("integer", "troth_depth"),
    *_columns("json", "troth_warnings"),
)
_RECORDED_PERSONAL = _columns("text", "troth_ip", "troth_user_agent")
RECORDED_NAMES = frozenset(column.name for column in (*_RECORDED, *_RECORDED_PERSONAL))

_CUSTOMERS = (
    *_columns("text", "customer", "id"),
    *_columns("time", "created_at", "last_activity_at"),
    *_columns("text", "tier"),
    *_columns("time", "tier_since"),
    *_columns("json", "tags", "attributes", "wallets", "events"),
    *_columns("integer", "orders", "seq"),
)
_POSTINGS = (
    *_columns("text", "id", "event", "customer"),
    *_columns("integer", "seq"),
    *_columns("time", "occurred_at", "recorded_at"),
    *_columns("text", "wallet", "from_state", "to_state"),
    *_columns("integer", "points"),
    *_columns("boolean", "qualifying"),
    *_columns("text", "reason", "rule"),
    *_columns("decimal", "base", "multiplier"),
    *_columns("text", "cap", "lot", "order"),
    *_columns("time", "earned_at", "expires_at"),
)
_ORDERS = (
    *_columns("text", "order_id", "customer", "event", "type"),
    *_columns("time", "opened_at"),
    *_columns("text", "status"),
    *_columns("time", "accepted_at", "decides_at", "content_at"),
    *_columns("integer", "points", "burned"),
    *_columns("json", "content", "awards"),
)
_OTHERS = {"customers": _CUSTOMERS, "postings": _POSTINGS, "orders": _ORDERS}


def columns_of(
    kind: ExportKind, export_format: ExportFormat, event_type: EventType | None, *, personal: bool
) -> tuple[Column, ...]:
    """Every column there is. `event_type`: the one that is asked for; NDJSON shows its properties as one object."""
    if kind != "events":
        return _OTHERS[kind]
    is_flat = event_type is not None and export_format != "ndjson"
    fields = [field for field in event_type.properties if personal or not field.pii] if is_flat and event_type else []
    recorded = (*_RECORDED, *_RECORDED_PERSONAL) if personal else _RECORDED
    return (*_SENT, *map(_property_column, fields), *_PROPERTIES, *recorded)


def _property_column(field: Property) -> Column:
    places = field.places if field.kind == "number" else None
    return Column(name=PROPERTY + field.name, kind=_OF_PROPERTY[field.kind], places=places)
