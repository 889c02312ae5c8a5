"""Identifiers: UUIDv7 (RFC 9562) whose first eight random bits are a customer's bucket, and their printed forms.

Everything random comes in as an argument. An id made here is final: it survives retries and bisection of its batch.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Literal
from uuid import UUID

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
SERIAL_BITS = 20  # ids derived from one id: 2^19 on either side
RANDOM_BITS = 66  # 4 bits after the bucket, 62 behind the variant


@lru_cache(maxsize=20_000)
def bucket_of(text: str) -> int:
    """The bucket (0–255) that a new external id, or a hashed reference, falls into."""
    return sha256(text.encode()).digest()[0]


def uuid7(milliseconds: int, bucket: int, random: int) -> UUID:
    """A UUIDv7 of Unix time in `milliseconds`; `random` gives RANDOM_BITS bits."""
    return UUID(int=uuid7_number(milliseconds, bucket, random))


def uuid7_number(milliseconds: int, bucket: int, random: int) -> int:
    """The 128 bits of `uuid7`.

    The last 20 bits start in their middle, so that `neighbour` never carries into the bits above.
    """
    rand_a = bucket << 4 | random >> 62 & 0xF
    rand_b = (random & (1 << 62) - 1) >> SERIAL_BITS << SERIAL_BITS | 1 << SERIAL_BITS - 1
    return milliseconds << 80 | 0x7 << 76 | rand_a << 64 | 0b10 << 62 | rand_b


def neighbour(event_id: UUID, steps: int) -> UUID:
    """The id `steps` after (or before) `event_id`: of events written together with it. Same time, same bucket."""
    return UUID(int=event_id.int + steps)


def recorded_at(event_id: UUID) -> datetime:
    """The moment in the id, exact to the millisecond."""
    return _moment(event_id.int >> 80)


@lru_cache(maxsize=1_000)
def _moment(milliseconds: int) -> datetime:
    return EPOCH + timedelta(milliseconds=milliseconds)


def bucket_in(event_id: UUID) -> int:
    """The customer's bucket that the id carries."""
    return event_id.int >> 68 & 0xFF


def first_id_at(moment: datetime) -> UUID:
    """The smallest id of that millisecond: a bound for ranges of ids by time."""
    return UUID(int=((moment - EPOCH) // _MILLISECOND) << 80)


MARK_BITS = 32
_MARK_PLACE = (1 << MARK_BITS) - 1 << SERIAL_BITS


def mark_of(owner: UUID, number: int) -> int:
    """MARK_BITS bits by which an id tells whose `number`-th it is."""
    return int.from_bytes(sha256(owner.bytes + number.to_bytes(8)).digest()[: MARK_BITS // 8])


def bears(event_id: UUID, mark: int) -> bool:
    """Whether the id was made with this mark; one without it, by chance, once in 2^32."""
    return (event_id.int & _MARK_PLACE) == mark << SERIAL_BITS


IdKind = Literal["evt", "cus", "res", "rdm", "imp", "exp", "rej", "inb", "pld", "whk", "dlv", "msg"]


def show_id(kind: IdKind, value: UUID) -> str:
    """`evt_0197…`: prefix and 32 hexadecimal digits."""
    return f"{kind}_{value.hex}"


def read_id(kind: IdKind, text: str) -> UUID | None:
    """The id in its printed form, or None when `text` is not one."""
    prefix, _, digits = text.partition("_")
    if prefix != kind or len(digits) != 32 or not all(digit in "0123456789abcdef" for digit in digits):
        return None
    return UUID(hex=digits)


ReferenceKind = Literal["reference", "order", "sys"]


def reference_hash(kind: ReferenceKind, text: str) -> bytes:
    """The key of a reference: SHA-256 of kind, NUL, text. Kinds never collide."""
    return sha256(f"{kind}\0{text}".encode()).digest()


def order_key(order_id: str) -> UUID:
    """What names an order beside its customer: the first 16 bytes of its claim's hash."""
    return UUID(bytes=reference_hash("order", order_id)[:16])
