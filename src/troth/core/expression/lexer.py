"""Source text → tokens with their places.

In: any text of at most `limits.EXPRESSION_CHARACTERS`. Out: tokens, ended by one of kind "end"; every character that
belongs to no token is reported. Typography that word processors put in (× ÷ − ≤ ≥ ≠ and curly quotes) is accepted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from troth.core.expression.diagnostic import Piece, Problems, shown

TokenKind = Literal["number", "text", "word", "symbol", "end"]

_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<number>[0-9]+(?:\.[0-9]+)?(?!\w))
  | (?P<bad_number>[0-9]\w*)
  | (?P<word>[^\W\d]\w*)
  | (?P<text>"(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*'
           | [“”„](?:[^“”„"\\\n]|\\.)*[“”„"] | [‘’‚](?:[^‘’‚'\\\n]|\\.)*[‘’‚'])
  | (?P<open_text>["'“”„‘’‚][^\n]*)
  | (?P<wrong>===|!==|<>|=>|=<|\*\*|=(?!=)|&(?!&)|\|(?!\|))
  | (?P<symbol>==|!=|<=|>=|&&|\|\||\?\?|[-+*/%<>!?:.,()\[\]×÷−–≤≥≠])
  | (?P<strange>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_SPELLINGS = {"×": "*", "÷": "/", "−": "-", "–": "-", "≤": "<=", "≥": ">=", "≠": "!=", "and": "&&", "or": "||"}
_OPERATOR_WORDS = frozenset({"and", "or", "not", "in"})
_WRONG = {
    "=": "use == to compare",
    "===": "use == to compare",
    "!==": "use != to compare",
    "<>": "use != to compare",
    "=>": "use >=",
    "=<": "use <=",
    "&": "use && or and",
    "|": "use || or or",
    "**": "there is no power: multiply instead",
}
_ESCAPES = {"n": "\n", "t": "\t", "\\": "\\", '"': '"', "'": "'"}
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # neither PostgreSQL nor UTF-8 can hold them


@dataclass(frozen=True, slots=True)
class Token:
    kind: TokenKind
    text: str  # symbols in their plain spelling, texts without quotes and escapes
    start: int
    end: int
    word: str = ""  # as written, for names that follow a dot


def lex(problems: Problems) -> list[Token]:
    source = problems.source
    tokens = []
    for match in _TOKEN.finditer(source):
        kind, text = match.lastgroup, match.group()
        piece = Piece(*match.span())
        if kind == "space":
            continue
        if kind == "text":
            tokens.append(Token("text", _unquoted(text, piece, problems), *match.span()))
        elif kind == "number":
            tokens.append(Token("number", text, *match.span()))
        elif kind == "word" and text not in _OPERATOR_WORDS:
            tokens.append(Token("word", text, *match.span(), text))
        elif kind in ("word", "symbol"):
            tokens.append(Token("symbol", _SPELLINGS.get(text, text), *match.span(), text if kind == "word" else ""))
        else:
            _refuse(str(kind), text, piece, problems)
    tokens.append(Token("end", "the end", len(source), len(source)))
    return tokens


def _unquoted(text: str, piece: Piece, problems: Problems) -> str:
    if _UNSTORABLE.search(text):
        problems.report("syntax", "a text holds a character that cannot be stored", piece, "remove NUL and surrogates")
    if "\\" not in text:
        return text[1:-1]
    for wrong in re.finditer(r"\\(.)", text):
        if wrong.group(1) not in _ESCAPES:
            place = Piece(piece.start + wrong.start(), piece.start + wrong.end())
            problems.report("syntax", "unknown escape in a text", place, r"known are \n \t \\ \" \'")
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found.group(1), ""), text[1:-1])


def _refuse(kind: str, text: str, piece: Piece, problems: Problems) -> None:
    if kind == "wrong":
        problems.report("syntax", f"unknown operator {shown(text)}", piece, _WRONG[text])
    elif kind == "bad_number":
        problems.report("syntax", f"{shown(text)} is not a number", piece, "write numbers like 1000 or 12.5")
    elif kind == "open_text":
        problems.report("syntax", "a text without its closing quote", piece, "add the closing quote")
    elif text.isprintable():
        problems.report("syntax", f"unexpected character {shown(text)}", piece)
    else:
        problems.report("syntax", f"unexpected character U+{ord(text):04X}", piece, "remove it")
