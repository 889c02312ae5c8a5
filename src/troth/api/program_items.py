"""Single items of the program: event types, rules, tier levels, wallets, rewards and what later versions add.

Each write takes the live revision, changes one item, validates the whole and publishes the next revision. `If-Match` is
compared with the item's own last change, so editors of different items do not collide.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar, cast

from litestar import delete, get, patch, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from troth import limits
from troth.api.openapi import documented
from troth.api.pages import Cursor, Limit, page_size, read_place, show_place
from troth.api.problems import invalid, not_found
from troth.api.program import READ, WRITE, load_live_or_404
from troth.api.program_shapes import (
    EventTypeBody,
    EventTypeItem,
    ItemPage,
    RewardBody,
    RewardItem,
    RuleBody,
    RuleItem,
    TierBody,
    TierItem,
    TiersBody,
    TiersItem,
    WalletBody,
    WalletItem,
)
from troth.api.program_wire import (
    JSON_OR_YAML,
    ProgramRequest,
    answer,
    database_of,
    error_items,
    expected_revision,
    no_content,
    read_object,
    settle,
    signature_of,
)
from troth.core.program.document import validate_document
from troth.core.program.edit import (
    Edit,
    Publication,
    Unchanged,
    create_item,
    delete_item,
    patch_item,
    pointer_of,
    replace_item,
    replace_tiers_frame,
)
from troth.core.program.items import TIERS, section_items, tiers_frame
from troth.core.program.shown_types import show_event_type
from troth.store.programs import Revision, load_revision, publish

T = TypeVar("T", bound=Callable[..., object])
_TIERS = documented(body=TiersBody, media_types=JSON_OR_YAML, answers={200: TiersItem})
_READ_ALONG = ("revision", "warnings", "built_in")  # answers carry them; sent back, they mean nothing


async def _list(request: ProgramRequest, section: str, limit: int, cursor: str | None) -> ASGIResponse:
    live = await load_live_or_404(request)
    items = [_shown(live, section, item_id) for item_id in section_items(live.document, section)]
    if section == "event_types" and request.query_params.get("built_in") == "true":
        items += [show for show in _built_in(live) if show["id"] not in {item["id"] for item in items}]
    size, begin = page_size(limit), _begin(cursor, [str(item["id"]) for item in items])
    page = items[begin : begin + size]
    more = show_place((begin + size, str(page[-1]["id"]))) if begin + size < len(items) else None
    frame = {"revision": live.item_revisions.get(TIERS), **tiers_frame(live.document)} if section == TIERS else {}
    return answer({"items": page, "next": more, **frame})


def _begin(cursor: str | None, ids: list[str]) -> int:
    """Where the next page begins: behind the last item shown, or, if it is gone, where it stood."""
    if not cursor:
        return 0
    place, last = read_place(cursor, tuple[int, str])
    return ids.index(last) + 1 if last in ids else max(0, place - 1)


async def _read(request: ProgramRequest, section: str, item_id: str) -> ASGIResponse:
    live = await load_live_or_404(request)
    if item_id in section_items(live.document, section):
        return answer(_shown(live, section, item_id), revision=live.item_revisions[f"{section}/{item_id}"])
    shown = _built_in(live) if section == "event_types" else []
    built_in = next((show for show in shown if show["id"] == item_id), None)
    if built_in is None:
        raise not_found(section.rstrip("s").replace("_", " "), item_id)
    return answer(built_in)


def _shown(live: Revision, section: str, item_id: str) -> dict[str, object]:
    item = section_items(live.document, section)[item_id]
    return {**item, "revision": live.item_revisions[f"{section}/{item_id}"]}


def _built_in(live: Revision) -> list[dict[str, object]]:
    program = validate_document(live.document, revision=live.number).program
    assert program is not None, "published"
    declared = section_items(live.document, "event_types")
    undeclared = (known for known in program.event_types.values() if known.id not in declared)
    return [{**show_event_type(known), "built_in": True} for known in undeclared]


async def _create(request: ProgramRequest, section: str) -> ASGIResponse:
    item = await _item(request, None)
    return await _publish(request, create_item(section, item), (section, str(item["id"])), created=True)


async def _replace(request: ProgramRequest, section: str, item_id: str) -> ASGIResponse:
    item = await _item(request, item_id)
    edit = replace_item(section, item, expected=expected_revision(request))
    return await _publish(request, edit, (section, item_id))


async def _patch(request: ProgramRequest, section: str, item_id: str) -> ASGIResponse:
    item = await _item(request, item_id)
    edit = patch_item(section, item_id, item, expected=expected_revision(request))
    return await _publish(request, edit, (section, item_id))


async def _delete(request: ProgramRequest, section: str, item_id: str) -> ASGIResponse:
    edit = delete_item(section, item_id, expected=expected_revision(request))
    async with database_of(request).pool.acquire() as connection:
        settle(await publish(connection, edit, signature_of(request)), sent_item=True)
    return no_content()


async def _item(request: ProgramRequest, item_id: str | None) -> dict[str, object]:
    """The item of the body; its id is that of the address. Raises ProblemError."""
    body = await read_object(request)
    item = {name: value for name, value in body.items() if name not in _READ_ALONG}
    given = item.get("id", item_id)
    if not isinstance(given, str) or not given:
        raise invalid("/id", "required" if given is None else "type", "An item has an id, which is text.")
    if item_id is not None and given != item_id:
        raise invalid("/id", "id_mismatch", f"The address names {item_id!r}; an item keeps its id.")
    return {**item, "id": given}


async def _publish(
    request: ProgramRequest, edit: Edit, place: tuple[str, str], *, created: bool = False
) -> ASGIResponse:
    section, item_id = place
    async with database_of(request).pool.acquire() as connection:
        decision = await publish(connection, edit, signature_of(request, f"{section}/{item_id}"))
        settled = settle(decision, sent_item=True)
        stored = await load_revision(connection, settled.number)
    assert stored is not None, "published"
    shown = _shown(stored, section, item_id) | {"warnings": _warnings(settled, stored, place)}
    is_new = created or _is_new(settled, f"{section}/{item_id}")
    return answer(shown, status=201 if is_new else 200, revision=cast("int", shown["revision"]))


def _is_new(settled: Publication | Unchanged, item: str) -> bool:
    changes = settled.changes if isinstance(settled, Publication) else ()
    return any(change.item == item and change.kind == "added" for change in changes)


def _warnings(settled: Publication | Unchanged, stored: Revision, place: tuple[str, str]) -> object:
    """Those of this item; others were known before."""
    pointer = pointer_of(stored.document, *place)
    mine = [found for found in settled.warnings if pointer and f"{found.pointer}/".startswith(f"{pointer}/")]
    return error_items(mine, stored.document)


def _documents(body: object, item: object) -> tuple[dict[str, object], ...]:
    """What listing, reading, creating, replacing, changing and deleting say of themselves."""
    reads = partial(documented, body=body, media_types=JSON_OR_YAML)
    return (
        documented(answers={200: ItemPage[item]}),  # type: ignore[valid-type]
        documented(answers={200: item}),
        reads(answers={201: item}),
        reads(answers={200: item, 201: item}),
        reads(answers={200: item}),
        documented(answers={204: None}),
    )


def _item_handlers(path: str, section: str, nouns: tuple[str, str]) -> list[HTTPRouteHandler]:
    """The six endpoints of one section."""
    one, many = nouns
    tags = [many.replace("_", " ").capitalize()]

    async def list_items(
        request: ProgramRequest, limit: Limit = limits.PAGE_ITEMS_DEFAULT, cursor: Cursor = None
    ) -> ASGIResponse:
        return await _list(request, section, limit, cursor)

    async def read_item(request: ProgramRequest, item_id: FromPath[str]) -> ASGIResponse:
        return await _read(request, section, item_id)

    async def create(request: ProgramRequest) -> ASGIResponse:
        return await _create(request, section)

    async def replace(request: ProgramRequest, item_id: FromPath[str]) -> ASGIResponse:
        return await _replace(request, section, item_id)

    async def change(request: ProgramRequest, item_id: FromPath[str]) -> ASGIResponse:
        return await _patch(request, section, item_id)

    async def remove(request: ProgramRequest, item_id: FromPath[str]) -> ASGIResponse:
        return await _delete(request, section, item_id)

    noun, whole, single = one.replace("_", " "), f"/v1/{path}", f"/v1/{path}/{{item_id:str}}"
    listing, reading, creating, replacing, changing, deleting = _documents(*_SHAPES.get(section, (object, object)))
    reads = partial(get, tags=tags, guards=READ)
    posts, puts, patches, deletes = (partial(verb, tags=tags, guards=WRITE) for verb in (post, put, patch, delete))
    return [
        reads(whole, summary=f"List {many}", opt=listing)(_named(list_items, f"list_{many}")),
        posts(whole, summary=f"Create: {noun}", opt=creating)(_named(create, f"create_{one}")),
        reads(single, summary=f"Read: {noun}", opt=reading)(_named(read_item, f"read_{one}")),
        puts(single, summary=f"Replace or create: {noun}", opt=replacing)(_named(replace, f"replace_{one}")),
        patches(single, summary=f"Change: {noun}", opt=changing)(_named(change, f"change_{one}")),
        deletes(single, status_code=200, summary=f"Delete: {noun}", opt=deleting)(_named(remove, f"delete_{one}")),
    ]


def _named(function: T, name: str) -> T:
    """The name under which OpenAPI lists the operation."""
    function.__name__ = name
    return function


@put("/v1/tiers", tags=["Tiers"], summary="Replace basis and downgrade", guards=WRITE, opt=_TIERS)
async def replace_tiers(request: ProgramRequest) -> ASGIResponse:
    """The tier settings around the levels; the levels stay unless `levels` is sent. `If-Match` takes `revision`."""
    return await _frame(request, merge=False)


@patch("/v1/tiers", tags=["Tiers"], summary="Change basis and downgrade", guards=WRITE, opt=_TIERS)
async def change_tiers(request: ProgramRequest) -> ASGIResponse:
    """The same, merged (RFC 7396)."""
    return await _frame(request, merge=True)


async def _frame(request: ProgramRequest, *, merge: bool) -> ASGIResponse:
    body: Mapping[str, object] = await read_object(request)
    frame = {name: value for name, value in body.items() if name not in (*_READ_ALONG, "items", "next")}
    edit = replace_tiers_frame(frame, expected=expected_revision(request), merge=merge)
    async with database_of(request).pool.acquire() as connection:
        settled = settle(await publish(connection, edit, signature_of(request, TIERS)), sent_item=True)
        stored = await load_revision(connection, settled.number)
    assert stored is not None, "published"
    revision = stored.item_revisions.get(TIERS)
    return answer({"revision": revision, **tiers_frame(stored.document)}, revision=revision)


_SHAPES: Mapping[str, tuple[object, object]] = {
    "event_types": (EventTypeBody, EventTypeItem),
    "rules": (RuleBody, RuleItem),
    "tiers": (TierBody, TierItem),
    "wallets": (WalletBody, WalletItem),
    "rewards": (RewardBody, RewardItem),
}
_SECTIONS = (
    ("event-types", "event_types", ("event_type", "event_types")),
    ("rules", "rules", ("rule", "rules")),
    ("tiers", "tiers", ("tier", "tiers")),
    ("wallets", "wallets", ("wallet", "wallets")),
    ("segments", "segments", ("segment", "segments")),
    ("automations", "automations", ("automation", "automations")),
    ("rewards", "rewards", ("reward", "rewards")),
)

HANDLERS = [
    *(handler for path, section, nouns in _SECTIONS for handler in _item_handlers(path, section, nouns)),
    replace_tiers,
    change_tiers,
]
