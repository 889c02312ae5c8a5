"""A serving process to be killed: records numbered events until it is ended, and says which were answered.

python sender.py APP_DSN COUNT → one line per answered batch: the numbers of its events; ends after COUNT events.
"""

import asyncio
import sys

from troth.engine import running_engine
from troth.pipeline.outcome import Applied, Duplicate, RawEvent
from troth.store.pool import open_database
from troth.store.vault import Vault

KEY = b"k" * 32
CLIENTS = 4
PART = 5


def event(number: int) -> RawEvent:
    """Event `number` brings number % 9 + 1 points to one of ten customers."""
    properties = {"amount": str(number % 9 + 1)}
    return RawEvent(customer=f"c{number % 10}", type="purchase", reference=f"r{number}", properties=properties)


async def main(dsn: str, count: int) -> None:
    async with open_database(dsn, connections=2) as database, running_engine(database, Vault(KEY)) as engine:
        numbers = iter([range(first, min(first + PART, count)) for first in range(0, count, PART)])

        async def client() -> None:
            for part in numbers:
                outcomes = await engine.batcher.ingest([event(number) for number in part])
                assert all(isinstance(outcome, Applied | Duplicate) for outcome in outcomes), outcomes
                print(*part, flush=True)

        await asyncio.gather(*(client() for _ in range(CLIENTS)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
