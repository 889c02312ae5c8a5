"""Structured logs: one JSON line per happening on standard error, each request named by its id.

In: happenings named in the code, request outcomes, and what libraries log through the standard library.
Must never: write a key, a body, a query string, a path parameter, an address, or the message of an exception
(drivers quote values in theirs); types, codes and places in the code are enough to find a fault.
"""

from __future__ import annotations

import itertools
import logging
import os
import sys
import traceback
from collections.abc import Callable, MutableMapping
from typing import BinaryIO, cast

import msgspec
import structlog
from litestar.types import Scope
from structlog.typing import FilteringBoundLogger, Processor

_REQUEST_ID = "troth.request_id"
_FRAMES_MAX = 30
_encode = msgspec.json.Encoder().encode
_process_mark = os.urandom(6).hex()
_numbers = itertools.count(1)


def configure_logging(stream: BinaryIO | None = None, *, level: int = logging.INFO) -> None:
    """Sends every log line of this process, and what libraries log, to `stream` (default: standard error)."""
    target = stream if stream is not None else sys.stderr.buffer
    structlog.configure(
        processors=_processors(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.BytesLoggerFactory(target),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [_LibraryHandler()]
    root.setLevel(logging.WARNING)


def logger() -> FilteringBoundLogger:
    """The process's logger: `logger().info("cluster started", port=5432)`."""
    return cast("FilteringBoundLogger", structlog.get_logger())


def name_request(scope: Scope) -> str:
    """Gives the request a new id, unique across restarts and processes, and returns it."""
    name = f"req_{_process_mark}{next(_numbers):08x}"
    cast("MutableMapping[str, object]", scope)[_REQUEST_ID] = name
    return name


def request_id(scope: Scope) -> str:
    """The id that `name_request` gave."""
    found = cast("MutableMapping[str, object]", scope).get(_REQUEST_ID)
    return found if isinstance(found, str) else name_request(scope)


def log_fault(scope: Scope, error: BaseException) -> None:
    """A fault of ours on a request."""
    logger().error("request failed", request_id=request_id(scope), route=route_of(scope), **describe_fault(error))


def route_of(scope: Scope) -> str:
    """The address with its parameters unfilled: a path may hold a customer's id."""
    template = cast("MutableMapping[str, object]", scope).get("path_template")
    return template if isinstance(template, str) and template else "unknown"


def describe_fault(error: BaseException) -> dict[str, object]:
    """What may be logged of an exception: types, SQL state and places in the code; never its message."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES_MAX:]
    described: dict[str, object] = {
        "error": type(error).__qualname__,
        "frames": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }
    for detail in ("sqlstate", "constraint_name", "table_name"):
        if value := getattr(error, detail, None):
            described[detail] = value
    if error.__cause__ is not None:
        described["cause"] = describe_fault(error.__cause__)
    return described


class _LibraryHandler(logging.Handler):
    """Carries warnings of libraries into the same stream, without their arguments' values."""

    def emit(self, record: logging.LogRecord) -> None:
        fault = record.exc_info[1] if record.exc_info else None
        described = describe_fault(fault) if fault is not None else {}
        first_line = str(record.msg).partition("\n")[0]  # asyncio writes values into the lines after it
        logger().log(record.levelno, first_line, logger=record.name, **described)


def _processors() -> list[Processor]:
    return [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.JSONRenderer(serializer=cast("Callable[..., str]", _serialize)),
    ]


def _serialize(line: MutableMapping[str, object], **_: object) -> bytes:
    return _encode(line)
