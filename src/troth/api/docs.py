"""The API's description at /openapi.json and, for people, at /docs: a page of our own, complete without a network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

from litestar import Request, get
from litestar.datastructures import State
from litestar.response.base import ASGIResponse

from troth.api.answers import Answer

_FOLDER = Path(__file__).parent / "docs_page"
_OPENAPI_TYPE = b"application/vnd.oai.openapi+json; version=3.1; charset=utf-8"
_ONLY_SELF = (
    (b"content-security-policy", b"default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-cache"),
)


@get("/openapi.json", include_in_schema=False)
async def openapi(request: Request[object, object, State]) -> ASGIResponse:
    """The OpenAPI 3.1 document of this server."""
    return Answer(200, cast("Callable[[], bytes]", request.app.state["openapi"])(), media_type=_OPENAPI_TYPE)


@get("/docs", include_in_schema=False)
async def docs() -> ASGIResponse:
    return _file("page.html", b"text/html; charset=utf-8")


@get("/docs/page.js", include_in_schema=False)
async def docs_script() -> ASGIResponse:
    return _file("page.js", b"text/javascript; charset=utf-8")


@get("/docs/page.css", include_in_schema=False)
async def docs_style() -> ASGIResponse:
    return _file("page.css", b"text/css; charset=utf-8")


def _file(name: str, media_type: bytes) -> ASGIResponse:
    return Answer(200, (_FOLDER / name).read_bytes(), media_type=media_type, headers=_ONLY_SELF)
