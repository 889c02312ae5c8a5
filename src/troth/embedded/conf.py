"""The files that configure our server: settings, who may connect as whom. Written anew at every start.

Durable and on the Unix socket alone. Nothing that a client sent reaches the log: statements and errors of sessions
are not written there, since they may hold personal values.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from troth.embedded.account import Account

ROLES = ("postgres", "troth_owner", "troth_app")
_MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    durable: bool = True  # False: nothing is flushed to disk; for tests, a crash of the machine loses the cluster
    connections: int = 100
    buffers_mb: int | None = None  # None: an eighth of the memory, between 64 and 512


def server_conf(settings: Settings, sockets: Path) -> str:
    """postgresql.conf."""
    lines = "\n".join(f"{name} = {value}" for name, value in _values(settings, sockets))
    return f"# Written by Troth at every start; change settings with ALTER SYSTEM.\n{lines}\n"


def access_conf() -> str:
    """pg_hba.conf: the socket alone, and only system users named in pg_ident.conf. No passwords exist."""
    return "local all all peer map=troth\n"


def users_conf(account: Account) -> str:
    """pg_ident.conf: the account, and root who can become it anyway, may act as each of our roles."""
    users = sorted({account.name, "root"})
    return "".join(f'troth "{user}" {role}\n' for user in users for role in ROLES)


def _values(settings: Settings, sockets: Path) -> Iterator[tuple[str, str]]:
    memory_mb = memory_bytes() // _MEBIBYTE
    yield "listen_addresses", "''"
    yield "unix_socket_directories", "'{}'".format(str(sockets).replace("'", "''"))
    yield "unix_socket_permissions", "0700"
    yield "max_connections", str(settings.connections)
    yield "shared_buffers", f"{settings.buffers_mb or min(512, max(64, memory_mb // 8))}MB"
    yield "effective_cache_size", f"{max(128, memory_mb // 2)}MB"
    yield "random_page_cost", "1.1"  # nobody runs this on spinning disks without tuning it
    yield "jit", "off"
    yield "max_wal_size", "2GB"  # fewer checkpoints, so fewer full page images; recovery stays within minutes
    yield "min_wal_size", "256MB"
    yield "checkpoint_timeout", "10min"
    yield "autovacuum_naptime", "15s"
    yield "client_connection_check_interval", "10s"  # a killed Troth's long statements end
    yield "timezone", "'UTC'"
    yield "log_timezone", "'UTC'"
    yield "lc_messages", "'C'"
    yield "log_min_messages", "log"
    yield "log_min_error_statement", "panic"
    yield "log_checkpoints", "off"
    yield "log_autovacuum_min_duration", "-1"
    yield "log_line_prefix", "'%m [%p] '"
    if not settings.durable:
        yield "fsync", "off"
        yield "full_page_writes", "off"
        yield "synchronous_commit", "off"


def memory_bytes() -> int:
    """The machine's memory, or the bound of the control group we run in."""
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(installed, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):
        return installed
