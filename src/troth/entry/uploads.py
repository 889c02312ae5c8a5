"""Uploads: multipart/form-data with one file → the file in the store, and the other fields as bytes.

In: the ASGI messages of one request. Out: a stored file, whose bytes were never all in memory.
Must never: take more than its bound, wait for a silent sender for ever, or keep a file of a broken request.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from litestar.types import Receive
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from troth import limits
from troth.api.problems import ProblemError, invalid
from troth.store.files import FileTooLargeError, StoredFile

Store = Callable[[str, str, AsyncIterator[bytes]], Awaitable[StoredFile]]  # name, media type, content
_CLOSE = {"Connection": "close"}  # the rest of the body is not read
_SEGMENTS = 20


@dataclass(slots=True, kw_only=True)
class Upload:
    file: StoredFile
    fields: dict[str, bytes] = field(default_factory=dict)


async def read_upload(receive: Receive, content_type: str, known: frozenset[str], store: Store) -> Upload:
    """Take in one file called `file`, and fields of these names. Raises ProblemError; no file is kept then."""
    kind, options = parse_options_header(content_type)
    if kind != "multipart/form-data" or not options.get("boundary"):
        detail = 'Send the file as multipart/form-data, as `curl -F file=@orders.csv -F options={"type":"purchase"}`.'
        raise ProblemError(415, "unsupported_media_type", detail, headers=_CLOSE)
    events = _events(receive, options["boundary"])
    fields: dict[str, bytes] = {}
    stored: list[StoredFile] = []
    try:
        async for event in events:
            assert isinstance(event, MultipartSegment), "a segment begins"
            await _take(event, events, (known, fields, stored, store))
    except FileTooLargeError:
        raise ProblemError(413, "too_large", "The file is larger than this server takes.", headers=_CLOSE) from None
    except MultipartError as error:
        raise ProblemError(400, "unreadable", f"The body is no whole multipart/form-data: {error}.") from None
    if not stored:
        raise invalid("/file", "missing", "The file is sent as the field `file`.")
    return Upload(file=stored[0], fields=fields)


Taking = tuple[frozenset[str], dict[str, bytes], list[StoredFile], Store]


async def _take(segment: MultipartSegment, events: AsyncIterator[object], taking: Taking) -> None:
    """One field of the form."""
    known, fields, stored, store = taking
    name = segment.name
    if name == "file" and not stored:
        media_type = str(segment.header("Content-Type", "application/octet-stream"))
        stored.append(await store(segment.filename or "file", media_type, _content(events)))
        return
    if name not in known or name in fields:
        raise invalid(f"/{name}", "unknown_field", f"An upload has one `file`, and {', '.join(sorted(known))}.")
    content = bytearray()
    async for part in _content(events):
        content += part
        if len(content) > limits.IMPORT_OPTIONS_BYTES:
            raise invalid(f"/{name}", "too_large", f"It has at most {limits.IMPORT_OPTIONS_BYTES} bytes.")
    fields[name] = bytes(content)


async def _content(events: AsyncIterator[object]) -> AsyncIterator[bytes]:
    """The rest of one field."""
    async for event in events:
        if event is None:
            return
        assert isinstance(event, bytes | bytearray), "content, then the end"
        yield bytes(event)


async def _events(receive: Receive, boundary: str) -> AsyncIterator[object]:
    """Segments, their content, None at the end of each. Raises MultipartError and ProblemError."""
    parser = PushMultipartParser(boundary, max_segment_count=_SEGMENTS)
    with parser:
        async for part in _body(receive):
            for event in parser.parse(part):
                yield event


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        try:
            message = await asyncio.wait_for(receive(), limits.UPLOAD_IDLE_SECONDS)
        except TimeoutError:
            detail = f"No byte came for {limits.UPLOAD_IDLE_SECONDS} s; nothing was stored."
            raise ProblemError(408, "timeout", detail, headers=_CLOSE) from None
        if message["type"] != "http.request":
            raise ProblemError(400, "incomplete_body", "The connection ended before the body did.")
        if message["body"]:
            yield message["body"]
        if not message["more_body"]:
            return
