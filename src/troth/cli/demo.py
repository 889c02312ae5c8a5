"""troth demo: a believable shop recorded through the engine, for a first look.

The same seed tells the same stories under the same references, so a second run adds only what has happened since.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import click
import uvloop

from troth.cli.engine import STOPPED, command_engine, stopping_by_signal
from troth.cli.settings import data_option
from troth.config import Config, read_config
from troth.core.coercion import Problem
from troth.demo.stories import Happening, Shop
from troth.entry.import_rows import Row, told
from troth.entry.import_run import ImportRun, Tally
from troth.pipeline.outcome import Overloaded, RawEvent

_REASONS_SHOWN = 5


@dataclass(slots=True)
class _Told:
    """What the stories held, and why some of it was not recorded."""

    types: Counter[str] = field(default_factory=Counter)
    unknown: set[str] = field(default_factory=set)  # event types that the program does not have
    buyers: Counter[str] = field(default_factory=Counter)  # purchases of each customer
    reasons: Counter[str] = field(default_factory=Counter)

    def rows(self, happenings: Iterator[Happening], types: Collection[str]) -> Iterator[Row]:
        for number, happening in enumerate(happenings, 1):
            if happening.type not in types:
                self.unknown.add(happening.type)
                continue
            self.types[happening.type] += 1
            self.buyers[happening.customer] += happening.type == "purchase"
            yield Row(number, 0, "", _raw_event(happening))

    def reject(self, row: Row, problems: Sequence[Problem]) -> None:
        assert row.event is not None
        self.reasons[f"{row.event.type}: {told(problems)[1]}"] += 1


@click.command()
@data_option
@click.option(
    "--seed", type=click.IntRange(0, 999_999), default=1, show_default=True, help="Another seed, another shop."
)
@click.option("--customers", type=click.IntRange(1, 99_999), default=200, show_default=True)
@click.option("--days", type=click.IntRange(1, 1_095), default=180, show_default=True, help="How long ago it opened.")
def demo(data: Path | None, seed: int, customers: int, days: int) -> None:
    """Fill the program that is live with a shop's customers: sign-ups, purchases, reviews, referrals and visits."""
    shop = Shop(seed=seed, customers=customers, days=days)
    config = read_config(os.environ, data=data)
    started = time.monotonic()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            tally, found, is_complete = runner.run(_record(config, shop))
        except Overloaded as failure:
            raise click.ClickException(f"{failure}. Run it again to go on.") from None
        except asyncio.CancelledError:
            sys.exit(STOPPED)
    _tell(tally, found, time.monotonic() - started)
    if not is_complete:
        sys.exit(STOPPED)


async def _record(config: Config, shop: Shop) -> tuple[Tally, _Told, bool]:
    found = _Told()
    async with command_engine(config, purpose="demo") as engine:
        types = (await engine.books.live()).rules.program.event_types
        rows = found.rows(shop.happenings(datetime.now(UTC)), types)
        run = ImportRun(rows, engine.batcher, found.reject)
        with stopping_by_signal(run.stop):
            await run.run()
    return run.tally, found, run.is_complete


def _raw_event(happening: Happening) -> RawEvent:
    return RawEvent(
        customer=happening.customer,
        type=happening.type,
        reference=happening.reference,
        occurred_at=happening.at,
        properties=happening.properties,
        source="import",
        source_detail="demo",
    )


def _tell(tally: Tally, found: _Told, seconds: float) -> None:
    click.echo(
        f"{tally.created:,} events recorded in {seconds:.1f} s, {tally.duplicates:,} were there already; "
        f"{tally.points:,} points."
    )
    for type_id, count in found.types.most_common():
        click.echo(f"  {count:>8,} {type_id}")
    if found.unknown:
        click.echo(
            f"Left out, since the program has no such event types: {', '.join(sorted(found.unknown))}.", err=True
        )
    for reason, count in found.reasons.most_common(_REASONS_SHOWN):
        click.echo(f"{count:,} rejected: {reason}", err=True)
    if found.buyers:
        click.echo(f"Look at the keenest customer, GET /v1/customers/{found.buyers.most_common(1)[0][0]}")
