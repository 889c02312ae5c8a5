"""The OpenAPI 3.1 document, from the handlers themselves.

Litestar describes addresses, parameters and names. Bodies are read and written by Troth, so each handler names their
types in its `opt`, as in `opt=documented(body=EventBody, answers={201: EventAnswer})`, and they are put in here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, MutableMapping
from http import HTTPStatus
from typing import cast

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig

from troth import __version__
from troth.api.problems import MEDIA_TYPE, ProblemDocument

_JSON = "application/json"
_REFERENCES = "#/components/schemas/{name}"
_SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_DESCRIPTION = (
    "Events in, points out: what customers do becomes points by the rules of the program. "
    "Errors are problem documents (RFC 9457) with a stable `code`; lists answer `items` and an opaque `next` cursor."
)

Described = MutableMapping[str, object]
Messages = Mapping[str, tuple[str, type]]  # topic → what it means, and the form of its data


class Documented(msgspec.Struct, frozen=True, kw_only=True):
    """What a handler reads and answers, beyond what its signature says."""

    answers: Mapping[int, object]  # status → type; None: no body
    body: object = None  # type of the request's JSON body
    media_types: tuple[str, ...] = (_JSON,)  # that the body may have
    example: object = None  # of the body
    needs_key: bool = True
    parameters: tuple[Mapping[str, object], ...] = ()  # OpenAPI parameter objects that no signature names


def documented(  # one parameter per thing an operation says
    *,
    answers: Mapping[int, object],
    body: object = None,
    media_types: tuple[str, ...] = (_JSON,),
    example: object = None,
    needs_key: bool = True,
    parameters: tuple[Mapping[str, object], ...] = (),
) -> dict[str, object]:
    """The `opt` of a handler."""
    found = Documented(
        answers=answers,
        body=body,
        media_types=media_types,
        example=example,
        needs_key=needs_key,
        parameters=parameters,
    )
    return {"documented": found}


def parameter(name: str, place: str, description: str) -> dict[str, object]:
    """An optional text parameter in `place`: query or header."""
    return {"name": name, "in": place, "description": description, "required": False, "schema": {"type": "string"}}


def openapi_config() -> OpenAPIConfig:
    """How Litestar describes the application: one operation id per handler, its docstring as description."""
    return OpenAPIConfig(
        title="Troth",
        version=__version__,
        description=_DESCRIPTION,
        use_handler_docstrings=True,
        operation_id_creator=lambda handler, _method, _path: str(handler.handler_name),
    )


def describe(app: Litestar, messages: Messages) -> bytes:
    """The document of `app` (made with `openapi_config`): readable JSON, the same bytes for the same handlers."""
    document = app.openapi_schema.to_schema()
    handlers = _handlers(app)
    named = [(path, method, found) for (path, method), found in handlers.items() if isinstance(found, Documented)]
    schemas, components = _schemas(named, messages)
    for path, method, found in named:
        _complete(document["paths"][path][method], found, schemas)
    document["webhooks"] = {topic: {"post": _told(topic, *told, schemas)} for topic, told in messages.items()}
    document["components"] = {"schemas": components, "securitySchemes": _SECURITY}
    document["security"] = [{name: []} for name in _SECURITY]
    return json.dumps(document, indent=1, sort_keys=False, ensure_ascii=False).encode() + b"\n"


def _handlers(app: Litestar) -> dict[tuple[str, str], object]:
    """What each described operation documents."""
    found = {}
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            if isinstance(handler, HTTPRouteHandler) and handler.resolve_include_in_schema():
                for method in handler.http_methods:
                    found[route.path_format, method.lower()] = handler.opt.get("documented")
    return found


def _schemas(
    named: list[tuple[str, str, Documented]], messages: Messages
) -> tuple[dict[object, object], dict[str, object]]:
    """Every type that is named → its schema, and the components that those refer to."""
    types: list[object] = list(dict.fromkeys([ProblemDocument, *(kind for _, kind in messages.values())]))
    for _, _, found in named:
        types += [kind for kind in (found.body, *found.answers.values()) if kind is not None and kind not in types]
    schemas, components = msgspec.json.schema_components(
        cast("list[type]", types), schema_hook=_schema_of_other, ref_template=_REFERENCES
    )
    return dict(zip(types, schemas, strict=True)), dict(sorted(components.items()))


def _told(topic: str, meaning: str, kind: type, schemas: Mapping[object, object]) -> Described:
    """A message that webhooks are sent."""
    text = {"type": "string"}
    body = {
        "type": "object",
        "required": ["id", "type", "timestamp", "data"],
        "properties": {"id": text, "type": {"const": topic}, "timestamp": text, "data": schemas[kind]},
    }
    return {
        "summary": meaning,
        "tags": ["Webhooks"],
        "requestBody": {"content": {_JSON: {"schema": body}}},
        "responses": {"2XX": {"description": "Taken; anything else is tried again."}},
    }


def _complete(operation: Described, found: Documented, schemas: Mapping[object, object]) -> None:
    if found.body is not None:
        content: dict[str, object] = {"schema": schemas[found.body]}
        if found.example is not None:
            content["example"] = found.example
        operation["requestBody"] = {"required": True, "content": dict.fromkeys(found.media_types, content)}
    if found.parameters:
        operation["parameters"] = [*cast("list[object]", operation.get("parameters") or []), *found.parameters]
    answers = {str(status): _answer(status, kind, schemas) for status, kind in sorted(found.answers.items())}
    problem: Described = {MEDIA_TYPE: {"schema": schemas[ProblemDocument]}}
    for status, answer in answers.items():
        if status >= "400":  # an error in a form of the door's own, or, where the door is closed, ours
            answer["content"] = {**cast("Described", answer.get("content") or {}), **problem}
    operation["responses"] = {**answers, "default": {"content": problem, "description": "A problem document"}}
    if not found.needs_key:
        operation["security"] = []


def _answer(status: int, kind: object, schemas: Mapping[object, object]) -> Described:
    described: Described = {"description": HTTPStatus(status).phrase}
    if kind is not None:
        media_type = "text/plain" if kind is str else "application/octet-stream" if kind is bytes else _JSON
        described["content"] = {media_type: {"schema": schemas[kind]}}
    return described


def _schema_of_other(kind: type) -> dict[str, object]:
    if kind is object:
        return {"description": "Any JSON value."}  # msgspec refuses an empty schema
    raise NotImplementedError(kind)
