"""Edits of the live program, decided without a database: live revision + edit → the next one, or why not.

In: the live revision as it is under the lock, and one edit. Out: a `Publication` to store, `Unchanged`, or a refusal.
Must never: publish a document that does not validate whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from troth.core.program import Program
from troth.core.program.diff import Change, apply_changes, conflicts, diff, next_item_revisions
from troth.core.program.document import validate_document
from troth.core.program.items import (
    ITEM_SECTIONS,
    TIERS,
    Document,
    Item,
    item_index,
    item_pointer,
    merge_patch,
    plain_document,
    put_item,
    remove_item,
    section_items,
    tiers_frame,
    with_tiers_frame,
)
from troth.core.program.problem import NOWHERE, Positions, ProgramProblem


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What an edit is judged against."""

    number: int  # 0: nothing was published yet
    document: Document
    item_revisions: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    number: int
    document: Document
    item_revisions: Mapping[str, int]
    program: Program
    changes: tuple[Change, ...]
    warnings: tuple[ProgramProblem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unchanged:
    """The edit changes nothing; the live revision stays."""

    number: int
    warnings: tuple[ProgramProblem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale:
    """The live program changed the same items since the editor looked."""

    items: tuple[str, ...]
    live: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    item: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exists:
    item: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Invalid:
    """At least one error; the live program stays as it is."""

    problems: tuple[ProgramProblem, ...]
    document: Document  # what they were found in


Refusal = Stale | Missing | Exists | Invalid
Edit = Callable[[Live], "Document | Refusal"]
Decision = Publication | Unchanged | Refusal


def decide(live: Live, edit: Edit, *, positions: Positions = NOWHERE) -> Decision:
    """The next revision after `edit`, validated whole. `positions` belong to the text the edit came from."""
    edited = edit(live)
    if isinstance(edited, Refusal):
        return edited
    number = live.number + 1
    validated = validate_document(edited, revision=number, positions=positions)
    if validated.program is None:
        return Invalid(problems=validated.problems, document=edited)
    document = plain_document(edited)
    changes = diff(live.document, document)
    if live.number and not changes:
        return Unchanged(number=live.number, warnings=validated.warnings)
    item_revisions = next_item_revisions(changes, document, live.item_revisions, number)
    return Publication(
        number=number,
        document=document,
        item_revisions=item_revisions,
        program=replace(validated.program, item_revisions=item_revisions),
        changes=changes,
        warnings=validated.warnings,
    )


def replace_document(raw: object, *, expected: int | None = None) -> Edit:
    """Put `raw` in place of the whole program; Stale unless revision `expected` (if given) is live."""

    def edit(live: Live) -> Document | Refusal:
        if expected is not None and expected != live.number:
            return Stale(items=(), live=live.number)
        if isinstance(raw, Mapping):
            return raw
        return Invalid(problems=validate_document(raw, revision=0).problems, document={})

    return edit


def create_item(section: str, item: Item) -> Edit:
    """Add an item that is not there yet."""

    def edit(live: Live) -> Document | Refusal:
        item_id = str(item["id"])
        if item_id in section_items(live.document, section):
            return Exists(item=f"{section}/{item_id}")
        return put_item(live.document, section, item)

    return edit


def replace_item(section: str, item: Item, *, expected: int | None = None) -> Edit:
    """Put an item in place of the one of its id, or add it."""

    def edit(live: Live) -> Document | Refusal:
        return _stale_item(live, f"{section}/{item['id']}", expected) or put_item(live.document, section, item)

    return edit


def patch_item(section: str, item_id: str, patch: Item, *, expected: int | None = None) -> Edit:
    """Merge into an item that is there (RFC 7396). Its id stays."""

    def edit(live: Live) -> Document | Refusal:
        before = section_items(live.document, section).get(item_id)
        if before is None:
            return Missing(item=f"{section}/{item_id}")
        merged = merge_patch(before, {**patch, "id": item_id})
        assert isinstance(merged, dict)
        return _stale_item(live, f"{section}/{item_id}", expected) or put_item(live.document, section, merged)

    return edit


def delete_item(section: str, item_id: str, *, expected: int | None = None) -> Edit:
    """Take an item away. What still refers to it makes the result invalid."""

    def edit(live: Live) -> Document | Refusal:
        if item_id not in section_items(live.document, section):
            return Missing(item=f"{section}/{item_id}")
        stale = _stale_item(live, f"{section}/{item_id}", expected)
        return stale or remove_item(live.document, section, item_id)

    return edit


def replace_tiers_frame(frame: Item, *, expected: int | None = None, merge: bool = False) -> Edit:
    """Other basis and downgrade around the same levels; `merge` patches instead (RFC 7396)."""

    def edit(live: Live) -> Document | Refusal:
        whole = merge_patch(tiers_frame(live.document), frame) if merge else frame
        assert isinstance(whole, Mapping)
        return _stale_item(live, TIERS, expected) or with_tiers_frame(live.document, whole)

    return edit


def merge_draft(base: Document, draft: Document) -> Edit:
    """The draft's changes since its base, on top of what is live now; Stale when both touched one item."""

    def edit(live: Live) -> Document | Refusal:
        mine, theirs = diff(base, draft), diff(base, live.document)
        if not theirs:
            return draft
        if touched := conflicts(mine, theirs):
            return Stale(items=touched, live=live.number)
        return apply_changes(mine, live.document, draft)

    return edit


def _stale_item(live: Live, item: str, expected: int | None) -> Stale | None:
    if expected is None or live.item_revisions.get(item) == expected:
        return None
    return Stale(items=(item,), live=live.number)


def within_item(problem: ProgramProblem, document: Document) -> tuple[str | None, str]:
    """The item a problem is in and its pointer within that item; (None, whole pointer) outside of items."""
    section, _, rest = problem.pointer.removeprefix("/").partition("/")
    if section == TIERS:
        rest = rest.removeprefix("levels/")
    index, _, inner = rest.partition("/")
    if section not in ITEM_SECTIONS or not index.isdecimal():
        return None, problem.pointer
    ids = list(section_items(document, section))
    if int(index) >= len(ids):
        return None, problem.pointer
    return f"{section}/{ids[int(index)]}", f"/{inner}" if inner else ""


def pointer_of(document: Document, section: str, item_id: str) -> str | None:
    index = item_index(document, section, item_id)
    return None if index is None else item_pointer(section, index)
