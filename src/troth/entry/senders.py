"""From what a sender gave to raw events: fields by their names and synonyms, and what is known of the sender.

In: a readable document, the headers, the caller. Out: RawEvents; pointers in problems as the sender wrote the fields.
Must never: judge an event. The pipeline does, for all doors alike.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import msgspec
from litestar.types import Scope

from troth import limits
from troth.api.auth import Caller, client_address
from troth.api.problems import ErrorItem
from troth.api.signatures import Replays, verify
from troth.core.coercion import Problem
from troth.pipeline.outcome import RawEvent

Fields = Mapping[str, object]
Headers = Mapping[bytes, bytes]

_SYNONYMS = {"type": "action", "properties": "data"}  # ours → Antavo's


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a request beside its body."""

    source: str
    source_detail: str  # the key's name
    ip: str | None
    user_agent: str | None
    is_signed: bool
    is_client: bool
    scopes: frozenset[str] | None
    reference: str | None  # for events that name none
    reference_header: str | None  # where it came from


def sender_of(scope: Scope, headers: Headers, caller: Caller, signed_id: str | None) -> Sender:
    """The sender of a request; `signed_id` is its verified message id, None when it was not signed."""
    reference, header = _reference(headers, caller, signed_id)
    user_agent = headers.get(b"user-agent")
    return Sender(
        source="client" if caller.is_publishable else "api",
        source_detail=caller.name,
        ip=client_address(scope),
        user_agent=user_agent[: limits.USER_AGENT_LENGTH].decode("latin-1") if user_agent else None,
        is_signed=signed_id is not None,
        is_client=caller.is_publishable,
        scopes=caller.permits,
        reference=reference,
        reference_header=header,
    )


def signed_id(headers: Headers, body: bytes, caller: Caller, replays: Replays) -> str | None:
    """The id of a request signed with the key's own secret, or None. Raises ProblemError when the signature is bad."""
    if b"webhook-signature" not in headers or caller.signing_secret is None:
        return None
    return verify(caller.signing_secret, headers, body, now=int(time.time()), replays=replays)


def raw_event(fields: Fields, sender: Sender, index: int | None = None) -> RawEvent:
    """One event as its sender wrote it; `index` tells apart events of a bulk that share the sender's reference."""
    rest = dict(fields)
    customer = rest.pop("customer", None)
    type_id = rest.pop("type" if "type" in rest else "action", None)
    properties = rest.pop("properties" if "properties" in rest else "data", None)
    reference = rest.pop("reference", None)
    occurred_at = rest.pop("occurred_at", None)
    if reference is None and sender.reference is not None:
        reference = sender.reference if index is None else f"{sender.reference}:{index}"
    return RawEvent(
        customer=customer,
        type=type_id,
        reference=reference,
        occurred_at=occurred_at,
        properties={} if properties is None else properties,
        source=sender.source,
        source_detail=sender.source_detail,
        ip=sender.ip,
        user_agent=sender.user_agent,
        is_signed=sender.is_signed,
        is_client=sender.is_client,
        scopes=sender.scopes,
        extra=rest,
    )


def error_items(problems: tuple[Problem, ...], fields: Fields, sender: Sender) -> tuple[ErrorItem, ...]:
    """The pipeline's problems, with pointers to the fields as the sender named them."""
    return tuple(
        ErrorItem(pointer=_pointer(problem.pointer, fields, sender), code=problem.code, detail=problem.detail)
        for problem in problems
    )


def _pointer(pointer: str, fields: Fields, sender: Sender) -> str:
    top, slash, rest = pointer[1:].partition("/")
    if top == "reference" and fields.get("reference") is None and sender.reference_header is not None:
        return f"/header/{sender.reference_header}"
    synonym = _SYNONYMS.get(top)
    if synonym is not None and synonym in fields and top not in fields:
        return f"/{synonym}{slash}{rest}"
    return pointer


def _reference(headers: Headers, caller: Caller, signed: str | None) -> tuple[str | None, str | None]:
    """A signed request without another reference has its signed id: so a replay has no second effect, anywhere."""
    key = headers.get(b"idempotency-key")
    if key is not None:
        return _header_text(key), "idempotency-key"
    return (f"signed:{caller.key_id}:{signed}", "webhook-id") if signed is not None else (None, None)


def _header_text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
