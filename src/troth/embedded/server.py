"""One server process of a cluster whose lock we hold: start or adopt, watch, stop."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import signal
import subprocess
import time
from collections.abc import Callable

from troth.embedded.account import EmbeddedPostgresError
from troth.embedded.binaries import Binaries
from troth.embedded.folder import Folder, socket_folder
from troth.embedded.options import Options
from troth.embedded.process import drop_stale_files, find_postmaster, is_server, last_words, signal_server

_POLL_SECONDS = 0.01
_PASSING_SECONDS = 60  # how long a start that may pass is tried again
_RESTART_SECONDS_MAX = 30.0
_CUT_SECONDS = 15
_LOG_BYTES_MAX = 10 << 20
_PASSING = ("pre-existing shared memory block", 'lock file "postmaster.pid" already exists')
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
# The account itself opens the log; the shell then becomes the server, with the number we know.
_LAUNCH = 'log=$1; shift; exec "$@" >>"$log" 2>&1'

logger = logging.getLogger(__name__)


class Server:
    def __init__(self, folder: Folder, binaries: Binaries, options: Options) -> None:
        self._folder = folder
        self._binaries = binaries
        self._options = options
        self._pid = 0
        self._child: subprocess.Popen[bytes] | None = None  # None when adopted
        self._log_start = 0  # where this start's words begin in the log

    async def start(self) -> None:
        """Return when the server takes connections; a live server of this cluster is adopted."""
        found = find_postmaster(self._folder)
        if found is not None:
            if found.pid != self._pid:
                self._pid, self._child = found.pid, None
                logger.info("Adopting the running PostgreSQL, process %d", found.pid)
            if await self._becomes_ready():
                return
        patience = time.monotonic() + _PASSING_SECONDS
        while not await self._launched():
            words = self._last_words()
            if not any(text in words for text in _PASSING) or time.monotonic() > patience:
                raise EmbeddedPostgresError(f"PostgreSQL did not start on {self._folder.server}: {words}")
            await asyncio.sleep(10 * _POLL_SECONDS)  # processes of a killed server are still ending

    async def keep_running(self) -> None:
        """Never returns: starts the server again whenever it ends, waiting longer after each failure."""
        wait_seconds = 0.1
        while True:
            if self._is_alive():
                wait_seconds = 0.1
                await asyncio.sleep(10 * _POLL_SECONDS)
                continue
            logger.warning("PostgreSQL ended by itself; starting it again")
            try:
                await self.start()
            except EmbeddedPostgresError:
                logger.exception("PostgreSQL could not be started again; next try in %.1f s", wait_seconds)
                await asyncio.sleep(wait_seconds)
                wait_seconds = min(2 * wait_seconds, _RESTART_SECONDS_MAX)

    async def stop(self) -> None:
        """Stop at once but cleanly: sessions are ended, a checkpoint is written."""
        self._signal(signal.SIGINT)
        if await self._has_ended(self._options.stop_seconds):
            return
        logger.error("PostgreSQL did not stop in %.0f s; cutting it, it recovers next time", self._options.stop_seconds)
        self._signal(signal.SIGQUIT)
        await self._has_ended(_CUT_SECONDS)

    async def _launched(self) -> bool:
        """Start the process and wait for it; False when it ended instead, saying why in its log."""
        drop_stale_files(self._folder, socket_folder(self._folder))
        log = self._folder.log
        if log.exists() and log.stat().st_size > _LOG_BYTES_MAX:
            log.replace(log.with_name(f"{log.name}.1"))
        self._log_start = log.stat().st_size if log.exists() else 0
        self._child = subprocess.Popen(  # noqa: S603 - fixed programs with our own paths
            ["/bin/sh", "-c", _LAUNCH, "sh", log, self._binaries.program("postgres"), "-D", self._folder.server],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C in the terminal is for us alone
            preexec_fn=_die_with_parent() if self._options.dies_with_us else None,
            **self._folder.account.process_settings(),
        )
        self._pid = self._child.pid
        return await self._becomes_ready()

    async def _becomes_ready(self) -> bool:
        """Wait through crash recovery; False when the process ended."""
        deadline = time.monotonic() + self._options.start_seconds
        while self._is_alive():
            found = find_postmaster(self._folder)
            if found is not None and found.pid == self._pid and found.is_ready:
                return True
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"PostgreSQL is not ready after {self._options.start_seconds:.0f} s; {self._folder.log} says how "
                    "far its recovery is. Start again to go on waiting (TROTH_START_SECONDS)."
                )
            await asyncio.sleep(_POLL_SECONDS)
        return False

    async def _has_ended(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self._is_alive():
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(_POLL_SECONDS)
        return True

    def _is_alive(self) -> bool:
        if self._child is not None:
            return self._child.poll() is None
        return self._pid != 0 and is_server(self._pid, self._folder)

    def _signal(self, number: signal.Signals) -> None:
        if self._child is not None:
            self._child.send_signal(number)
        elif self._pid:
            signal_server(self._pid, self._folder, number)

    def _last_words(self) -> str:
        return last_words(self._folder.log, self._log_start)


def _die_with_parent() -> Callable[[], None]:
    """What the new process runs before it becomes the server: ask the kernel for SIGQUIT when this thread ends."""
    prctl = ctypes.CDLL(None).prctl

    def ask() -> None:
        prctl(_DEATH_SIGNAL, int(signal.SIGQUIT))

    return ask
