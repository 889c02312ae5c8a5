"""One export as a job on a real database: interrupted, crashed, given up or too large, it never leaves half a file."""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID, uuid4

import msgspec
import pyarrow.parquet as pq
import pytest

from tests.pipeline.shop import VAULT, Shop, document, open_shop, purchase
from troth import jobs, limits
from troth.api.export_asked import Asked, Terms, read_asked
from troth.api.export_columns import Column
from troth.api.export_progress import Progress
from troth.api.exports import new_export
from troth.embedded.access import DatabaseAccess
from troth.exporting import run as running
from troth.exporting.event_rows import EventRows
from troth.exporting.pages import Page, Place
from troth.exporting.parquet_format import ParquetFormat
from troth.exporting.text_formats import CsvFormat
from troth.store.files import FileStore
from troth.store.jobs import Job, JobStatus, Lease, LeaseLostError, add_job, find_job, take_this_job
from troth.store.row_ids import new_id

EVENTS = 57
TERMS = Terms(keep_days=1, margin_seconds=0)


class CrashError(BaseException):
    """As if the process had died at this place: nobody catches it, nothing is tidied."""


@pytest.fixture
async def shop(database: DatabaseAccess, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    """So many events, and pages so small that there are many."""
    monkeypatch.setattr(limits, "EXPORT_PAGE_ROWS", 5)
    monkeypatch.setattr(limits, "EXPORT_FLUSH_BYTES", 1)
    async with open_shop(database, document()) as opened:
        await opened.send(*(purchase(f"c{number % 9}", f"{number}.25", f"r{number}") for number in range(EVENTS)))
        await asyncio.sleep(0.002)
        yield opened


async def begin(shop: Shop, **asked: object) -> Lease:
    """A job, taken by a worker."""
    program, now = (await shop.engine.books.live()).rules.program, datetime.now(UTC)
    wanted: Asked = read_asked({"kind": "events", **asked}, program, TERMS, now)
    worker = uuid4()
    job = await add_job(shop.database, new_export(new_id(), wanted, now, "test"), worker)
    return Lease(shop.database, job, worker)


async def again(shop: Shop, job_id: UUID) -> Lease:
    """Another worker takes it, when the first one's lease has run out."""
    await shop.rows("update jobs set leased_until = now() - interval '1 ms' where id = $1", job_id)
    lease = await take_this_job(shop.database, uuid4(), job_id)
    assert lease is not None
    return lease


async def run(shop: Shop, lease: Lease) -> JobStatus | None:
    return await jobs.run_job(shop.engine, lease, asyncio.Event())


async def job_of(shop: Shop, lease: Lease) -> Job:
    async with shop.database.pool.acquire() as connection:
        job = await find_job(connection, lease.job.id, "export")
    assert job is not None
    return job


async def content(shop: Shop, lease: Lease) -> bytes:
    """The finished file, which is the only one there is."""
    job = await job_of(shop, lease)
    assert (job.status, await shop.count("files")) == ("finished", 1)
    files = FileStore(database=shop.database, vault=VAULT)
    assert job.output_file is not None
    file = await files.find(job.output_file)
    assert file is not None
    found = b"".join([part async for part in files.read(file)])
    progress = msgspec.json.decode(job.progress, type=Progress)
    assert (progress.size, progress.rows, file.size) == (len(found), EVENTS, len(found))
    return found


def references(found: bytes, form: str) -> list[str]:
    if form == "parquet":
        return sorted(pq.read_table(io.BytesIO(found)).column("reference").to_pylist())
    text = (gzip.decompress(found) if found.startswith(b"\x1f\x8b") else found).decode()
    return sorted(row["reference"] for row in csv.DictReader(io.StringIO(text, newline="")))


ALL = sorted(f"r{number}" for number in range(EVENTS))
FORMS = [{"format": "csv"}, {"format": "csv", "compression": "gzip"}, {"format": "parquet"}]


def crash_after(monkeypatch: pytest.MonkeyPatch, pages: int, error: BaseException | None = None) -> list[Place]:
    """Pages that are read from now on; behind so many of them it crashes, once."""
    read, seen = EventRows.page, list[Place]()

    async def page(self: EventRows, place: Place) -> Page:
        seen.append(place)
        if len(seen) == pages + 1:
            raise error or CrashError
        return await read(self, place)

    monkeypatch.setattr(EventRows, "page", page)
    return seen


@pytest.mark.parametrize("asked", FORMS, ids=str)
async def test_a_crash_in_the_middle(shop: Shop, monkeypatch: pytest.MonkeyPatch, asked: dict[str, object]) -> None:
    seen = crash_after(monkeypatch, 6)
    lease = await begin(shop, **asked)
    with pytest.raises(CrashError):
        await run(shop, lease)
    assert (await job_of(shop, lease)).status == "running"
    second = await again(shop, lease.job.id)
    assert await run(shop, second) == "finished"
    assert references(await content(shop, second), str(asked["format"])) == ALL
    is_resumed = seen[7] == seen[6] != seen[0]
    assert is_resumed == (asked["format"] == "csv"), "Parquet begins anew"


async def test_a_crash_between_the_last_row_and_the_end(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    finish = FileStore.finish

    async def crash(*_: object, **__: object) -> None:
        raise CrashError

    monkeypatch.setattr(FileStore, "finish", crash)
    for form in ("csv", "parquet"):
        lease = await begin(shop, format=form)
        with pytest.raises(CrashError):
            await run(shop, lease)
        with monkeypatch.context() as mended:
            mended.setattr(FileStore, "finish", finish)
            second = await again(shop, lease.job.id)
            assert await run(shop, second) == "finished"
        assert references(await content(shop, second), form) == ALL
        await shop.rows("delete from files")


async def test_whoever_lost_the_lease_writes_nothing_more(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = await begin(shop)
    crash_after(monkeypatch, 4)
    with pytest.raises(CrashError):
        await run(shop, lease)
    second = await again(shop, lease.job.id)
    pieces = await shop.count("file_pieces")
    slow = running.ExportRun(shop.engine, lease, msgspec.json.decode(lease.job.asked, type=Asked))
    with pytest.raises(LeaseLostError):
        await slow.run()
    assert await shop.count("file_pieces") == pieces
    assert await run(shop, second) == "finished"
    assert references(await content_of_job(shop, second), "csv") == ALL


async def content_of_job(shop: Shop, lease: Lease) -> bytes:
    """The finished file, beside one that goes by itself."""
    job = await job_of(shop, lease)
    files = FileStore(database=shop.database, vault=VAULT)
    assert job.output_file is not None
    file = await files.find(job.output_file)
    assert file is not None
    assert await shop.rows("select 1 from files where size is null and expires_at is null") == []
    return b"".join([part async for part in files.read(file)])


@pytest.mark.parametrize("asked", FORMS, ids=str)
async def test_a_stopping_process_lays_it_down(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, asked: dict[str, object]
) -> None:
    lease = await begin(shop, **asked)
    for _ in range(limits.JOB_ATTEMPTS + 2):
        with monkeypatch.context() as stopped:
            interrupt_after(stopped, lease, 1)
            assert await run(shop, lease) == "waiting"
        lease = await again(shop, lease.job.id)
    assert await run(shop, lease) == "finished"
    assert references(await content(shop, lease), str(asked["format"])) == ALL


def interrupt_after(monkeypatch: pytest.MonkeyPatch, lease: Lease, pages: int, wish: str = "stop") -> None:
    read, seen = EventRows.page, list[Place]()

    async def page(self: EventRows, place: Place) -> Page:
        seen.append(place)
        if len(seen) == pages:
            lease.interrupted = wish  # type: ignore[assignment]
        return await read(self, place)

    monkeypatch.setattr(EventRows, "page", page)


@pytest.mark.parametrize("asked", FORMS, ids=str)
async def test_a_cancelled_one_leaves_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, asked: dict[str, object]
) -> None:
    lease = await begin(shop, **asked)
    interrupt_after(monkeypatch, lease, 3, "cancel")
    assert await run(shop, lease) == "cancelled"
    assert (await shop.count("files"), await shop.count("file_pieces")) == (0, 0)


async def test_a_mistake_of_ours_leaves_nothing_and_says_so(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    crash_after(monkeypatch, 3, ZeroDivisionError())
    lease = await begin(shop)
    assert await run(shop, lease) == "failed"
    assert (await job_of(shop, lease)).problem == "Troth failed on it (ZeroDivisionError); the server's log says why."
    assert (await shop.count("files"), await shop.count("file_pieces")) == (0, 0)


async def test_one_that_ends_its_process_again_and_again_fails(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = await begin(shop, format="parquet")
    for _ in range(limits.JOB_ATTEMPTS):
        with monkeypatch.context() as crashing:
            crash_after(crashing, 3)
            with pytest.raises(CrashError):
                await run(shop, lease)
        lease = await again(shop, lease.job.id)
    assert await run(shop, lease) == "failed"
    assert "never came to its end" in str((await job_of(shop, lease)).problem)
    assert (await shop.count("files"), await shop.count("file_pieces")) == (0, 0)


async def test_a_file_is_bounded(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "EXPORT_BYTES", 5_000)
    lease = await begin(shop)
    assert await run(shop, lease) == "failed"
    assert "narrow the filter" in str((await job_of(shop, lease)).problem)
    assert (await shop.count("files"), await shop.count("file_pieces")) == (0, 0)
    monkeypatch.setattr(limits, "EXPORT_BYTES", 500_000)
    assert await run(shop, await begin(shop)) == "finished"


async def test_bundles_are_stored_when_they_are_large_or_late(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    async def pieces(flush_bytes: int, flush_seconds: float) -> int:
        monkeypatch.setattr(limits, "EXPORT_FLUSH_BYTES", flush_bytes)
        monkeypatch.setattr(limits, "EXPORT_FLUSH_SECONDS", flush_seconds)
        before = await shop.count("file_pieces")
        assert await run(shop, await begin(shop)) == "finished"
        return await shop.count("file_pieces") - before

    assert await pieces(1 << 30, 1e9) == 1
    assert await pieces(1, 1e9) > 10
    assert await pieces(1 << 30, 0.0) > 10


async def test_row_groups_are_bounded(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    async def groups() -> list[int]:
        lease = await begin(shop, format="parquet")
        assert await run(shop, lease) == "finished"
        found = await content(shop, lease)
        await shop.rows("delete from files")
        metadata = pq.ParquetFile(io.BytesIO(found)).metadata
        return [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]

    assert await groups() == [EVENTS]
    monkeypatch.setattr(limits, "EXPORT_GROUP_ROWS", 10)
    assert await groups() == [10, 10, 10, 10, 10, 7]
    monkeypatch.setattr(limits, "EXPORT_GROUP_CHARACTERS", 1)
    assert await groups() == [1] * EVENTS


def test_a_parquet_file_is_given_out_as_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a row group holds leaves memory with it."""
    monkeypatch.setattr(limits, "EXPORT_GROUP_ROWS", 100)
    columns = msgspec.json.decode('[{"name": "customer", "kind": "text"}]', type=tuple[Column, ...])
    file = ParquetFormat(columns)
    parts = [file.begin()]
    for number in range(5):
        parts.append(file.write([{"customer": uuid4().hex} for _ in range(100)]))
        assert len(parts[-1]) > 1_000, number
    parts.append(file.end())
    assert pq.read_table(io.BytesIO(b"".join(parts))).num_rows == 500


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", "\tx", "\rx", "\n=1"])
def test_what_a_spreadsheet_would_compute(text: str) -> None:
    columns = msgspec.json.decode(
        '[{"name": "customer", "kind": "text"}, {"name": "troth_points", "kind": "integer"}]',
        type=tuple[Column, ...],
    )
    row = {"customer": text, "troth_points": -5}
    for formulas, wanted in (("neutralise", "'" + text), ("keep", text)):
        written = CsvFormat(columns, formulas=formulas).write([row])  # type: ignore[arg-type]
        assert list(csv.reader(io.StringIO(written.decode(), newline=""))) == [[wanted, "-5"]]
