"""Ids: their layout, their order, their neighbours, their printed forms; reference keys."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID

import pytest

from troth import limits
from troth.core.ids import (
    RANDOM_BITS,
    bucket_in,
    bucket_of,
    first_id_at,
    neighbour,
    read_id,
    recorded_at,
    reference_hash,
    show_id,
    uuid7,
)

MOMENT = datetime(2026, 11, 20, 10, 0, 0, 123000, tzinfo=UTC)
MILLISECONDS = 1_795_168_800_123  # date -u -d 2026-11-20T10:00:00Z +%s, and .123


def test_an_id_carries_its_moment_and_its_bucket() -> None:
    made = uuid7(MILLISECONDS, 0xAB, (1 << RANDOM_BITS) - 1)
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert recorded_at(made) == MOMENT
    assert bucket_in(made) == 0xAB
    assert made.hex[13:15] == "ab", "the first eight random bits"


@pytest.mark.parametrize("random", [0, (1 << RANDOM_BITS) - 1, 0x2A << 40])
def test_neighbours_stay_within_their_moment_and_bucket(random: int) -> None:
    made = uuid7(MILLISECONDS, 255, random)
    for steps in (-(1 << 19), -1, 1, (1 << 19) - 1):
        beside = neighbour(made, steps)
        assert (recorded_at(beside), bucket_in(beside)) == (MOMENT, 255)
        assert beside.int - made.int == steps
        assert beside.int >> 20 == made.int >> 20, "nothing is carried into the random bits"


def test_ids_sort_by_time() -> None:
    made = uuid7(MILLISECONDS, 0, 0)
    assert first_id_at(MOMENT) < made < uuid7(MILLISECONDS + 1, 0, 0)


def test_a_bucket_is_the_first_byte_of_the_hash() -> None:
    # printf anna | sha256sum → 55579b…; 0x55 = 85
    assert bucket_of("anna") == sha256(b"anna").digest()[0] == 0x55
    assert {bucket_of(str(number)) for number in range(5_000)} == set(range(limits.BUCKETS))


@pytest.mark.parametrize(
    "text",
    [
        "evt_",
        "evt_12",
        "cus_" + "0" * 32,
        "evt_" + "G" * 32,
        "evt_" + "A" * 32,
        "evt_" + "0" * 33,
        "",
        "evt" + "0" * 32,
    ],
)
def test_what_is_no_event_id(text: str) -> None:
    assert read_id("evt", text) is None


def test_a_printed_id_reads_back() -> None:
    made = UUID(int=1)
    assert show_id("evt", made) == "evt_" + "0" * 31 + "1"
    assert read_id("evt", show_id("evt", made)) == made


def test_kinds_of_references_never_collide() -> None:
    kinds = [reference_hash(kind, "x") for kind in ("reference", "order", "sys")]
    assert len(set(kinds)) == 3
    assert kinds[0] == sha256(b"reference\0x").digest()
