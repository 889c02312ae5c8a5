"""Bodies of settings: bytes → one JSON object. What events say is read by `entry.json_text`, which sees more faults."""

from __future__ import annotations

import msgspec

from troth.api.problems import ProblemError, invalid


def read_object(body: bytes) -> dict[str, object]:
    """The object; an empty body is an empty one. Raises ProblemError."""
    try:
        document = msgspec.json.decode(body) if body.strip() else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProblemError(400, "invalid_json", f"The body is no JSON: {error}.") from None
    if not isinstance(document, dict):
        raise invalid("", "not_an_object", "The body is a JSON object.")
    return document
