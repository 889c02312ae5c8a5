"""What differs between two program documents, item by item; and one set of changes applied to another document.

In: plain documents. Out: changes in the order of the newer document, removals last. Must never: depend on how a
document is laid out; only items, their fields and their order count.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from troth.core.program.items import (
    ITEM_SECTIONS,
    TIERS,
    Document,
    items_of,
    section_items,
    tiers_frame,
    with_items,
    with_tiers_frame,
)
from troth.core.program.problem import pointer_to

ChangeKind = Literal["added", "removed", "changed", "reordered"]
_ORDERED = ("/properties", "/of")  # mappings whose order is shown


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """One field of a changed item; None stands for absent."""

    pointer: str  # within the item
    old: object
    new: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    item: str  # rules/base, settings, tiers; a section's name alone when only its order changed
    kind: ChangeKind
    old: object  # None: absent; the ids in order when only the order changed
    new: object
    fields: tuple[FieldChange, ...] = ()  # of a changed item


def diff(old: Document, new: Document) -> tuple[Change, ...]:
    """Every item that was added, removed or changed, and every section whose order changed."""
    before, after = items_of(old), items_of(new)
    return (
        *(_change(item, before.get(item), value) for item, value in after.items() if _differ(before.get(item), value)),
        *(
            Change(item=item, kind="removed", old=value, new=None)
            for item, value in before.items()
            if item not in after
        ),
        *_reorderings(old, new),
    )


def _change(item: str, old: object, new: object) -> Change:
    if old is None:
        return Change(item=item, kind="added", old=None, new=new)
    return Change(item=item, kind="changed", old=old, new=new, fields=tuple(_field_changes("", old, new)))


def _field_changes(pointer: str, old: object, new: object) -> Iterator[FieldChange]:
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        if old != new:
            yield FieldChange(pointer=pointer, old=old, new=new)
        return
    for name in (*old, *(name for name in new if name not in old)):
        yield from _field_changes(pointer_to(pointer, name), old.get(name), new.get(name))
    if pointer.endswith(_ORDERED) and old.keys() == new.keys() and list(old) != list(new):
        yield FieldChange(pointer=pointer, old=list(old), new=list(new))


def _differ(old: object, new: object) -> bool:
    return next(_field_changes("", old, new), None) is not None


def _reorderings(old: Document, new: Document) -> Iterator[Change]:
    for section in ITEM_SECTIONS:
        before, after = list(section_items(old, section)), list(section_items(new, section))
        if section != TIERS and _kept(before, after) != _kept(after, before):
            yield Change(item=section, kind="reordered", old=before, new=after)


def _kept(ids: Iterable[str], others: list[str]) -> list[str]:
    known = set(others)
    return [item_id for item_id in ids if item_id in known]


def next_item_revisions(
    changes: Iterable[Change], document: Document, before: Mapping[str, int], number: int
) -> dict[str, int]:
    """item → revision of its last change, once `changes` are published as revision `number`."""
    touched = {change.item for change in changes}
    keys = [*items_of(document), *ITEM_SECTIONS]
    known = {key: number if key in touched else before.get(key) for key in keys}
    return {key: revision for key, revision in known.items() if revision is not None}


def conflicts(mine: Iterable[Change], theirs: Iterable[Change]) -> tuple[str, ...]:
    """Items that both sides touched, unless they made them equal."""
    others = {change.item: change for change in theirs}
    return tuple(
        change.item for change in mine if change.item in others and _differ(change.new, others[change.item].new)
    )


def apply_changes(changes: Iterable[Change], target: Document, source: Document) -> dict[str, object]:
    """`target` with the items that `changes` name as they are in `source`. Call it only without conflicts."""
    merged: dict[str, object] = dict(target)
    wanted = {change.item: change for change in changes}
    for section in ITEM_SECTIONS:
        touched = {item for item in wanted if item == section or item.startswith(f"{section}/")}
        if touched:
            merged = _merge_section(merged, source, section, wanted)
    for item, change in wanted.items():
        if "/" not in item and item not in ITEM_SECTIONS:
            merged = {name: value for name, value in merged.items() if name != item}
            merged |= {} if change.kind == "removed" else {item: change.new}
    if TIERS in wanted:
        merged = with_tiers_frame(merged, tiers_frame(source))
    return merged


def _merge_section(target: Document, source: Document, section: str, wanted: Mapping[str, Change]) -> dict[str, object]:
    ours, theirs = section_items(source, section), section_items(target, section)
    removed = {item_id for item_id in theirs if _kind(wanted, section, item_id) == "removed"}
    changed = {item_id: item for item_id, item in ours.items() if f"{section}/{item_id}" in wanted}
    items = {item_id: item for item_id, item in (theirs | changed).items() if item_id not in removed}
    is_ours = section in wanted and section != TIERS  # our order holds
    order = _interleave(list(ours), list(theirs)) if is_ours else _interleave(list(theirs), list(ours))
    return with_items(target, section, [items[item_id] for item_id in order if item_id in items])


def _kind(wanted: Mapping[str, Change], section: str, item_id: str) -> ChangeKind | None:
    change = wanted.get(f"{section}/{item_id}")
    return change.kind if change else None


def _interleave(first: list[str], second: list[str]) -> list[str]:
    """The order of `first`; what only `second` has comes right after what precedes it there."""
    order = list(first)
    for place, item_id in enumerate(second):
        if item_id not in order:
            after = order.index(second[place - 1]) + 1 if place else 0
            order.insert(after, item_id)
    return order
