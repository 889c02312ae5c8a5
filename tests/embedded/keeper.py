"""Keeps or joins a cluster until its standard input ends: what the tests start, kill, and run as another user.

python keeper.py DATA [serve] → one line of JSON once ready; exit 3 with the reason when the cluster is refused.
"""

import asyncio
import json
import sys
from pathlib import Path

from troth.embedded.account import EmbeddedPostgresError
from troth.embedded.options import Options
from troth.embedded.postgres import running_cluster
from troth.embedded.process import find_postmaster


async def main(data: Path, purpose: str) -> None:
    options = Options(purpose=purpose, may_join=purpose != "serve", lock_seconds=1)
    async with running_cluster(data, options) as cluster:
        found = find_postmaster(cluster.folder)
        assert found is not None
        said = {
            "keeper": cluster.is_keeper,
            "pid": found.pid,
            "dsn": cluster.owner_dsn,
            "user": cluster.folder.account.name,
        }
        print(json.dumps(said), flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    try:
        asyncio.run(main(Path(sys.argv[1]), sys.argv[2] if sys.argv[2:] else "command"))
    except EmbeddedPostgresError as error:
        print(error, file=sys.stderr)
        sys.exit(3)
