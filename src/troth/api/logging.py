"""Structured logs on standard error: one line per happening, JSON or logfmt, each request named by its id.

In: happenings named in the code, request outcomes, and what libraries log through the standard library.
Must never: write a key, a body, a query string, a path parameter, an address, or the message of an exception
(drivers quote values in theirs); types, codes and places in the code are enough to find a fault.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, BinaryIO, Literal, cast

import msgspec
import structlog
from structlog.typing import FilteringBoundLogger, Processor

if TYPE_CHECKING:
    from litestar.types import Scope  # nine megabytes, and the processes beside the server need none of it

LogForm = Literal["text", "json"]
Place = tuple[str, str, int]  # route, method, status
_Ended = tuple[float, str, Place, float, str | None]  # Unix seconds, request id, place, duration in seconds, key id

_REQUEST_ID = "troth.request_id"
_ROUTE = "path_template"  # where Litestar puts it
_FRAMES_MAX = 30
_GATHERED_LINES = 200  # request lines written at once …
_GATHERED_SECONDS = 0.1  # … or after this time
_encode = msgspec.json.Encoder().encode
_process_mark = os.urandom(6).hex()
_numbers = itertools.count(1)


class RequestLog:
    """One line per request, gathered: many requests share one write. Whatever else is logged is written at once."""

    def __init__(self, stream: BinaryIO | None = None, *, form: LogForm = "json", is_quiet: bool = False) -> None:
        self._stream = stream
        self._is_text = form == "text"
        self._is_quiet = is_quiet
        self._ended: list[_Ended] = []

    def add(self, name: str, place: Place, seconds: float, key: str | None) -> None:
        """The outcome of a request, by its id, and how long it took. In: nothing that a caller chose."""
        if self._is_quiet:
            return
        self._ended.append((time.time(), name, place, seconds, key))
        if len(self._ended) == 1:
            asyncio.get_running_loop().call_later(_GATHERED_SECONDS, self.flush)
        elif len(self._ended) >= _GATHERED_LINES:
            self.flush()

    def flush(self) -> None:
        """Writes what was gathered."""
        if self._ended:
            line = _request_text if self._is_text else _request_json
            stream = self._stream if self._stream is not None else sys.stderr.buffer
            stream.write("".join([line(ended) for ended in self._ended]).encode())
            stream.flush()
            self._ended.clear()


class _Logs:
    """Where this process logs; set once at start."""

    requests = RequestLog()


def configure_logging(stream: BinaryIO | None = None, *, level: int = logging.INFO, form: LogForm = "json") -> None:
    """Sends every log line of this process, and what libraries log, to `stream` (default: standard error)."""
    target = stream if stream is not None else sys.stderr.buffer
    structlog.configure(
        processors=_processors(form),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.BytesLoggerFactory(target),
        cache_logger_on_first_use=False,
    )
    _Logs.requests = RequestLog(target, form=form, is_quiet=level > logging.INFO)
    root = logging.getLogger()
    root.handlers = [_LibraryHandler()]
    root.setLevel(logging.WARNING)


def logger() -> FilteringBoundLogger:
    """The process's logger: `logger().info("cluster started", port=5432)`."""
    return cast("FilteringBoundLogger", structlog.get_logger())


def request_log() -> RequestLog:
    return _Logs.requests


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
    template = cast("MutableMapping[str, object]", scope).get(_ROUTE)
    return template if isinstance(template, str) and template else "unknown"


def set_route(scope: Scope, route: str) -> None:
    """Names the address of a request that no router saw."""
    cast("MutableMapping[str, object]", scope)[_ROUTE] = route


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


def _request_json(ended: _Ended) -> str:
    """As `_encode` writes it, without its price: there is one for each request."""
    moment, name, place, seconds, key = ended
    return (
        f'{{"timestamp":"{_stamp(int(moment * 1000))}","level":"info","event":"request","request_id":"{name}",'
        f'{_place_json(place)},"milliseconds":{seconds * 1000:.2f},"key":{_quoted(key)}}}\n'
    )


def _request_text(ended: _Ended) -> str:
    moment, name, (route, method, status), seconds, key = ended
    line = {"timestamp": _stamp(int(moment * 1000)), "level": "info", "event": "request", "request_id": name}
    outcome = {"method": method, "route": route, "status": status, "milliseconds": f"{seconds * 1000:.2f}", "key": key}
    return _logfmt({**line, **outcome}).decode() + "\n"


@lru_cache(maxsize=1)
def _stamp(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")


@lru_cache(maxsize=1_024)
def _place_json(place: Place) -> str:
    route, method, status = place
    return _encode({"method": method, "route": route, "status": status})[1:-1].decode()


@lru_cache(maxsize=1_024)
def _quoted(text: str | None) -> str:
    return _encode(text).decode()


def _processors(form: LogForm) -> list[Processor]:
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    return [structlog.processors.add_log_level, stamp, _render_text if form == "text" else _render_json]


def _render_json(_logger: object, _name: str, line: MutableMapping[str, object]) -> bytes:
    return _encode(line)


def _render_text(_logger: object, _name: str, line: MutableMapping[str, object]) -> bytes:
    first = {name: line.pop(name) for name in ("timestamp", "level", "event") if name in line}
    return _logfmt({**first, **line})


def _logfmt(line: Mapping[str, object]) -> bytes:
    return " ".join([f"{name}={_shown(value)}" for name, value in line.items()]).encode()


def _shown(value: object) -> str:
    if value is None:
        return "-"
    text = value if isinstance(value, str) else str(value)
    needs_quotes = not text or not text.isprintable() or any(character in text for character in ' "=')
    return cast("Callable[[object], bytes]", _encode)(text).decode() if needs_quotes else text
