"""The load generator, a process of its own: keep-alive connections, one request in flight on each, no HTTP library.

In: JSON options on standard input. Out: one JSON line with a `Sample`. What it costs by itself is reported per request.
Bodies are made before the clock starts, unless `events` bounds the run.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice

from bench.traffic import BULK_EVENTS, Traffic, bulks, request_head, singles

_READ_BYTES = 1 << 16  # larger buffers are mapped anew for each call
_PATIENCE_SECONDS = 60
_RATE_MAX = {"single": 15_000, "bulk": 60}  # requests a second that bodies are made for


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What to send."""

    port: int
    key: str = field(repr=False)
    customers: int
    kind: str = "single"  # single | bulk
    connections: int
    warm_seconds: float = 1.0  # sent, not measured
    seconds: float = 0.0
    events: int = 0  # when not 0: this many events instead of so many seconds
    each_once: bool = False  # every customer of the pool once, instead of customers drawn at random


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What came of it. Rates count events, latencies requests."""

    recorded: int  # events answered as created, warm-up included
    errors: int  # requests with any other answer
    rate: float  # events a second
    p50_ms: float
    p99_ms: float
    generator_us: float  # processor time of this process per request


class Connection:
    __slots__ = ("missing", "received", "sent_at", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_SECONDS)
        self.socket.settimeout(None)  # with one, each call would poll first
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received: list[bytes] = []
        self.missing = 0  # bytes; 0: the head has not come yet
        self.sent_at = 0.0

    def send(self, request: bytes) -> None:
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bytes | None:
        """The whole answer once its last byte is here."""
        data = self.socket.recv(_READ_BYTES)
        if not data:
            raise ConnectionError("the server closed a connection")
        self.received.append(data)
        if not self.missing:
            data = b"".join(self.received)
            self.received = [data]
            body = data.find(b"\r\n\r\n") + 4
            if body < 4:
                return None
            start = data.find(b"content-length: ", 0, body) + 16
            self.missing = body + int(data[start : data.find(b"\r", start)])
        self.missing -= len(data)
        if self.missing:
            return None
        answer = data if len(self.received) == 1 else b"".join(self.received)
        self.received = []
        return answer


class Generator:
    """Keeps every connection busy until the time or the requests are used up."""

    def __init__(self, load: Load, requests: Iterator[bytes]) -> None:
        self._load = load
        self._requests = requests
        self._finished: list[tuple[float, float, int]] = []  # moment, seconds it took, events
        self._errors = 0
        self._stop_at = float("inf")

    def run(self) -> Sample:
        connections = {}
        poll = select.epoll()
        for _ in range(self._load.connections):
            connection = Connection(self._load.port)
            connections[connection.socket.fileno()] = connection
            poll.register(connection.socket, select.EPOLLIN)
        started, used = time.perf_counter(), time.process_time()
        if not self._load.events:
            self._stop_at = started + self._load.warm_seconds + self._load.seconds
        busy = sum(self._send_next(connection) for connection in connections.values())
        while busy:
            ready = poll.poll(_PATIENCE_SECONDS)
            if not ready:
                raise TimeoutError(f"{busy} requests without an answer")
            for number, _ in ready:
                busy -= self._take(connections[number])
        used = time.process_time() - used
        return self._sample(started, used)

    def _send_next(self, connection: Connection) -> bool:
        request = next(self._requests, None) if time.perf_counter() < self._stop_at else None
        if request is None:
            return False
        connection.send(request)
        return True

    def _take(self, connection: Connection) -> bool:
        """Read what has come; True when this connection has nothing more to do."""
        answer = connection.receive()
        if answer is None:
            return False
        now = time.perf_counter()
        events = _events_in(answer)
        if not events:
            self._errors += 1
            if self._errors == 1:
                print(answer[:2_000], file=sys.stderr)
        self._finished.append((now, now - connection.sent_at, events))
        return not self._send_next(connection)

    def _sample(self, started: float, used: float) -> Sample:
        finished = self._finished
        begin = started if self._load.events else started + self._load.warm_seconds
        end = min(self._stop_at, finished[-1][0])
        measured = [item for item in finished if begin < item[0] <= end]
        took = sorted(seconds for _, seconds, _ in measured)
        return Sample(
            recorded=sum(events for _, _, events in finished),
            errors=self._errors,
            rate=sum(events for _, _, events in measured) / (end - begin),
            p50_ms=took[len(took) // 2] * 1e3,
            p99_ms=took[len(took) * 99 // 100] * 1e3,
            generator_us=used / len(finished) * 1e6,
        )


def _events_in(answer: bytes) -> int:
    """How many events this answer says were created; 0 when it says anything else."""
    if answer.startswith(b"HTTP/1.1 201 "):
        return 1
    if answer.startswith(b"HTTP/1.1 200 "):
        counts = answer[answer.rfind(b'"total":') :]
        total, created, duplicates, rejected = (int(part.split(b":")[1]) for part in counts.rstrip(b"}").split(b","))
        return created if created == total and not duplicates and not rejected else 0
    return 0


def _requests(load: Load) -> Iterator[bytes]:
    traffic = Traffic(customers=load.customers)
    events = traffic.each_customer_once() if load.each_once else traffic.drawn()
    if load.events:
        events = islice(events, load.events)
    if load.kind == "bulk":
        requests = bulks(events, request_head("/v1/events/bulk", load.key))
    else:
        requests = singles(events, request_head("/v1/events", load.key))
    if load.events:
        return requests
    return iter(list(islice(requests, int((load.warm_seconds + load.seconds) * _RATE_MAX[load.kind]))))


def main() -> None:
    load = Load(**json.load(sys.stdin))
    assert load.events % BULK_EVENTS == 0, "a bounded load is sent in whole bulks"
    print(json.dumps(asdict(Generator(load, _requests(load)).run())))


if __name__ == "__main__":
    main()
