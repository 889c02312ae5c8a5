"""A server with the starter program, fresh for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.serving import Served, serving
from troth.embedded.access import DatabaseAccess


@pytest.fixture
async def served(database: DatabaseAccess) -> AsyncIterator[Served]:
    async with serving(database) as server:
        yield server
