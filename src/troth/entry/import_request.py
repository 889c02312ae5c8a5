"""The options of an import as they are sent: JSON, a template's name in it → options that cannot be wrong.

In: bytes, or a JSON object. Out: ImportOptions. Every problem names the option it is about.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

import msgspec

from troth import limits
from troth.api.problems import ErrorItem, ProblemError
from troth.entry.import_options import ImportOptions, OptionError, check_options
from troth.entry.json_text import JsonReader, UnreadableError
from troth.store.import_templates import find_template
from troth.store.pool import Connection


class ImportRequest(ImportOptions, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is asked of an import over HTTP; what is null is detected."""

    template: str | None = None  # its options stand for those that are absent here
    dry_run: bool = False  # answer with a preview of the first rows; nothing is stored
    rows: int = 20  # of a dry run


class ImportForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The form of an upload."""

    file: str  # the content of the file
    options: ImportRequest | None = None  # as JSON


async def read_request(connection: Connection, text: bytes) -> ImportRequest:
    """The field `options` of an upload. Raises ProblemError."""
    given = read_object(text, "/options") if text.strip() else {}
    template = given.get("template")
    if isinstance(template, str):
        known = await find_template(connection, template)
        if known is None:
            raise _problem("template", "unknown_template", f"there is no template '{template}'")
        given = {**msgspec.json.decode(known.options), **given}
    asked = cast("ImportRequest", _convert(given, ImportRequest, "/options"))
    if not 1 <= asked.rows <= limits.IMPORT_PREVIEW_ROWS:
        raise _problem("rows", "out_of_range", f"a dry run shows 1 to {limits.IMPORT_PREVIEW_ROWS} rows")
    return asked


def read_options(given: Mapping[str, object]) -> ImportOptions:
    """The options of a template. Raises ProblemError."""
    return _convert(given, ImportOptions, "")


def plain_options(asked: ImportRequest) -> ImportOptions:
    """What the job keeps of a request."""
    return ImportOptions(**{name: getattr(asked, name) for name in ImportOptions.__struct_fields__})


def read_object(text: bytes, pointer: str) -> dict[str, object]:
    """A JSON object without flaws. Raises ProblemError."""
    try:
        document = JsonReader().read(text)
    except UnreadableError as error:
        raise ProblemError(400, error.code, f"The options are no JSON: {error.detail}.") from None
    flaws = [ErrorItem(pointer=pointer + flaw.pointer, code=flaw.code, detail=flaw.detail) for flaw in document.flaws]
    if not flaws and not isinstance(document.value, dict):
        flaws = [ErrorItem(pointer=pointer, code="type", detail="Options are a JSON object.")]
    if flaws:
        raise ProblemError(422, flaws[0].code, flaws[0].detail, errors=flaws)
    return cast("dict[str, object]", document.value)


def _convert(given: Mapping[str, object], kind: type[ImportOptions], pointer: str) -> ImportOptions:
    try:
        return check_options(msgspec.convert(given, kind))
    except msgspec.ValidationError as error:
        detail, _, place = str(error).partition(" - at `$")
        unknown = re.search(r"unknown field `(.*)`", detail)
        name = unknown[1] if unknown else place.rstrip("`").lstrip(".").replace(".", "/")
        code = "unknown_field" if unknown else "type"
        raise _problem(name, code, detail[:1].lower() + detail[1:], pointer) from None
    except OptionError as error:
        raise _problem(error.name, "invalid_option", str(error), pointer) from None


def _problem(name: str, code: str, detail: str, pointer: str = "/options") -> ProblemError:
    item = ErrorItem(pointer=f"{pointer}/{name}", code=code, detail=f"{detail[:1].upper()}{detail[1:]}.")
    return ProblemError(422, code, item.detail, errors=(item,))
