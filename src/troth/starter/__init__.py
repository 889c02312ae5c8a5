"""The starter program: what a new installation begins with, and what `program.yaml` beside this file says."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from troth.core.program.text import parse_document


def starter_text() -> str:
    """The starter program as YAML, comments included."""
    return files(__package__).joinpath("program.yaml").read_text(encoding="utf-8")


@cache
def starter_document() -> object:
    """The starter program as a document, to publish where there is none. Not to be changed."""
    parsed = parse_document(starter_text())
    assert not parsed.problems, parsed.problems
    return parsed.raw
