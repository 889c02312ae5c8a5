"""Errors on the wire: RFC 9457 problem documents with a stable code, the request's id and every problem found.

In: a ProblemError raised by a handler, Litestar's own HTTP errors, or a fault of ours. Out: `application/problem+json`.
Must never: tell a caller what a fault of ours looked like inside, or put a value of the caller into a log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import cast

import msgspec
from litestar import Request
from litestar.datastructures import State
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException, ValidationException
from litestar.types import ExceptionHandlersMap, Scope

from troth import limits
from troth.api.answers import Answer
from troth.api.logging import log_fault, request_id

MEDIA_TYPE = "application/problem+json"
AnyRequest = Request[object, object, State]
_CODES = {
    400: "unreadable",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid",
    429: "too_many_requests",
    500: "internal_error",
    503: "unavailable",
}


class ErrorItem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong with the request."""

    pointer: str  # JSON pointer into the body; /query/<name> and /header/<name> for what stands elsewhere
    code: str  # stable
    detail: str


class ProblemDocument(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 9457 problem details, as every error answer carries them."""

    type: str  # urn:troth:problem:<code>
    title: str
    status: int
    code: str  # stable: what programs should read
    detail: str
    request_id: str  # names the same request in the log
    errors: tuple[ErrorItem, ...] = ()


class ProblemError(Exception):
    """Raised by a handler to answer with a problem document."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[ErrorItem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = headers or {}

    def document(self, request_name: str) -> ProblemDocument:
        """The answer to the request of this id."""
        return ProblemDocument(
            type=f"urn:troth:problem:{self.code}",
            title=_title(self.code),
            status=self.status,
            code=self.code,
            detail=self.detail,
            request_id=request_name,
            errors=self.errors,
        )


def invalid(pointer: str, code: str, detail: str) -> ProblemError:
    """422 with one problem, whose code is the code of the whole."""
    return faulty("request", (ErrorItem(pointer=pointer, code=code, detail=detail),))


def faulty(what: str, items: Sequence[ErrorItem], status: int = 422) -> ProblemError:
    """What was sent has these problems; a single one is told as the whole. `what`: a domain noun."""
    code, detail = (items[0].code, items[0].detail) if len(items) == 1 else ("invalid", f"The {what} has problems.")
    return ProblemError(status, code, detail, errors=items[: limits.PROBLEMS_PER_EVENT])


def not_found(what: str, name: str) -> ProblemError:
    """404: `what` (a domain noun) with the id `name` does not exist."""
    return ProblemError(404, "not_found", f"There is no {what} {name!r}.")


def nothing_here() -> ProblemError:
    """404: an address that does not exist."""
    return ProblemError(404, "not_found", "There is nothing at this address; /docs lists the addresses there are.")


def problem_answer(problem: ProblemError, scope: Scope) -> Answer:
    """The HTTP answer that carries `problem`."""
    body = msgspec.json.encode(problem.document(request_id(scope)))
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in problem.headers.items()]
    return Answer(problem.status, body, media_type=MEDIA_TYPE.encode("ascii"), headers=headers)


def answer_to(error: Exception, scope: Scope) -> Answer:
    """The answer to a request whose handler raised `error`; what no handler should raise is logged as our fault."""
    if isinstance(error, ProblemError):
        return problem_answer(error, scope)
    log_fault(scope, error)
    detail = "Troth failed on this request. The request id names it in the server's log."
    return problem_answer(ProblemError(500, "internal_error", detail), scope)


def exception_handlers() -> ExceptionHandlersMap:
    """What turns every exception that can leave a handler into a problem document."""
    handlers = {HTTPException: _framework, Exception: _ours}
    return cast("ExceptionHandlersMap", handlers)


def _ours(request: AnyRequest, error: Exception) -> Answer:
    return answer_to(error, request.scope)


def _framework(request: AnyRequest, error: HTTPException) -> Answer:
    if isinstance(error, ValidationException):
        return problem_answer(_invalid_parameters(error), request.scope)
    code = _CODES.get(error.status_code, "error")
    return problem_answer(
        ProblemError(error.status_code, code, _explain(request, error), headers=error.headers), request.scope
    )


def _explain(request: AnyRequest, error: HTTPException) -> str:
    if isinstance(error, NotFoundException):
        return nothing_here().detail
    if isinstance(error, MethodNotAllowedException):
        return f"{request.scope['method']} is not possible at this address."
    if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "Troth failed on this request."
    return error.detail or HTTPStatus(error.status_code).phrase


def _invalid_parameters(error: ValidationException) -> ProblemError:
    """Litestar's findings in query, path and header; bodies are read by Troth itself."""
    found = error.extra if isinstance(error.extra, list) else []
    items = tuple(_parameter_item(item) for item in found if isinstance(item, dict))
    return ProblemError(422, "invalid_parameter", "A parameter of the request is not valid.", errors=items)


def _parameter_item(item: Mapping[str, object]) -> ErrorItem:
    place = str(getattr(item.get("source"), "value", item.get("source") or "body"))
    pointer = f"/{item.get('key', '')}" if place == "body" else f"/{place}/{item.get('key', '')}"
    return ErrorItem(pointer=pointer, code="invalid_parameter", detail=str(item.get("message", "")))


def _title(code: str) -> str:
    return code.replace("_", " ").capitalize()
