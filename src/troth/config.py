"""Every setting of a Troth process, once: TROTH_… variables → Config, or one error that names every wrong one.

Nothing else reads the environment. Secrets never appear in a repr or in an error.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from ipaddress import ip_network
from pathlib import Path
from typing import Literal, TypeVar

from troth import limits

Mode = Literal["development", "production"]
LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]

T_co = TypeVar("T_co", covariant=True)
Reader = Callable[[str], T_co]  # raises ValueError with "must be …"


class ConfigError(Exception):
    """The settings do not allow a start; the text names each wrong one."""


# What a value may be


def whole(low: int, high: int) -> Reader[int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return read


def one_of(*allowed: str) -> Reader[str]:
    def read(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"must be one of: {', '.join(allowed)}")
        return text

    return read


def read_switch(text: str) -> bool:
    if text not in ("on", "off"):
        raise ValueError("must be on or off")
    return text == "on"


def read_path(text: str) -> Path:
    return Path(text).expanduser()


def read_host(text: str) -> str:
    if not text or any(character.isspace() or character == "/" for character in text):
        raise ValueError("must be a host name or an address")
    return text


def read_networks(text: str) -> str:
    try:
        return ",".join(str(ip_network(part.strip())) for part in text.split(","))
    except ValueError:
        raise ValueError("must be addresses or networks by commas, like 10.0.0.7,192.168.0.0/16") from None


def read_database_url(text: str) -> str:
    if not text.startswith(("postgresql://", "postgres://")):
        raise ValueError("must be a URL like postgresql://user:password@host/database")
    return text


def read_key(text: str) -> bytes:
    """32 bytes as 64 hexadecimal digits or as base64."""
    try:
        value = bytes.fromhex(text) if len(text) == 64 else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        value = b""
    if len(value) != 32:
        raise ValueError("must be 32 random bytes as base64 or hexadecimal (openssl rand -base64 32)")
    return value


def _variable(name: str, read: Reader[object]) -> Mapping[str, object]:
    """Where a field of Config is read from, and how."""
    return {"name": name, "read": read}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The settings of one process; a field's comment says what it means and its unit."""

    mode: Mode = field(
        default="development", metadata=_variable("TROTH_MODE", one_of("development", "production"))
    )  # production: live keys, signatures, no test clock
    data: Path = field(default=Path(".troth"), metadata=_variable("TROTH_DATA", read_path))  # data folder; --data
    host: str = field(default="127.0.0.1", metadata=_variable("TROTH_HOST", read_host))  # address to listen on
    port: int = field(default=8_000, metadata=_variable("TROTH_PORT", whole(0, 65_535)))  # --port; 0: any free one
    master_key: bytes | None = field(
        default=None, repr=False, metadata=_variable("TROTH_MASTER_KEY", read_key)
    )  # seals personal keys; None: the file beside the data

    database_url: str | None = field(
        default=None, repr=False, metadata=_variable("TROTH_DATABASE_URL", read_database_url)
    )  # the login that serves; None: the embedded server
    database_owner_url: str | None = field(
        default=None, repr=False, metadata=_variable("TROTH_DATABASE_OWNER_URL", read_database_url)
    )  # the login that migrates; None: the one that serves
    postgres_buffers_mb: int | None = field(
        default=None, metadata=_variable("TROTH_POSTGRES_BUFFERS_MB", whole(16, 1 << 20))
    )  # MiB of shared_buffers of the embedded server; None: an eighth of the memory, 64 to 512

    lanes: int = field(default=limits.LANES, metadata=_variable("TROTH_LANES", whole(1, 32)))  # concurrent batches
    queue_events: int = field(
        default=limits.QUEUE_EVENTS, metadata=_variable("TROTH_QUEUE_EVENTS", whole(1_000, 1_000_000))
    )  # events waiting per lane before 503
    read_connections: int = field(
        default=8, metadata=_variable("TROTH_READ_CONNECTIONS", whole(1, 64))
    )  # connections for reads and settings, beside one per lane
    settles: bool = field(
        default=True, metadata=_variable("TROTH_SETTLES", read_switch)
    )  # `serve` applies what falls due for quiet customers; off: `troth worker` does
    runs_jobs: bool = field(
        default=True, metadata=_variable("TROTH_RUNS_JOBS", read_switch)
    )  # `serve` runs imports and exports; off: `troth worker` does
    job_processes: int = field(
        default=min(len(os.sched_getaffinity(0)), 4) if hasattr(os, "sched_getaffinity") else 2,
        metadata=_variable("TROTH_JOB_PROCESSES", whole(0, 32)),
    )  # that `serve` runs jobs with, beside itself; 0: in its own process
    import_mb: int = field(
        default=limits.IMPORT_FILE_MB, metadata=_variable("TROTH_IMPORT_MB", whole(1, 1 << 20))
    )  # MiB of one uploaded file
    file_days: int = field(
        default=limits.FILE_DAYS, metadata=_variable("TROTH_FILE_DAYS", whole(1, 3_650))
    )  # how long uploaded files and rejected rows are kept
    delivers: bool = field(
        default=True, metadata=_variable("TROTH_DELIVERS", read_switch)
    )  # `serve` delivers to webhooks; off: `troth worker` does
    webhooks_private: bool = field(
        default=False, metadata=_variable("TROTH_WEBHOOKS_PRIVATE", read_switch)
    )  # webhooks may be at private, loopback and link-local addresses, and in production without https
    export_days: int = field(
        default=7, metadata=_variable("TROTH_EXPORT_DAYS", whole(1, 365))
    )  # how long the file of an export can be downloaded
    export_margin_seconds: int = field(
        default=120, metadata=_variable("TROTH_EXPORT_MARGIN_SECONDS", whole(0, 3_600))
    )  # exports read events recorded up to so long ago: none under way can come in before those
    statement_seconds: int = field(
        default=30, metadata=_variable("TROTH_STATEMENT_SECONDS", whole(1, 3_600))
    )  # bound of one statement of a request
    start_seconds: int = field(
        default=600, metadata=_variable("TROTH_START_SECONDS", whole(1, 86_400))
    )  # patience with crash recovery
    stop_seconds: int = field(
        default=30, metadata=_variable("TROTH_STOP_SECONDS", whole(1, 3_600))
    )  # for requests in flight at shutdown

    trusted_proxies: str = field(
        default="", metadata=_variable("TROTH_TRUSTED_PROXIES", read_networks)
    )  # by commas: whose X-Forwarded-For and -Proto are believed; empty: nobody's
    log_level: LogLevel = field(
        default="info", metadata=_variable("TROTH_LOG_LEVEL", one_of("debug", "info", "warning", "error"))
    )
    log_format: LogFormat = field(default="text", metadata=_variable("TROTH_LOG_FORMAT", one_of("text", "json")))

    is_mode_explicit: bool = False  # TROTH_MODE was given
    unknown: tuple[str, ...] = ()  # TROTH_… variables that no setting has; said at start


def read_config(environment: Mapping[str, str], **chosen: object) -> Config:
    """Settings from the environment, over them what the command line has `chosen` (None: not chosen).

    An empty variable counts as unset. ConfigError names every wrong variable at once.
    """
    settings = {str(item.metadata["name"]): item for item in fields(Config) if item.metadata}
    values: dict[str, object] = {}
    problems = []
    for name, item in settings.items():
        text = environment.get(name, "").strip()
        if text:
            try:
                values[item.name] = item.metadata["read"](text)
            except ValueError as error:
                problems.append(f"{name} {error}{_hint(text)}")
    values |= {name: value for name, value in chosen.items() if value is not None}
    problems += _contradictions(values)
    if problems:
        raise ConfigError("; ".join(problems))
    unknown = tuple(sorted(name for name in environment if name.startswith("TROTH_") and name not in settings))
    values |= {"is_mode_explicit": bool(environment.get("TROTH_MODE", "").strip()), "unknown": unknown}
    return Config(**values)  # type: ignore[arg-type]


def _contradictions(values: Mapping[str, object]) -> list[str]:
    if values.get("database_owner_url") and not values.get("database_url"):
        return ["TROTH_DATABASE_OWNER_URL needs TROTH_DATABASE_URL beside it, the login that serves"]
    return []


def _hint(text: str) -> str:
    """Kubernetes sets NAME_PORT=tcp://… for a service called NAME."""
    return " (Kubernetes set it for a service: use enableServiceLinks: false)" if text.startswith("tcp://") else ""
