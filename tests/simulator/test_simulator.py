"""Seeded random stories under every program: the engine and the model agree on everything, and the books balance."""

from __future__ import annotations

import pytest

from tests.conftest import TestDatabase
from tests.pipeline.conftest import logged
from tests.simulator.driver import Difference, run_story
from tests.simulator.kits import KITS
from tests.simulator.programs import Kit
from tests.simulator.telling import tell
from tests.simulator.workload import draw_story

__all__ = ["logged"]
EVENTS = 120  # of one story
SEEDS = (1, 2)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kit", KITS, ids=[kit.name for kit in KITS])
async def test_the_engine_does_what_the_model_says(kit: Kit, seed: int, database: TestDatabase) -> None:
    await _play(kit, seed, database, crashes=False)


@pytest.mark.parametrize("kit", KITS[:2], ids=[kit.name for kit in KITS[:2]])
async def test_crashes_lose_and_double_nothing(kit: Kit, database: TestDatabase) -> None:
    await _play(kit, 4, database, crashes=True)


async def _play(kit: Kit, seed: int, database: TestDatabase, *, crashes: bool) -> None:
    """Shrink what fails with `./dev simulate --seed SEED`."""
    print("program", kit.name, "seed", seed)
    story = draw_story(kit, seed, EVENTS, crashes=crashes)
    try:
        assert await run_story(database, kit, story) >= EVENTS
    except Difference as difference:
        pytest.fail(f"{difference}\n\n{tell(kit, story[: difference.step + 1], f'Seed {seed} of {kit.name}')}")
