"""Paths into JSON: a pointer (RFC 6901) as /lines/0/sku, or names with dots between them as lines.0.sku. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec

from troth import limits

Path = Annotated[str, msgspec.Meta(max_length=limits.IDENTIFIER_LENGTH)]


def at(value: object, path: str) -> object:
    """The value at `path`; None where there is none. The empty path is the whole."""
    for step in _steps(path):
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and step.isascii() and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def _steps(path: str) -> list[str]:
    if path.startswith("/"):
        return [step.replace("~1", "/").replace("~0", "~") for step in path[1:].split("/")]
    return path.split(".") if path else []
