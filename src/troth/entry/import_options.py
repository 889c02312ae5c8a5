"""What may be asked of an import, and what the file itself tells: format, encoding, delimiter, quote.

In: a JSON object, the first bytes of a file. Out: options that cannot be wrong, and how the file is read.
Whatever is detected can be stated instead. Must never: judge an event.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
from collections.abc import Mapping
from itertools import islice
from typing import Literal
from uuid import UUID

import msgspec
from charset_normalizer import from_bytes

from troth import limits
from troth.core.program.builtin_types import PROFILE_TYPE
from troth.entry.csv_import import CsvRows
from troth.entry.import_file import ImportFile, Source, UnreadableFileError
from troth.entry.import_rows import MappingError, Reading, Rows, read_targets
from troth.entry.ndjson_import import NdjsonRows

FileFormat = Literal["csv", "ndjson"]
DELIMITERS = ",;\t|"
_NAMED_DELIMITERS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
_NDJSON_ENDINGS = (".ndjson", ".jsonl")
_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_WESTERN = ["cp1252", "latin_1"]
_OTHERS = ["cp1250", "cp1251", "iso8859_2", "iso8859_5", "cp1253", "cp1254", "koi8_r", "shift_jis", "gb18030", "big5"]
_SNIFFED_BYTES = 1 << 16
_SNIFFED_ROWS = 20


class OptionError(ValueError):
    """An option says something that no import can do."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(detail)
        self.name = name


class ImportOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is asked of an import; what is null is detected."""

    kind: Literal["events", "customers"] = "events"  # customers: every row changes a profile
    format: FileFormat | None = None
    delimiter: str | None = None  # CSV: one character, or tab
    quote: str | None = None  # CSV: one character
    encoding: str | None = None  # as utf-8, utf-16, windows-1252
    mapping: Mapping[str, str] = {}  # column → customer, type, reference, occurred_at, properties.NAME; - leaves it out
    type: str | None = None  # the event type of rows that name none
    mode: Literal["live", "historical"] = "live"  # historical: nobody outside is told, no workflow starts
    awards: bool = True  # historical: false records what was paid elsewhere, and no rule is asked
    sort: bool = False  # by customer and time before anything is recorded


class Detected(msgspec.Struct, frozen=True, kw_only=True):
    """How the file is read."""

    format: FileFormat
    encoding: str
    delimiter: str | None  # null: NDJSON
    quote: str | None


class ImportAsked(msgspec.Struct, frozen=True, kw_only=True):
    """An import as its job keeps it."""

    options: ImportOptions
    detected: Detected
    permits: tuple[str, ...] | None  # of the key that asked; None: everything
    is_trusted: bool = False  # asked by whoever holds the data: no signature is demanded


def check_options(options: ImportOptions) -> ImportOptions:
    """The same options, delimiter and quote as one character each. Raises OptionError."""
    changed: dict[str, str] = {}
    if options.delimiter is not None:
        changed["delimiter"] = _one_character("delimiter", _NAMED_DELIMITERS.get(options.delimiter, options.delimiter))
    if options.quote is not None:
        changed["quote"] = _one_character("quote", options.quote)
    if changed.get("quote", '"') == changed.get("delimiter"):
        raise OptionError("delimiter", "what parts columns cannot be what quotes them too")
    if options.encoding is not None:
        _check_encoding(options.encoding)
    if len(options.mapping) > limits.IMPORT_COLUMNS:
        raise OptionError("mapping", f"at most {limits.IMPORT_COLUMNS} columns are mapped")
    if options.kind == "customers" and (options.type is not None or "type" in options.mapping.values()):
        raise OptionError("type", "rows of customers are profile events; they have no other type")
    if not options.awards and options.mode != "historical":
        raise OptionError("awards", "only an import in the mode historical goes without awards")
    try:
        read_targets([f"{column}={target}" for column, target in options.mapping.items()])
    except MappingError as error:
        raise OptionError("mapping", str(error)) from None
    return msgspec.structs.replace(options, **changed)


def detect(file: ImportFile, options: ImportOptions) -> Detected:
    """How this file is to be read. In: opened, nothing read yet. Raises UnreadableFileError."""
    sample = file.head[:_SNIFFED_BYTES]
    encoding = options.encoding or _encoding_of(sample)
    text = codecs.getincrementaldecoder(encoding)("replace").decode(sample).removeprefix("\ufeff")
    form = options.format or _format_of(text, file)
    if form == "ndjson":
        return Detected(format=form, encoding=encoding, delimiter=None, quote=None)
    quote = options.quote or _quote_of(text)
    delimiter = options.delimiter or _delimiter_of(text, quote)
    return Detected(format=form, encoding=encoding, delimiter=delimiter, quote=quote)


def detect_in(source: Source, options: ImportOptions) -> Detected:
    """How this file is to be read, and that its head can be. Raises UnreadableFileError."""
    with ImportFile(source) as file:
        detected = detect(file, options)
    asked = ImportAsked(options=options, detected=detected, permits=None)
    with ImportFile(source, detected.encoding) as file:
        rows_of(file, asked, source_detail=source.name)
    return detected


def rows_of(file: ImportFile, asked: ImportAsked, *, source_detail: str, owner: UUID | None = None) -> Rows:
    """The rows of an opened file as they were asked for. Raises UnreadableFileError."""
    options, detected = asked.options, asked.detected
    is_of_customers = options.kind == "customers"
    reading = Reading(
        source_detail=source_detail,
        targets=options.mapping,
        type=PROFILE_TYPE if is_of_customers else options.type,
        delimiter=detected.delimiter or ",",
        quote=detected.quote or '"',
        is_of_customers=is_of_customers,
        owner=owner,
        scopes=frozenset(asked.permits) if asked.permits is not None else None,
        is_trusted=asked.is_trusted,
        is_historical=options.mode == "historical",
        may_earn=options.awards,
    )
    return NdjsonRows(file, reading) if detected.format == "ndjson" else CsvRows(file, reading)


def _one_character(name: str, text: str) -> str:
    if len(text) != 1 or text in "\r\n\0" or (name == "delimiter" and text == '"'):
        raise OptionError(name, "one character, or tab" if name == "delimiter" else "one character")
    return text


def _check_encoding(name: str) -> None:
    try:
        with contextlib.suppress(UnicodeError):
            b"a".decode(name)  # what is no encoding of text is a LookupError too
    except LookupError:
        raise OptionError("encoding", f"there is no encoding '{name}'; write utf-8, utf-16 or windows-1252") from None


def _encoding_of(sample: bytes) -> str:
    """UTF-8 unless the sample rules it out; bytes that are broken among whole characters do not."""
    mark = next((name for mark, name in _MARKS.items() if sample.startswith(mark)), None)
    if mark is not None:
        return mark
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        pass
    else:
        return "utf-8"
    whole = sample.decode("utf-8", "ignore")
    if not whole.isascii():
        return "utf-8"
    for candidates in (_WESTERN, _OTHERS):
        found = from_bytes(sample, cp_isolation=candidates).best()
        if found is not None:
            return str(found.encoding)
    return "utf-8"


def _format_of(text: str, file: ImportFile) -> FileFormat:
    """By the name, else by the first character: no CSV header begins with a brace."""
    if text.lstrip().startswith("{") or file.name.removesuffix(".gz").endswith(_NDJSON_ENDINGS):
        return "ndjson"
    if text.lstrip().startswith("["):
        raise UnreadableFileError(
            f"{file.name} is a JSON list; write one event per line, without the list around them."
        )
    return "csv"


def _quote_of(text: str) -> str:
    """Apostrophes quote where every name of the header stands between two of them and nothing else quotes."""
    head = text.splitlines()[0] if text.splitlines() else ""
    is_quoted = len(head) > 1 and head[0] == head[-1] == "'" and '"' not in text
    return "'" if is_quoted else '"'


def _delimiter_of(text: str, quote: str) -> str:
    """What parts the first rows most evenly into most columns."""
    best, found = (0.0, 1), ","
    for delimiter in DELIMITERS:
        widths = _widths(text, delimiter, quote)
        if widths and widths[0] > 1:
            score = (sum(width == widths[0] for width in widths) / len(widths), widths[0])
            if score > best:
                best, found = score, delimiter
    return found


def _widths(text: str, delimiter: str, quote: str) -> list[int]:
    """Columns of the first rows; the last one may be cut off and does not count, unless it is the only one."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quotechar=quote)
    widths: list[int] = []
    with contextlib.suppress(csv.Error):
        widths.extend(len(cells) for cells in islice(reader, _SNIFFED_ROWS) if cells)
    return widths[:-1] if len(widths) > 1 and len(widths) < _SNIFFED_ROWS and not text.endswith("\n") else widths
