"""?expand=explanation,profile: what an answer to an event may carry besides. Read after the event is recorded.

The profile is the redacted one, without personal attributes: answers to events travel far.
"""

from __future__ import annotations

from urllib.parse import parse_qs

from troth.api.customers import profile_of
from troth.api.event_wire import encode
from troth.api.events import explanation, load_event
from troth.api.problems import invalid
from troth.api.reading import Reading
from troth.core.record import RecordedEvent
from troth.pipeline.outcome import Previewed

KNOWN = ("explanation", "profile")


def asked_for(query: bytes) -> tuple[str, ...]:
    """The names in ?expand=, each once. Raises ProblemError."""
    if not query:
        return ()
    given = parse_qs(query.decode("latin-1")).get("expand", [])
    names = tuple(dict.fromkeys(name for part in given for name in part.split(",") if name))
    if any(name not in KNOWN for name in names):
        raise invalid("/query/expand", "invalid_parameter", f"expand takes {', '.join(KNOWN)}.")
    return names


async def expand(answer: bytes, names: tuple[str, ...], record: RecordedEvent, reading: Reading) -> bytes:
    """The answer with the parts that were asked for. In: a JSON object."""
    parts: dict[str, object] = {}
    if "explanation" in names:
        parts["explanation"] = (await explanation(reading, await load_event(reading, record.id))).rules
    if "profile" in names and record.customer is not None:
        parts["profile"] = await profile_of(reading, record.customer, with_personal=False)
    return _join(answer, parts)


def expand_preview(answer: bytes, names: tuple[str, ...], previewed: Previewed) -> bytes:
    """A preview with its explanation. There is no profile yet to show. Raises ProblemError."""
    if "profile" in names:
        raise invalid("/query/expand", "invalid_parameter", "A preview can be expanded by its explanation only.")
    return _join(answer, {"explanation": previewed.rules} if names else {})


def _join(answer: bytes, parts: dict[str, object]) -> bytes:
    return answer[:-1] + b"," + encode(parts)[1:] if parts else answer
