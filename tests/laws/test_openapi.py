"""openapi.json in the repository is what the handlers say, and it is a sound OpenAPI 3.1 document.

Renew it with: python -m troth.app > openapi.json
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.laws.tree import ROOT
from troth.app import DOORS, OPERATIONS, READS, openapi_document
from troth.core.topics import TOPICS

COMMITTED = ROOT / "openapi.json"
DOCUMENT = json.loads(openapi_document())
UNDOCUMENTED = {"/openapi.json", "/docs", "/docs/page.js", "/docs/page.css"}


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (inner for name, inner in value.items() if name == "$ref" and isinstance(inner, str))
        yield from (found for inner in value.values() for found in references(inner))
    elif isinstance(value, list):
        yield from (found for inner in value for found in references(inner))


def test_the_committed_document_is_current() -> None:
    assert COMMITTED.read_bytes() == openapi_document(), "run: python -m troth.app > openapi.json"


def test_it_is_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")


def test_every_handler_is_in_it() -> None:
    shown = {(path, method.upper()) for path, method, _ in operations()}
    handlers = [*DOORS, *READS, *OPERATIONS]
    missing = [
        (path, method)
        for handler in handlers
        for path in handler.paths  # type: ignore[union-attr]
        for method in handler.http_methods  # type: ignore[union-attr]
        if path not in UNDOCUMENTED and (path.replace(":str", "").replace(":int", ""), method) not in shown
    ]
    assert (len(handlers) > 20, missing) == (True, [])


_WITHOUT_BODY = (
    "publish",
    "pause",
    "resume",
    "/imports/{import_id}/cancel",
    "/exports/{export_id}/cancel",
    "{rejection_id}/replay",
    "redeliver",
    "{webhook}/test",
)


@pytest.mark.parametrize(("path", "method", "operation"), [*operations()], ids=lambda part: str(part)[:40])
def test_every_operation_says_what_it_is(path: str, method: str, operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert operation["tags"]
    assert operation["operationId"]
    assert "application/problem+json" in operation["responses"]["default"]["content"]
    successes = [status for status in operation["responses"] if status.startswith("2")]
    assert successes
    for status in successes:
        assert ("content" in operation["responses"][status]) == (status != "204")
    if method in {"post", "put", "patch"} and not path.endswith(_WITHOUT_BODY):
        assert operation["requestBody"]["content"]


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert len(ids) == len(set(ids))


def test_every_reference_leads_somewhere() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert {name.rpartition("/")[2] for name in references(DOCUMENT)} <= set(schemas)
    assert all(name.startswith("#/components/schemas/") for name in references(DOCUMENT))


def test_what_refuses_unknown_fields_says_so() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    for name in ("EventBody", "BulkBody", "CustomerBody", "ProfileBody"):
        assert schemas[name]["additionalProperties"] is False
    assert "additionalProperties" not in schemas["EventAnswer"]


def test_only_probes_need_no_key() -> None:
    """The addresses of sources take their source's own key."""
    free = {path for path, _, operation in operations() if operation.get("security") == []}
    of_sources = {
        "/v1/hooks/{source_id}",
        "/events",
        "/events/bulk",
        "/customers/{customer}",
        "/customers/{customer}/events",
    }
    assert free - of_sources == {"/health/live", "/health/ready", "/metrics"}


def test_every_topic_is_described() -> None:
    assert list(DOCUMENT["webhooks"]) == list(TOPICS)
    for topic, item in DOCUMENT["webhooks"].items():
        schema = item["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert schema["properties"]["type"] == {"const": topic}
        assert schema["properties"]["data"]["$ref"].startswith("#/components/schemas/")
