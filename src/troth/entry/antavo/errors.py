"""Errors as that product words them: {"error": {"type", "code", "message"}}, with its numbers where it has one.

In: our problems. Out: one error, the first of the numbered ones. A message names our stable code and the place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from troth.api.answers import Answer
from troth.api.problems import ProblemError
from troth.core.coercion import Problem

BAD_AUTHORIZATION = 101021
ALREADY_OPTED_IN = 112101
REPEATED_TRANSACTION = 5003
_OPT_IN = "opt_in"
_TYPES = {400: "BadRequestException", 401: "UnauthorizedException", 404: "NotFoundException"}
_CODES: Mapping[str, tuple[int, int]] = {  # ours → status and theirs, in order of precedence
    "unknown_type": (400, 0),
    "system_type": (400, 0),
    "not_available": (400, 0),
    "type_not_allowed": (400, 0),
    "signature_required": (401, BAD_AUTHORIZATION),
    "unknown_customer": (404, 160212),
    "missing": (400, 113401),
    "required": (400, 113401),
    "already_opted_in": (400, ALREADY_OPTED_IN),
    "not_repeatable": (400, 10001),
    "not_your_order": (400, 103902),
    "reference_conflict": (400, REPEATED_TRANSACTION),
    "insufficient_points": (400, 110003),
    "unknown_account": (404, 0),
}


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    type: str  # kind of the error
    code: int  # 0: that product has no number for it
    message: str


class ErrorAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What an error answer carries."""

    error: ErrorBody


class AntavoError(Exception):
    """Raised to answer with an error of this family."""

    def __init__(self, status: int, code: int, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}

    def body(self) -> ErrorAnswer:
        kind = _TYPES.get(self.status, "ServerException" if self.status >= 500 else "BadRequestException")
        return ErrorAnswer(error=ErrorBody(type=kind, code=self.code, message=self.message))

    def answer(self) -> Answer:
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in self.headers.items()]
        return Answer(self.status, msgspec.json.encode(self.body()), headers=headers)


def unauthorized(message: str) -> AntavoError:
    return AntavoError(401, BAD_AUTHORIZATION, message)


def repeated(transaction: str) -> AntavoError:
    return AntavoError(400, REPEATED_TRANSACTION, f"The transaction {transaction!r} was sent before.")


def error_of(problems: Sequence[Problem], action: object = None) -> AntavoError:
    """The one error that stands for these problems."""
    ours, chosen = problems[0], None
    for code, known in _CODES.items():
        found = next((problem for problem in problems if problem.code == code), None)
        if found is not None:
            ours, chosen = found, known
            break
    status, number = chosen or (500 if ours.code == "internal_error" else 400, 0)
    if ours.code == "not_repeatable" and action == _OPT_IN:
        number = ALREADY_OPTED_IN
    place = ours.pointer.replace("/properties", "/data", 1) if ours.pointer else ""
    more = f" ({len(problems) - 1} more)" if len(problems) > 1 else ""
    return AntavoError(status, number, f"{ours.code}{f' at {place}' if place else ''}: {ours.detail}{more}")


def translated(problem: ProblemError) -> AntavoError:
    """An error that the rest of the server raised."""
    if problem.errors:
        found = error_of([Problem(item.pointer, item.code, item.detail) for item in problem.errors])
        status = found.status if problem.status == 422 else problem.status
        return AntavoError(status, found.code, found.message, headers=problem.headers)
    status = 400 if problem.status == 422 else problem.status
    return AntavoError(status, 0, f"{problem.code}: {problem.detail}", headers=problem.headers)
