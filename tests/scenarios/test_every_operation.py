"""Every documented operation, called with what its own description allows and with what it forbids.

Whatever is sent, the answer is one that the description announces, in the announced shape, and never a fault of ours.
Requests are invented by schemathesis from /openapi.json; a fixed seed makes a run repeatable.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import checks

from tests.installation import new_installation
from troth.app import openapi_document

DESCRIPTION = schemathesis.openapi.from_dict(json.loads(openapi_document()))
EXAMPLES = 25  # requests per operation
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]


@schemathesis.serializer("application/x-ndjson")
def serialize_lines(_: schemathesis.SerializationContext, value: object) -> bytes:
    lines = value if isinstance(value, list) else [value]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


@pytest.fixture(scope="module")
def caller(session_folder: Path) -> Iterator[dict[str, str]]:
    """Address and key of one installation for all operations."""
    with new_installation(session_folder / "every-operation") as troth:
        yield troth.environment()


@pytest.mark.slow
@DESCRIPTION.parametrize()
@settings(max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_answers_are_as_described(case: schemathesis.Case, caller: dict[str, str]) -> None:
    headers = {"Authorization": f"Bearer {caller['TROTH_KEY']}"}
    case.call_and_validate(base_url=caller["TROTH_URL"], headers=headers, checks=CHECKS)
