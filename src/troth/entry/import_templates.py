"""Templates of imports: options under a name, so that a file of a known kind needs no mapping any more.

In: options as an import takes them. Out: the same, by name. An import keeps the options it began with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec
from litestar import delete, get, post, put
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from troth import limits
from troth.api.answers import Answer
from troth.api.auth import caller_of, requires
from troth.api.event_wire import encode
from troth.api.imports import TAGS
from troth.api.openapi import documented
from troth.api.pages import Cursor, Limit, cut, page_size, read_place, show_place
from troth.api.problems import ProblemError, invalid, not_found
from troth.api.reading import reading_of
from troth.core.calendar import show_time
from troth.entry.events import EventRequest
from troth.entry.import_options import ImportOptions
from troth.entry.import_request import read_object, read_options
from troth.store.import_templates import (
    Template,
    count_templates,
    drop_template,
    find_template,
    put_template,
    template_page,
)

_READ = [requires("imports:read")]
_WRITE = [requires("imports:write")]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


class TemplateBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A template to create."""

    name: str  # letters, digits, - _ and .
    options: ImportOptions


class TemplateItem(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    options: Mapping[str, object]
    created_by: str
    created_at: str
    updated_at: str


class TemplatePage(msgspec.Struct, frozen=True, kw_only=True):
    items: tuple[TemplateItem, ...]  # by name
    next: str | None


_EXAMPLE = {"delimiter": ";", "mapping": {"Kunde": "customer", "Betrag": "properties.amount"}, "type": "purchase"}
_POST = documented(body=TemplateBody, example={"name": "till", "options": _EXAMPLE}, answers={201: TemplateItem})
_PUT = documented(body=ImportOptions, example=_EXAMPLE, answers={200: TemplateItem, 201: TemplateItem})
_LIST = documented(answers={200: TemplatePage})
_GET = documented(answers={200: TemplateItem})
_DROP = documented(answers={204: None})


@get("/v1/import-templates", tags=TAGS, summary="List import templates", guards=_READ, opt=_LIST)
async def list_templates(
    request: EventRequest, limit: Limit = limits.PAGE_ITEMS_DEFAULT, cursor: Cursor = None
) -> ASGIResponse:
    """All templates, by name."""
    size, after = page_size(limit), read_place(cursor, str) if cursor is not None else ""
    async with reading_of(request).database.pool.acquire() as connection:
        found, last = cut(await template_page(connection, after=after, size=size + 1), size)
    page = TemplatePage(items=tuple(map(_item, found)), next=show_place(last.name) if last is not None else None)
    return Answer(200, encode(page))


@post("/v1/import-templates", status_code=201, tags=TAGS, summary="Create an import template", guards=_WRITE, opt=_POST)
async def create_template(request: EventRequest) -> ASGIResponse:
    """Keep options under a new name."""
    body = read_object(await request.body(), "")
    name, options = body.get("name"), body.get("options")
    if not isinstance(name, str) or not isinstance(options, dict) or len(body) != 2:
        raise invalid("", "type", 'A template is {"name": "…", "options": {…}}.')
    async with reading_of(request).database.pool.acquire() as connection:
        if await find_template(connection, name) is not None:
            raise ProblemError(409, "exists", f"There is a template {name!r}; PUT replaces it.")
    return await _put(request, name, options)


@put("/v1/import-templates/{name:str}", tags=TAGS, summary="Replace an import template", guards=_WRITE, opt=_PUT)
async def replace_template(request: EventRequest, name: FromPath[str]) -> ASGIResponse:
    """Keep options under this name, new or known."""
    return await _put(request, name, read_object(await request.body(), ""))


@get("/v1/import-templates/{name:str}", tags=TAGS, summary="Read an import template", guards=_READ, opt=_GET)
async def read_template(request: EventRequest, name: FromPath[str]) -> ASGIResponse:
    """The options of one template."""
    async with reading_of(request).database.pool.acquire() as connection:
        found = await find_template(connection, name) if _NAME.fullmatch(name) else None
    if found is None:
        raise not_found("import template", name)
    return Answer(200, encode(_item(found)))


@delete(
    "/v1/import-templates/{name:str}",
    status_code=200,
    tags=TAGS,
    summary="Delete an import template",
    guards=_WRITE,
    opt=_DROP,
)
async def delete_template(request: EventRequest, name: FromPath[str]) -> ASGIResponse:
    """Imports that were begun with it go on."""
    async with reading_of(request).database.pool.acquire() as connection:
        if not _NAME.fullmatch(name) or not await drop_template(connection, name):
            raise not_found("import template", name)
    return Answer(204, b"")


async def _put(request: EventRequest, name: str, given: Mapping[str, object]) -> ASGIResponse:
    if _NAME.fullmatch(name) is None:
        raise invalid("/name", "invalid_name", "A name has 1 to 100 letters, digits, '-', '_' and '.'.")
    options = read_options(given)
    caller = caller_of(request.scope)
    signed = (datetime.now(UTC), caller.name if caller is not None else "unknown")
    async with reading_of(request).database.pool.acquire() as connection:
        is_known = await find_template(connection, name) is not None
        if not is_known and await count_templates(connection) >= limits.IMPORT_TEMPLATES:
            raise invalid("/name", "too_many_templates", f"There are {limits.IMPORT_TEMPLATES} templates already.")
        template, is_new = await put_template(connection, name, options, signed)
    return Answer(201 if is_new else 200, encode(_item(template)))


def _item(template: Template) -> TemplateItem:
    return TemplateItem(
        name=template.name,
        options=msgspec.json.decode(template.options),
        created_by=template.created_by,
        created_at=show_time(template.created_at),
        updated_at=show_time(template.updated_at),
    )


HANDLERS = [list_templates, create_template, replace_template, read_template, delete_template]
