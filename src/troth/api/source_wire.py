"""Sources on the wire: bodies → what is asked, each field checked; rows and counters → what answers show.

Must never: show a secret, but in the answer that made it.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, cast

import msgspec

from troth import limits
from troth.api.json_bodies import read_object
from troth.api.problems import ErrorItem, faulty, invalid
from troth.core.coercion import Problem, escape
from troth.core.sources.kinds import KINDS, Kind
from troth.core.sources.settings import SourceSettings, read_settings
from troth.store.sources import Counts, SourceError, SourceRow

_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_SECRET_BYTES = 20

KindName = Literal["segment", "shopify", "woocommerce", "webhook", "antavo"]


class SourceBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A source to create."""

    id: str  # a-z, 0-9, _ and -, at most 64 characters; events name it in `source_detail`
    kind: KindName
    name: str
    settings: Mapping[str, object] = {}  # of its kind
    enabled: bool = True
    secrets: Mapping[str, str] = {}  # those that the other side has chosen; the rest is generated


class SourceChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What changes of a source. Settings are merged; null takes one back to its default."""

    name: str | None = None
    settings: Mapping[str, object] = {}
    enabled: bool | None = None


class RotationBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """New secrets."""

    overlap_seconds: int = 86_400  # how long the secrets until now are accepted besides
    secrets: Mapping[str, str] = {}  # those that the other side has chosen; the rest is generated


class SourceItem(msgspec.Struct, frozen=True, kw_only=True):
    """A source, and what came through it."""

    id: str
    kind: KindName
    name: str
    enabled: bool
    settings: Mapping[str, object]  # defaults included
    made_at: datetime
    changed_at: datetime
    previous_until: datetime | None  # until when the secrets before the last rotation are accepted
    received: int  # events
    accepted: int
    duplicates: int
    refused: int
    dropped: int
    waiting: int
    unsigned: int  # requests with a wrong secret or signature
    last_received_at: datetime | None
    errors: tuple[SourceError, ...]  # the newest, newest first


class NewSource(SourceItem, frozen=True, kw_only=True):
    """A source whose secrets are shown, this once."""

    secrets: Mapping[str, str]


class SourcePage(msgspec.Struct, frozen=True, kw_only=True):
    items: tuple[SourceItem, ...]
    next: str | None


class WaitingItem(msgspec.Struct, frozen=True, kw_only=True):
    """Something that waits for what it lacks."""

    id: str
    key: str | None  # what it waits for; null for keys without customers:read
    received_at: datetime
    expires_at: datetime
    payload: object  # as it came in; null for keys without customers:read


class WaitingPage(msgspec.Struct, frozen=True, kw_only=True):
    items: tuple[WaitingItem, ...]  # newest first
    next: str | None


def read_fields(body: bytes, known: type[msgspec.Struct]) -> dict[str, object]:
    """The body's fields, each of them known. Raises ProblemError."""
    document = read_object(body)
    names = [field.encode_name for field in msgspec.structs.fields(known)]
    detail = f"Known fields are {', '.join(names)}."
    refuse([Problem(f"/{escape(name)}", "unknown_field", detail) for name in document if name not in names])
    if b"\\u0000" in body:
        raise invalid("", "nul_character", "Text may not contain the NUL character.")
    return document


def asked_source(body: bytes) -> SourceBody:
    """A sound source to create. Raises ProblemError with every problem."""
    document = read_fields(body, SourceBody)
    problems: list[Problem] = []
    if not isinstance(document.get("id"), str) or not _ID.fullmatch(cast("str", document["id"])):
        problems.append(Problem("/id", "invalid_id", "An id has 1 to 64 of a-z, 0-9, _ and -, as web-shop."))
    kind = document.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        problems.append(Problem("/kind", "invalid_kind", f"Kinds are {', '.join(KINDS)}."))
        refuse(problems)
    problems += _name_problems(document.get("name"))
    problems += _switch_problems(document)
    settings = _object(document, "settings", problems)
    problems += _settings_problems(cast("Kind", kind), settings)
    given = _object(document, "secrets", problems)
    problems += secret_problems(cast("Kind", kind), given)
    refuse(problems)
    return msgspec.convert(document, type=SourceBody)


def changed_source(row: SourceRow, body: bytes) -> SourceRow:
    """The source as it shall be. Raises ProblemError with every problem."""
    document = read_fields(body, SourceChange)
    problems = _name_problems(document["name"]) if "name" in document else []
    problems += _switch_problems(document)
    changes = _object(document, "settings", problems)
    merged = {name: value for name, value in {**row.settings, **changes}.items() if value is not None}
    problems += _settings_problems(row.kind, merged) or _secrecy_problems(row, merged)
    refuse(problems)
    named = {name: document[name] for name in ("name", "enabled") if name in document}
    return msgspec.structs.replace(row, settings=merged, **named)


def asked_rotation(row: SourceRow, body: bytes) -> RotationBody:
    """Raises ProblemError with every problem."""
    document = read_fields(body, RotationBody)
    problems: list[Problem] = []
    seconds = document.get("overlap_seconds", 0)
    if type(seconds) is not int or not 0 <= seconds <= limits.SOURCE_OVERLAP_SECONDS:
        detail = f"An overlap lasts 0 to {limits.SOURCE_OVERLAP_SECONDS} seconds."
        problems.append(Problem("/overlap_seconds", "out_of_range", detail))
    problems += secret_problems(row.kind, _object(document, "secrets", problems))
    refuse(problems)
    return msgspec.convert(document, type=RotationBody)


def complete_secrets(kind: Kind, given: Mapping[str, str]) -> dict[str, str]:
    """Every secret of the kind: as given, else a new one."""
    return {name: given.get(name) or secrets.token_hex(_SECRET_BYTES) for name in KINDS[kind].secrets}


def secret_problems(kind: Kind, given: Mapping[str, object]) -> list[Problem]:
    """What is wrong with secrets that were chosen elsewhere."""
    known = KINDS[kind].secrets
    found = []
    for name, value in given.items():
        pointer = f"/secrets/{escape(name)}"
        if name not in known:
            found.append(Problem(pointer, "unknown_field", f"This kind has the secrets {', '.join(known)}."))
        elif not isinstance(value, str) or not 1 <= len(value) <= limits.SOURCE_SECRET_LENGTH or not value.isascii():
            detail = f"A secret is ASCII text of 1 to {limits.SOURCE_SECRET_LENGTH} characters."
            found.append(Problem(pointer, "invalid_secret", detail))
    return found


def shown_source(row: SourceRow, counts: Counts) -> SourceItem:
    """The source as answers show it."""
    settings = read_settings(KINDS[row.kind].settings, row.settings)
    shown = msgspec.to_builtins(settings) if isinstance(settings, SourceSettings) else row.settings
    return SourceItem(
        id=row.id,
        kind=row.kind,
        name=row.name,
        enabled=row.enabled,
        settings=shown,
        made_at=row.made_at,
        changed_at=row.changed_at,
        previous_until=row.previous_until,
        **{**msgspec.structs.asdict(counts), "errors": tuple(counts.errors)},
    )


def refuse(problems: Sequence[Problem]) -> None:
    """Raises ProblemError 422 when there are any."""
    if not problems:
        return
    items = [ErrorItem(pointer=found.pointer, code=found.code, detail=found.detail) for found in problems]
    raise faulty("source", items)


def _name_problems(name: object) -> list[Problem]:
    is_sound = isinstance(name, str) and 1 <= len(name) <= limits.SOURCE_NAME_LENGTH and "\0" not in name
    detail = f"A name has 1 to {limits.SOURCE_NAME_LENGTH} characters."
    return [] if is_sound else [Problem("/name", "invalid_name", detail)]


def _switch_problems(document: Mapping[str, object]) -> list[Problem]:
    is_sound = isinstance(document.get("enabled", True), bool)
    return [] if is_sound else [Problem("/enabled", "type", "'enabled' is true or false.")]


def _settings_problems(kind: Kind, settings: Mapping[str, object]) -> list[Problem]:
    found = read_settings(KINDS[kind].settings, settings)
    if isinstance(found, SourceSettings):
        found = found.flaws()
    return [Problem(f"/settings{problem.pointer}", problem.code, problem.detail) for problem in found]


def _secrecy_problems(row: SourceRow, merged: Mapping[str, object]) -> list[Problem]:
    """A secret that was public does not become one of servers: who has it would send as they do."""
    before, after = (read_settings(KINDS[row.kind].settings, settings) for settings in (row.settings, merged))
    was_public = isinstance(before, SourceSettings) and before.is_public
    if not was_public or not isinstance(after, SourceSettings) or after.is_public:
        return []
    detail = "Pages have this source's write key, so it stays public; make another source for servers."
    return [Problem("/settings/browsers", "key_is_public", detail)]


def _object(document: Mapping[str, object], name: str, problems: list[Problem]) -> dict[str, object]:
    value = document.get(name, {})
    if isinstance(value, dict):
        return value
    problems.append(Problem(f"/{name}", "type", f"'{name}' is an object."))
    return {}
