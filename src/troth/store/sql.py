"""Named SQL statements: reads `NAME.sql` beside this file → {name: statement}.

A statement begins with `-- name: some_name` and one comment line that says why; its parameters are $1, $2, …
Nothing is ever put into a statement's text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

_FOLDER = Path(__file__).parent
_HEAD = re.compile(r"^-- name: ([a-z][a-z0-9_]*)\n(-- \S.*\n)", re.MULTILINE)


def load(file_name: str) -> Mapping[str, str]:
    """All statements of one file by name; ValueError for a name given twice or a head without its why-line."""
    return MappingProxyType(parse((_FOLDER / file_name).read_text(encoding="utf-8"), file_name))


def parse(text: str, file_name: str) -> dict[str, str]:
    heads = list(_HEAD.finditer(text))
    if len(heads) != text.count("-- name:"):
        raise ValueError(f"{file_name}: every `-- name: x` stands alone on its line, with a why-line below it")
    statements: dict[str, str] = {}
    for head, following in zip(heads, [*heads[1:], None], strict=True):
        if head[1] in statements:
            raise ValueError(f"{file_name}: two statements are named {head[1]}")
        statements[head[1]] = text[head.end() : following.start() if following else None].strip().rstrip(";")
    return statements
