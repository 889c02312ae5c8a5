"""Every documented operation, called with what its own description allows and with what it forbids.

Whatever is sent, the answer is one that the description announces, in the announced shape, and never a fault of ours.
Requests are invented by schemathesis from /openapi.json; a fixed seed makes a run repeatable.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import checks
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.feedback import FeedbackSources
from schemathesis.generation.meta import CoveragePhaseData
from schemathesis.pytest._test_builder import build_operation_test

from tests.installation import new_installation
from troth.app import openapi_document

DOCUMENT = json.loads(openapi_document())
DESCRIPTION = schemathesis.openapi.from_dict(DOCUMENT)
METHODS = {"get", "put", "post", "delete", "patch"}
Operation = tuple[str, str]  # method, path
OPERATIONS: list[Operation] = [
    (method, path) for path, item in DOCUMENT["paths"].items() for method in item if method in METHODS
]
EXAMPLES = 25  # requests per operation that are drawn; besides, those that follow from its description
ONE_OF = 8  # of the bodies that follow, so many are one where another operation takes the same and gets them all
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]


def repeated_bodies() -> Iterator[Operation]:
    """Operations that take the same body as another one, which gets all that follow: a POST, where there is one."""
    seen: set[str] = set()
    for method, path in sorted(OPERATIONS, key=lambda operation: operation[0] != "post"):
        described = DOCUMENT["paths"][path][method]
        if "requestBody" in described:
            body = json.dumps(described["requestBody"], sort_keys=True)
            if body in seen:
                yield method, path
            seen.add(body)


REPEATED = frozenset(repeated_bodies())


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
@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=lambda part: part)
def test_answers_are_as_described(method: str, path: str, caller: Mapping[str, str]) -> None:
    """Requests are invented where they are sent; `DESCRIPTION.parametrize()` has every worker invent all of them."""
    headers = {"Authorization": f"Bearer {caller['TROTH_KEY']}"}
    one_of = ONE_OF if (method, path) in REPEATED else 1
    sent, bodies = count(), count()

    @settings(max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    def call(case: schemathesis.Case) -> None:
        if not is_of_body(case) or next(bodies) % one_of == 0:
            next(sent)
            case.call_and_validate(base_url=caller["TROTH_URL"], headers=headers, checks=CHECKS)

    build_operation_test(
        config=DESCRIPTION.config,
        operation=DESCRIPTION[path][method],
        test_func=call,
        given_kwargs={},
        feedback=FeedbackSources(),
    )()
    assert next(sent) > 0


def is_of_body(case: schemathesis.Case) -> bool:
    """Whether it follows from the description of the body, and is not drawn."""
    phase = case.meta.phase.data if case.meta is not None else None
    return isinstance(phase, CoveragePhaseData) and phase.parameter_location == ParameterLocation.BODY
