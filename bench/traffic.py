"""What is sent: purchases of known customers as bytes that need no more work while the clock runs.

Every event has the same length, a reference of its own and a customer drawn from one pool.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice

FIRST_CUSTOMER = 374_397_000_001  # external ids are consecutive from here, all of one length
BULK_EVENTS = 1_000
_EVENT = (
    '{"customer":"%d","type":"purchase","reference":"%s","occurred_at":"%s",'
    '"properties":{"amount":"%s","category":"electronics","order_id":"%s"}}'
)
CSV_HEADER = "customer,type,reference,occurred_at,amount,category,order_id\n"
_CSV_ROW = "%d,purchase,%s,%s,%s,electronics,%s\n"

Fields = tuple[int, str, str, str, str]  # customer, reference, occurred_at, amount, order id


@dataclass(slots=True, kw_only=True)
class Traffic:
    """A source of purchases; no two sources make the same reference."""

    customers: int  # size of the pool
    tag: str = field(default_factory=lambda: secrets.token_hex(4))
    occurred_at: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    made: int = 0

    def each_customer_once(self) -> Iterator[Fields]:
        """One event for every customer of the pool: they are known afterwards."""
        return (self._fields(customer) for customer in range(FIRST_CUSTOMER, FIRST_CUSTOMER + self.customers))

    def drawn(self) -> Iterator[Fields]:
        """Events of customers drawn at random, without end."""
        draw = random.Random(self.tag).randrange
        while True:
            yield self._fields(FIRST_CUSTOMER + draw(self.customers))

    def _fields(self, customer: int) -> Fields:
        self.made += 1
        reference = f"order_{self.tag}_{self.made:09d}"
        return customer, reference, self.occurred_at, f"{10 + self.made % 89}.{self.made % 100:02d}", reference


def singles(events: Iterator[Fields], head: str) -> Iterator[bytes]:
    """Requests of one event each; `head` is everything before the length of the body."""
    return ((head + _framed(_EVENT % event)).encode() for event in events)


def bulks(events: Iterator[Fields], head: str) -> Iterator[bytes]:
    """Requests of BULK_EVENTS events each; what is left over at the end makes a smaller one."""
    while True:
        part = [_EVENT % event for event in islice(events, BULK_EVENTS)]
        if not part:
            return
        yield (head + _framed('{"events":[' + ",".join(part) + "]}")).encode()


def csv_rows(events: Iterator[Fields]) -> Iterator[str]:
    return (_CSV_ROW % event for event in events)


def request_head(path: str, key: str) -> str:
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: troth-bench/1\r\nAuthorization: Bearer {key}\r\n"
        "Content-Type: application/json\r\nContent-Length: "
    )


def _framed(body: str) -> str:
    return f"{len(body)}\r\n\r\n{body}"
