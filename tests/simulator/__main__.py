"""`./dev simulate`: stories until the time is over; the first difference is shrunk, printed and fails the run."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import logging
import random
import shutil
import sys
import time
import traceback
from contextlib import AsyncExitStack

import structlog
import uvloop

from tests.conftest import Servers, fresh_database, make_scratch_folder
from tests.simulator.acts import Story
from tests.simulator.driver import Difference, run_story
from tests.simulator.kits import KITS
from tests.simulator.programs import Kit
from tests.simulator.shrink import shrink
from tests.simulator.telling import tell
from tests.simulator.workload import draw_story

TEMPLATE = "template_troth"
EVENTS = 300  # of one story
CRASHING = 4  # of so many stories one has crashes
REPORT_SECONDS = 20.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev simulate", description="Random stories against the model.")
    parser.add_argument("--minutes", type=float, default=1.0, help="how long new stories are begun (default 1)")
    parser.add_argument("--seed", type=int, default=None, help="of the first story (default: drawn)")
    parser.add_argument("--kit", choices=[kit.name for kit in KITS], help="only this program")
    parser.add_argument("--events", type=int, default=EVENTS, help=f"of one story (default {EVENTS})")
    parser.add_argument("--stories", type=int, default=None, help="end after so many")
    parser.add_argument("--no-crashes", action="store_true", help="never end the engine")
    parser.add_argument("--shrink-seconds", type=float, default=300.0)
    parser.add_argument("--keep-going", action="store_true", help="name differences and go on")
    options = parser.parse_args()
    logging.disable()  # connections that crashes break
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory(), processors=[_drop])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(simulate(options))


def _drop(_: object, method: str, event: structlog.typing.EventDict) -> str:
    """What the engine logs while it is tormented is no news, but for faults of its own."""
    if method in ("exception", "error") and isinstance(event.get("exc_info"), BaseException):
        traceback.print_exception(event["exc_info"])
    raise structlog.DropEvent


async def simulate(options: argparse.Namespace) -> int:
    folder = make_scratch_folder()
    try:
        async with AsyncExitStack() as stack:
            return await _stories(Servers(stack=stack, folder=folder), options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _stories(servers: Servers, options: argparse.Namespace) -> int:
    first = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    kits = [kit for kit in KITS if options.kit in (None, kit.name)]
    await servers.get("embedded")
    print(f"seed {first}", flush=True)
    begun = told = time.monotonic()
    sent = number = 0
    for number in itertools.count():
        if time.monotonic() - begun > options.minutes * 60 or number == options.stories:
            break
        kit, seed = kits[number % len(kits)], first + number // len(kits)
        crashes = not options.no_crashes and seed % CRASHING == 0
        story = draw_story(kit, seed, options.events, crashes=crashes)
        try:
            sent += await play(servers, kit, story)
        except Difference as difference:
            if options.keep_going:
                print(f"{kit.name} {seed}: {difference}", flush=True)
                continue
            await _report(servers, kit, (seed, story, difference), options.shrink_seconds)
            return 1
        if time.monotonic() - told > REPORT_SECONDS:
            told = time.monotonic()
            _count(sent, told - begun, number + 1)
    _count(sent, time.monotonic() - begun, number)
    return 0


async def play(servers: Servers, kit: Kit, story: Story) -> int:
    """One story on a database of its own; how many events were sent. Raises Difference."""
    async with fresh_database(await servers.get("embedded"), template=TEMPLATE) as database:
        return await run_story(database, kit, story)


async def _report(servers: Servers, kit: Kit, failed: tuple[int, Story, Difference], seconds: float) -> None:
    seed, story, difference = failed
    print(f"\nprogram {kit.name}, seed {seed}: {difference}\nshrinking …", flush=True)

    async def fails(candidate: Story) -> Difference | None:
        try:
            await play(servers, kit, candidate)
        except Difference as found:
            return found if found.kind == difference.kind else None
        return None

    story, difference = await shrink(story, difference, fails, seconds)
    print(f"\n{difference}\n\n{tell(kit, story, f'Seed {seed} of {kit.name}')}", flush=True)


def _count(sent: int, seconds: float, stories: int) -> None:
    print(f"{sent} events in {stories} stories, {sent / max(seconds, 0.001):.0f} a second, no difference", flush=True)


if __name__ == "__main__":
    sys.exit(main())
