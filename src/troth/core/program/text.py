"""YAML or JSON text → the plain values of a program document, with the place of every value.

In: text. Out: dicts, lists, text, int, Decimal, bool and None, and positions by JSON pointer (YAML only).
Must never: execute anything, or let a float, a lost duplicate key or an unbounded number through.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from troth import limits
from troth.core.program.json_text import JsonReader
from troth.core.program.problem import NOWHERE, Positions, Problems, ProgramProblem, UnreadableTextError
from troth.core.program.yaml_text import YamlReader

TextFormat = Literal["yaml", "json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedText:
    raw: object
    positions: Positions
    problems: tuple[ProgramProblem, ...]  # what the text itself gets wrong: syntax, duplicate keys, odd tags
    readable: bool  # False: there is no document at all; `raw` is None


def parse_document(text: str, text_format: TextFormat = "yaml") -> ParsedText:
    """The values of `text` and everything wrong with it as a text. An empty text is an empty document."""
    problems = Problems()
    bound = limits.PROGRAM_BYTES if text_format == "json" else limits.PROGRAM_YAML_BYTES
    if len(text.encode("utf-8", "replace")) > bound:
        problems.error("", "too_long", f"a program may have at most {bound} bytes")
        return ParsedText(raw=None, positions=NOWHERE, problems=problems.listed(), readable=False)
    reader = JsonReader(text, problems) if text_format == "json" else YamlReader(text, problems)
    try:
        raw = reader.document()
    except UnreadableTextError:
        return ParsedText(raw=None, positions=NOWHERE, problems=problems.listed(), readable=False)
    positions = reader.positions()
    return ParsedText(raw=raw, positions=positions, problems=problems.listed(positions), readable=True)
