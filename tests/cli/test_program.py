"""troth program …: what it prints, what it changes, how it ends; over a real database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from troth.cli.program import program
from troth.core.program.items import plain_document
from troth.core.program.text import parse_document
from troth.store.programs import live_revision, load_live

SHOP = Path(__file__).parents[2] / "examples" / "programs" / "shop.yaml"
WRONG = """\
settings: {time_zone: Mars}
rules:
  - id: bad
    event_type: opt_in
    award: "customer.balanc × 2"
"""
Troth = Callable[..., Awaitable[Result]]


@pytest.fixture
def troth(database, monkeypatch) -> Troth:
    monkeypatch.setenv("TROTH_DATABASE_URL", database.app_dsn)
    monkeypatch.setenv("TROTH_DATABASE_OWNER_URL", database.owner_dsn)

    async def run(*arguments: object, answer: str | None = None) -> Result:
        texts = [str(argument) for argument in arguments]
        return await asyncio.to_thread(CliRunner().invoke, program, texts, input=answer)

    return run


@pytest.fixture
async def connection(database):
    async with database.open_database() as opened, opened.pool.acquire() as acquired:
        yield acquired


async def test_apply_makes_a_file_the_program(troth: Troth, connection) -> None:
    done = await troth("apply", SHOP, "--yes", "--note", "opening")
    assert (done.exit_code, done.output) == (0, "Revision 2 is live: 62 changes.\n")
    live = await load_live(connection)
    assert live is not None
    assert (live.number, live.note) == (2, "opening")
    assert live.document == plain_document(parse_document(SHOP.read_text(encoding="utf-8")).raw)
    again = await troth("apply", SHOP, "--yes")
    assert (again.exit_code, again.output) == (0, "Nothing differs; revision 2 stays live.\n")
    shown = await troth("show")
    assert shown.output.startswith("# revision 2\n")
    assert plain_document(parse_document(shown.output).raw) == live.document


async def test_every_problem_is_printed_with_its_place(troth: Troth, connection, tmp_path: Path) -> None:
    await troth("apply", SHOP, "--yes")
    file = tmp_path / "wrong.yaml"
    file.write_text(WRONG)
    for command in (("check", file), ("plan", file), ("apply", file, "--yes")):
        done = await troth(*command)
        assert done.exit_code == 1, command
        time_zone, balance, summary = done.stderr.splitlines()
        assert time_zone.startswith(f"{file}:1:23: time_zone: there is no time zone 'Mars'")
        assert balance.startswith(f"{file}:5:22: unknown_property: ")
        assert "(did you mean 'balance'?)" in balance
        assert summary == "2 problems; the live program stays as it is."
    assert await live_revision(connection) == 2


async def test_a_json_file_has_places_too(troth: Troth, tmp_path: Path) -> None:
    file = tmp_path / "program.json"
    file.write_text('{\n "settings": {"nme": 1.0, "nme": 2}\n}')
    done = await troth("check", file)
    assert done.exit_code == 1
    assert [line.partition(": ")[0] for line in done.stderr.splitlines()[:2]] == [f"{file}:2:15", f"{file}:2:15"]


async def test_a_file_that_cannot_be_read_says_so(troth: Troth, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("rules: [")
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"\xff")
    for file, text in ((tmp_path / "none.yaml", "No such file"), (broken, ":1:9: syntax: "), (latin, "utf-8")):
        done = await troth("check", file)
        assert (done.exit_code, text in done.stderr) == (1, True), done.stderr


async def test_plan_shows_what_would_change(troth: Troth, connection, tmp_path: Path) -> None:
    await troth("apply", SHOP, "--yes")
    file = tmp_path / "next.yaml"
    text = SHOP.read_text(encoding="utf-8").replace('award: "100"', 'award: "150"').replace("name: Acme", "name: Apex")
    file.write_text(text, encoding="utf-8")
    done = await troth("plan", file)
    assert done.output.splitlines() == [
        "~ settings",
        "    name: Acme Rewards → Apex Rewards",
        "~ rules/welcome",
        "    award: 100 → 150",
        "2 changes.",
    ]
    assert await live_revision(connection) == 2


async def test_apply_asks_unless_told_not_to(troth: Troth, connection) -> None:
    refused = await troth("apply", SHOP, answer="n\n")
    assert refused.exit_code == 1
    assert await live_revision(connection) == 1
    assert (await troth("apply", SHOP, answer="y\n")).exit_code == 0
    assert await live_revision(connection) == 2


async def test_history_diff_and_rollback(troth: Troth, connection, tmp_path: Path) -> None:
    await troth("apply", SHOP, "--yes", "--note", "opening")
    file = tmp_path / "empty.yaml"
    file.write_text("rules: []\n")
    await troth("apply", file, "--yes")
    lines = (await troth("history")).output.splitlines()
    assert [line.split()[0] for line in lines] == ["3", "2", "1"]
    assert lines[1].endswith("opening")
    differing = (await troth("diff", 2, 3)).output
    assert "- rules/base" in differing
    assert (await troth("diff", 3)).output == "Nothing differs.\n"
    done = await troth("rollback", 2, "--yes")
    assert (done.exit_code, done.output.split(":")[0]) == (0, "Revision 4 is live")
    assert (await troth("diff", 2, 4)).output == "Nothing differs.\n"
    missing = await troth("rollback", 9, "--yes")
    assert (missing.exit_code, missing.stderr) == (1, "Error: There is no revision 9.\n")
    live = await load_live(connection)
    assert live is not None
    assert live.note == "Rollback to revision 2"
