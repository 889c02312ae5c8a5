"""Whatever the text: clean diagnostics, soon. What is accepted after mutation also compiles and runs."""

from __future__ import annotations

import os
import random
import re
import time

import pytest

from tests.core.expression.oracle import Maker
from tests.core.expression.samples import sample
from tests.core.expression.schema import EVENT, INPUTS, SCOPE, inputs_of, values_of
from tests.core.expression.test_diagnostics import CODES, cases
from troth import limits
from troth.core.expression import Checked, check, compile_expression, trace
from troth.core.expression.trace import decimal_text

SEED = int(os.environ.get("TROTH_TEST_SEED", "20261122"))
INPUTS_PER_TEST = 2_500
SLOW_SECONDS = 0.5
SAMPLES = [sample(random.Random(f"{SEED}/row/{at}")) for at in range(3)]
ROWS = [(values_of(EVENT), inputs_of(INPUTS)), *((each.values, inputs_of(each.inputs)) for each in SAMPLES)]
PIECES = [
    *"()[]{}?:.,;+-*/%<>=!&|\"'“”‘’×÷−≤≥≠@#\\`~^$_ \t\n\r\x00\x01\x7f\ud800\udfff\u202e\ufeff😀é٣²",
    *(
        "true",
        "false",
        "null",
        "and",
        "or",
        "not",
        "in",
        "==",
        "!=",
        "<=",
        ">=",
        "&&",
        "||",
        "??",
        "0",
        "1.50",
        "9" * 37,
    ),
    *(
        "properties",
        "customer",
        "event",
        "properties.amount",
        "properties.items",
        "i",
        "has(",
        "round(",
        ".sum(i, ",
        ".size",
    ),
    *(
        "__class__",
        "__import__('os')",
        "{0}",
        "%s",
        "0x1F",
        "1e999999",
        "1_000",
        "\u200f",
        "7" * 400,
        "...",
        "lambda",
        "--",
        "'''",
    ),
]
KINDS = (
    r"[-+*/%×÷−]",
    r"[<>=!]=|[<>≤≥≠]",
    r"[0-9]+(?:\.[0-9]+)?",
    r"(?<=\.)\w+",
    r"properties\.\w+",
    r"&&|\|\||and|or",
)


def judged(source: str) -> Checked:
    """Checks both as formula and condition, and everything that every answer must be."""
    begun = time.process_time()
    answers = [check(source, SCOPE, "number"), check(source, SCOPE, "condition")]
    assert time.process_time() - begun < SLOW_SECONDS, (SEED, source)
    for checked in answers:
        assert checked.ok or any(found.severity == "error" for found in checked.diagnostics), (SEED, source)
        assert len(checked.diagnostics) <= limits.EXPRESSION_PROBLEMS
        for found in checked.diagnostics:
            assert found.code in CODES, (SEED, source)
            assert 0 <= found.start <= found.end <= len(source), (SEED, source)
            assert source[: found.start].count("\n") + 1 == found.line, (SEED, source)
            assert found.start - source.rfind("\n", 0, found.start) == found.column, (SEED, source)
            assert found.message
            assert len(str(found)) < 400, (SEED, source)
            assert "\x00" not in str(found), (SEED, source)
            assert str(found).encode(), (SEED, source)  # no lone surrogates: it is answered as JSON
    return answers[0] if answers[0].ok else answers[1]


def run(checked: Checked) -> None:
    """An accepted rule fails on no event, and is worth the same in every form."""
    compiled = compile_expression(checked)
    values, inputs = [values for values, _ in ROWS], [inputs for _, inputs in ROWS]
    results = [compiled.function(*row) for row in ROWS]
    assert compiled.bulk(values, inputs) == results, (SEED, checked.source)
    for row, result in zip(ROWS, results, strict=True):
        told = trace(checked, *row)[0].value
        wanted = result if isinstance(result, bool) else decimal_text(result, compiled.places)
        assert told == wanted, (SEED, checked.source)


def mutated(random_: random.Random, source: str) -> str:
    """Characters are cut, doubled, turned or put in, or a word is replaced by another of its kind."""
    for _ in range(random_.randint(1, 3)):
        if random_.random() < 0.5:
            at, to = sorted((random_.randrange(len(source) + 1), random_.randrange(len(source) + 1)))
            to = min(to, at + 12)
            piece = random_.choice(("", random_.choice(PIECES), source[at:to] * 2, source[at:to][::-1]))
            source = source[:at] + piece + source[to:]
            continue
        kind = random_.choice(KINDS)
        places = list(re.finditer(kind, source))
        if places:
            place = random_.choice(places)
            source = source[: place.start()] + random_.choice(places).group() + source[place.end() :]
    return source


@pytest.mark.parametrize("part", range(4))
def test_mutated_rules(part: int) -> None:
    random_ = random.Random(f"{SEED}/mutated/{part}")
    accepted = 0
    for at in range(INPUTS_PER_TEST):
        maker = Maker(f"{SEED}/{part}/{at}")
        made = maker.formula() if at % 2 else maker.condition()
        checked = judged(mutated(random_, made.text))
        if checked.ok:
            accepted += 1
            run(checked)
    assert accepted > INPUTS_PER_TEST / 20


def test_mutated_mistakes() -> None:
    random_ = random.Random(f"{SEED}/mistakes")
    sources = [source for source, _, _ in cases()]
    for _ in range(INPUTS_PER_TEST):
        judged(
            mutated(random_, random_.choice(sources) + random_.choice((" + ", " && ", "")) + random_.choice(sources))
        )


def test_pieces_in_any_order() -> None:
    random_ = random.Random(f"{SEED}/pieces")
    for _ in range(INPUTS_PER_TEST):
        judged("".join(random_.choice(PIECES) for _ in range(random_.randint(1, 60))))


@pytest.mark.parametrize(
    "source",
    [
        "",
        "\x00",
        "'\x00'",
        "'\ud800'",
        "\udfff",
        "a" * 1_000_000,
        "9" * 1_000_000,
        '"' * 1_000_000,
        "(" * 4_000,
        "[" * 4_000,
        "-" * 4_000,
        "!" * 4_000,
        "not " * 1_000,
        "x." * 2_000,
        "1 ? " * 1_000,
        "1 ?? " * 799,
        "properties.items." + "filter(i, true)." * 200 + "size",
        "f(" * 1_000,
        "1" + "/3" * 60,
        "*".join(["0.9999999999999999"] * 60),
        "/".join(["1.0000000000000003"] * 60),
        "9" * 3_999 + "*9",
        "properties.items.any(i, " * 39 + "true" + ")" * 39,
        '"' + "\\" * 3_999,
        '"' + "\\n" * 1_999 + '"',
        "\n" * 4_000,
        "@" * 4_000,
        "x+" * 399 + "x",
        "properties." + "z" * 3_900,
        ",".join(["min(1"] * 100),
        "“" * 2_000 + "”" * 2_000,
    ],
)
def test_extremes(source: str) -> None:
    judged(source)


def test_the_deepest_accepted_rules_run() -> None:
    """The highest trees the bounds let through compile, run and can be traced, also deep in a stack."""
    item = "properties.pieces"
    ladder = f"{item} > 1 ? 1 : " * 60 + "0"
    chain = item + f" + {item}" * 60
    deep = "(" * 40 + chain + ")" * 40
    nested = "clamp(abs(-(" * 9 + "properties.change" + ")), 0, 9)" * 9
    chosen = "(true ? 1 + " * 19 + "1" + " : 2)" * 19
    filters = "properties.items" + ".filter(f, f.price > 0)" * 38 + ".size"
    negations = "!" * 40 + "true"
    for source in (ladder, chain, deep, nested, chosen, filters, negations):
        checked = judged(source)
        assert checked.ok, (source, [str(found) for found in checked.diagnostics])
        run(checked)
        _deeper(400, checked)


def _deeper(frames: int, checked: Checked) -> None:
    if frames:
        _deeper(frames - 1, checked)
    else:
        check(checked.source, SCOPE, "number")
        run(checked)


def test_ordinary_rules_are_checked_fast() -> None:
    """Fast enough for an editor to check while its user types: 2 ms, asserted with room for a busy machine."""
    sources = [source for source, _, _ in cases()]
    begun = time.process_time()
    for source in sources:
        check(source, SCOPE, "number")
    assert (time.process_time() - begun) / len(sources) < 0.004
