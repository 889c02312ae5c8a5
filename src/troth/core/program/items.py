"""A program document as a set of items: what can be edited, compared and numbered one by one.

An item is `settings`, `orders`, one element of a list section (`rules/base`) or one tier level (`tiers/gold`); `tiers`
alone is what surrounds the levels. In: plain documents. Out: new ones; nothing is changed in place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

Document = Mapping[str, object]
Item = Mapping[str, object]

LIST_SECTIONS = ("wallets", "event_types", "rules", "segments", "automations", "rewards", "campaigns")
WHOLE_SECTIONS = ("settings", "orders")
TIERS = "tiers"
ITEM_SECTIONS = (*LIST_SECTIONS, TIERS)
_LEVELS = "levels"
_WHOLE_MAX = 2**53 - 1  # what every JSON reader holds exactly; larger numbers are kept as text


def plain_document(raw: object) -> dict[str, object]:
    """The document as it is stored: numbers as decimal text, empty fields and a `revision` once read along left out."""
    assert isinstance(raw, Mapping), "validated, or refused before"
    return {name: _plain(value) for name, value in raw.items() if value is not None and name != "revision"}


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, int) and abs(value) > _WHOLE_MAX:
        return str(value)
    if isinstance(value, Mapping):
        return {name: _plain(member) for name, member in value.items() if member is not None}
    if isinstance(value, list):
        return [_plain(member) for member in value]
    return value


def items_of(document: Document) -> dict[str, object]:
    """Every item by its key, in document order. A tiers section without levels is the item `tiers` alone."""
    found: dict[str, object] = {}
    for section, value in document.items():
        if section in LIST_SECTIONS:
            found |= {f"{section}/{item_id}": item for item_id, item in _by_id(value).items()}
        elif section == TIERS:
            found |= _tier_items(value)
        else:
            found[section] = value
    return found


def _tier_items(value: object) -> dict[str, object]:
    if not isinstance(value, Mapping):
        return {}
    frame = {name: member for name, member in value.items() if name != _LEVELS}
    found: dict[str, object] = {TIERS: frame} if frame else {}
    return found | {f"{TIERS}/{item_id}": item for item_id, item in _by_id(value.get(_LEVELS)).items()}


def _by_id(value: object) -> dict[str, Item]:
    elements = value if isinstance(value, list) else []
    return {str(item.get("id")): item for item in elements if isinstance(item, Mapping)}


def section_items(document: Document, section: str) -> dict[str, Item]:
    """The elements of a list section (or the levels of the tiers) by id, in document order."""
    value = document.get(section)
    if section == TIERS:
        return _by_id(value.get(_LEVELS)) if isinstance(value, Mapping) else {}
    return _by_id(value)


def item_index(document: Document, section: str, item_id: str) -> int | None:
    """Where an element stands in its list."""
    ids = list(section_items(document, section))
    return ids.index(item_id) if item_id in ids else None


def item_pointer(section: str, index: int) -> str:
    """JSON pointer of the element at `index` of a section."""
    return f"/{TIERS}/{_LEVELS}/{index}" if section == TIERS else f"/{section}/{index}"


def with_items(document: Document, section: str, items: Sequence[Item]) -> dict[str, object]:
    """The document with these elements in place of a section's. Levels are put in order of their thresholds."""
    if section != TIERS:
        return {**document, section: list(items)}
    tiers = document.get(TIERS)
    frame = dict(tiers) if isinstance(tiers, Mapping) else {}
    return {**document, TIERS: {**frame, _LEVELS: sorted(items, key=_threshold)}}


def _threshold(level: Item) -> int:
    """A level without a proper threshold goes last, where validation will name it."""
    value = level.get("from")
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return int(text) if text.isdecimal() and len(text) <= 20 else 1 << 70


def put_item(document: Document, section: str, item: Item) -> dict[str, object]:
    """The document with `item` in place of the one of its id, or at the end of its section."""
    items = section_items(document, section) | {str(item["id"]): item}
    return with_items(document, section, list(items.values()))


def remove_item(document: Document, section: str, item_id: str) -> dict[str, object]:
    items = section_items(document, section)
    return with_items(document, section, [item for known, item in items.items() if known != item_id])


def tiers_frame(document: Document) -> dict[str, object]:
    """The tiers section without its levels."""
    tiers = document.get(TIERS)
    return {name: value for name, value in tiers.items() if name != _LEVELS} if isinstance(tiers, Mapping) else {}


def with_tiers_frame(document: Document, frame: Item) -> dict[str, object]:
    """The document with other tier settings; the levels stay unless `frame` brings its own."""
    tiers = document.get(TIERS)
    levels = tiers.get(_LEVELS, []) if isinstance(tiers, Mapping) else []
    return {**document, TIERS: {_LEVELS: levels, **frame}}


def merge_patch(target: object, patch: object) -> object:
    """RFC 7396: null removes, mappings merge, everything else replaces."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged
