"""A server with an Antavo-compatible source."""

from __future__ import annotations

import pytest

from tests.entry.antavo.calling import Shop, open_shop
from tests.serving import Served


@pytest.fixture
async def shop(served: Served) -> Shop:
    return await open_shop(served)
