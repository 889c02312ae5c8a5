"""Form-encoded events: `a=1&properties[items][0][price]=200` → the same plain values as JSON.

In: the bytes of an application/x-www-form-urlencoded body. Out: a `Document` whose scalars are all text; the event
type's schema gives them their types. A field `properties` (or `data`) without brackets holds JSON text.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from troth import limits
from troth.entry.json_text import Document, Flaw, JsonReader, UnreadableError, find_flaws, pointer_to

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_STEP = re.compile(r"\[([^\[\]]*)\]")
_JSON_FIELDS = frozenset({"properties", "data"})

Tree = dict[str, object]  # texts, and trees; lists are trees whose names count from 0 until `_settle`


def read_form(raw: bytes, reader: JsonReader) -> Document:
    """The fields of `raw` as one object. Raises UnreadableError."""
    tree: Tree = {}
    flaws: list[Flaw] = []
    for name, text in _fields(raw):
        flaw = _place(tree, _path(name), text)
        if flaw is not None:
            flaws.append(flaw)
    value = {name: _settle(branch) for name, branch in tree.items()}
    flaws.extend(find_flaws(value))
    for name in _JSON_FIELDS & value.keys():
        value[name], found = _json_field(name, value[name], reader)
        flaws.extend(found)
    return Document(value=value, flaws=tuple(flaws[: limits.PROBLEMS_PER_EVENT]))


def _fields(raw: bytes) -> list[tuple[str, str]]:
    if not raw.strip():
        raise UnreadableError("empty_body", "The body is empty; form fields are expected.")
    try:
        text = raw.decode("ascii")
        return parse_qsl(
            text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=limits.FORM_FIELDS
        )
    except UnicodeDecodeError:
        raise UnreadableError("invalid_utf8", "Form bodies are percent-encoded UTF-8.") from None
    except ValueError:
        detail = f"The body is no form of at most {limits.FORM_FIELDS} fields name=value."
        raise UnreadableError("invalid_form", detail) from None


def _path(name: str) -> list[str]:
    """`data[items][0][price]` → data, items, 0, price."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise UnreadableError("invalid_form", "Field names look like properties[items][0][price].")
    return [match[1], *_STEP.findall(match[2])]


def _place(tree: Tree, path: list[str], text: str) -> Flaw | None:
    """Puts `text` at its path; `[]` appends. Says so when the path is too deep or taken."""
    pointer = ""
    if len(path) > limits.NESTING_DEPTH:
        return Flaw(pointer=pointer_to("", path[0]), code="too_deep", detail="Fields nest too deep here.")
    for step in path[:-1]:
        name = step or str(len(tree))
        pointer = pointer_to(pointer, name)
        branch = tree.setdefault(name, {})
        if not isinstance(branch, dict):
            return _taken(pointer)
        tree = branch
    name = path[-1] or str(len(tree))
    pointer = pointer_to(pointer, name)
    if name in tree:
        return _taken(pointer)
    tree[name] = text
    return None


def _taken(pointer: str) -> Flaw:
    return Flaw(pointer=pointer, code="duplicate_key", detail="This field is given more than once.")


def _settle(branch: object) -> object:
    """Trees named 0, 1, 2, … in any order become lists."""
    if not isinstance(branch, dict):
        return branch
    settled = {name: _settle(value) for name, value in branch.items()}
    numbers = [str(number) for number in range(len(settled))]
    if settled.keys() == set(numbers):
        return [settled[number] for number in numbers]
    return settled


def _json_field(name: str, value: object, reader: JsonReader) -> tuple[object, tuple[Flaw, ...]]:
    if not isinstance(value, str):
        return value, ()
    try:
        document = reader.read(value.encode(), depth=limits.NESTING_DEPTH - 1)
    except UnreadableError as error:
        return value, (Flaw(pointer=f"/{name}", code=error.code, detail=error.detail),)
    found = tuple(Flaw(pointer=f"/{name}{flaw.pointer}", code=flaw.code, detail=flaw.detail) for flaw in document.flaws)
    return document.value, found
