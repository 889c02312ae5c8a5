"""An import whose process dies goes on with exact counts: no row twice, none lost, none called a duplicate wrongly."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from tests.pipeline.shop import Shop, document, open_shop
from troth import limits
from troth.core.ids import bears, mark_of, show_id
from troth.core.program import Program
from troth.embedded.access import DatabaseAccess
from troth.entry import import_job, import_run
from troth.entry.import_job import EXPIRED, Importer, ImportProgress, run_import
from troth.entry.import_options import Detected, ImportAsked, ImportOptions
from troth.entry.import_rows import Row
from troth.entry.import_sort import SortedRows, SortStopped
from troth.pipeline.outcome import Outcome, Overloaded, RawEvent
from troth.store.files import FileStore, NewFile
from troth.store.jobs import Ending, Lease, LeaseLostError, NewJob, add_job, take_this_job
from troth.store.row_ids import new_id

ROWS = 2_400
HEAD = "customer,type,reference,amount\n"


def content() -> str:
    """Rows that are new, recorded before (r0 to r99), twice in the file, refused, and of no event."""
    lines = [f"c{n % 23},purchase,r{n},1\n" for n in range(ROWS)]
    for place in range(50, ROWS, 200):
        lines[place] = f"c{(place - 7) % 23},purchase,r{place - 7},1\n"  # as 7 rows before
    for place in range(60, ROWS, 100):
        lines[place] = f"eve,purchase,bad{place},x\n"
    for place in range(75, ROWS, 300):
        lines[place] = "ragged\n"
    return HEAD + "".join(lines)


EARLIER = HEAD + "".join(f"c{n % 23},purchase,r{n},1\n" for n in range(100))
REFUSED = len(range(60, ROWS, 100)) + len(range(75, ROWS, 300))
TWICE = len(range(50, ROWS, 200))
BEFORE = 100 - 3  # r0 to r99, less those replaced in the file: r50, r60 and r75


@dataclass(slots=True)
class Desk:
    """Makes imports and runs them as far as they go."""

    shop: Shop

    @property
    def files(self) -> FileStore:
        return FileStore(database=self.shop.engine.database, vault=self.shop.engine.vault)

    async def begin(self, text: str, **options: object) -> UUID:
        async def parts() -> AsyncIterator[bytes]:
            yield text.encode()

        new = NewFile(name="rows.csv", media_type="text/csv", created_at=datetime.now(UTC), created_by="test")
        file = await self.files.put(new, parts(), bytes_max=1 << 30)
        asked = ImportAsked(
            options=msgspec.convert(options, ImportOptions),
            detected=Detected(format="csv", encoding="utf-8", delimiter=",", quote='"'),
            permits=None,
        )
        job = NewJob(id=new_id(), kind="import", asked=asked, created_at=datetime.now(UTC), created_by="test",
                     input_file=file.id)  # fmt: skip
        await add_job(self.shop.engine.database, job)
        return job.id

    async def take(self, job_id: UUID) -> Lease:
        async with self.shop.engine.database.pool.acquire() as connection:
            await connection.execute(
                "update jobs set leased_until = now() - interval '1 s' where id = $1 and status = 'running'", job_id
            )
        lease = await take_this_job(self.shop.engine.database, uuid4(), job_id)
        assert lease is not None
        return lease

    async def run(self, lease: Lease, pipeline: object = None) -> Ending | None:
        async def program() -> Program:
            return (await self.shop.engine.books.live()).rules.program

        takes_in: Any = pipeline or self.shop.engine.batcher
        importer = Importer(files=self.files, pipeline=takes_in, program=program, keep=timedelta(days=1))
        return await run_import(importer, lease)

    async def rejected_lines(self, job_id: UUID) -> list[int]:
        """Of the rows of an import that are rejections, in the order in which they were written."""
        async with self.shop.engine.database.pool.acquire() as connection:
            rows = await connection.fetch(
                "select line from rejections where source_detail = $1 order by id", show_id("imp", job_id)
            )
        return [row["line"] for row in rows]

    async def finish(self, job_id: UUID) -> tuple[str, ImportProgress, str]:
        """(status, counters, rejected rows) of an import that is run to its end."""
        lease = await self.take(job_id)
        ending = await self.run(lease)
        assert ending is not None
        await lease.end(ending)
        async with self.shop.engine.database.pool.acquire() as connection:
            row = await connection.fetchrow("select progress, output_file from jobs where id = $1", job_id)
        assert row is not None
        output = await self.files.find(row["output_file"]) if row["output_file"] else None
        text = b"".join([part async for part in self.files.read(output)]).decode() if output else ""
        return ending.status, msgspec.json.decode(row["progress"], type=ImportProgress), text


@pytest.fixture
async def desk(database: DatabaseAccess, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setattr(import_job, "NOTE_SECONDS", 0.0)  # a checkpoint after each chunk
    async with open_shop(database, document()) as shop:
        yield Desk(shop)


def told(progress: ImportProgress) -> tuple[int, ...]:
    return (progress.read, progress.created, progress.duplicates, progress.rejected, progress.points)


EXPECTED = (ROWS, ROWS - REFUSED - TWICE - BEFORE, TWICE + BEFORE, REFUSED, ROWS - REFUSED - TWICE - BEFORE)


@pytest.mark.parametrize("deaths", [[], [0], [1], [5], [9, 0, 2]], ids=str)
async def test_counts_are_exact_however_often_its_process_dies(desk: Desk, deaths: list[int]) -> None:
    """A dying process notes nothing more; what its batches had under way is recorded all the same."""
    await desk.finish(await desk.begin(EARLIER))
    job_id = await desk.begin(content())
    for notes in deaths:
        lease = await desk.take(job_id)
        note, left = lease.note, notes

        async def dying(*given: object) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise LeaseLostError
            await note(*given)  # type: ignore[arg-type]  # noqa: B023

        lease.note = dying  # type: ignore[method-assign]
        with pytest.raises(LeaseLostError):
            await desk.run(lease)
    status, progress, rejected = await desk.finish(job_id)
    assert (status, told(progress)) == ("finished_with_errors", EXPECTED)
    assert await desk.shop.count("events") == EXPECTED[1] + 100
    lines = [int(line.partition(",")[0]) for line in rejected.splitlines()[1:]]
    assert len(lines) == REFUSED
    assert lines == sorted(set(lines))
    assert progress.rejected_bytes == len(rejected.encode())
    assert (await desk.rejected_lines(job_id), progress.rejections) == (lines, REFUSED)


async def test_when_the_pipeline_takes_nothing_in_it_stops_at_what_is_settled(desk: Desk) -> None:
    class Full:
        """Takes in so many chunks, then none, though what follows would fit."""

        left = 4

        async def ingest(self, events: Sequence[RawEvent], *, is_patient: bool) -> list[Outcome]:
            self.left -= 1
            if self.left == 0:
                raise Overloaded("Too many events are waiting")
            return await desk.shop.engine.batcher.ingest(events, is_patient=is_patient)

    job_id = await desk.begin(content())
    with pytest.raises(Overloaded):
        await desk.run(await desk.take(job_id), Full())
    lease = await desk.take(job_id)
    settled = msgspec.json.decode(lease.job.progress, type=ImportProgress)
    assert settled.read == 3 * limits.IMPORT_CHUNK_EVENTS
    _, progress, _ = await desk.finish(job_id)
    assert told(progress) == (ROWS, ROWS - REFUSED - TWICE, TWICE, REFUSED, ROWS - REFUSED - TWICE)


async def test_sorted_it_goes_on_in_the_same_order(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "IMPORT_SORT_CHARACTERS", 50_000)  # runs of some hundred rows in files
    job_id = await desk.begin(content(), sort=True)
    lease = await desk.take(job_id)
    note, left = lease.note, 6

    async def dying(*given: object) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise LeaseLostError
        await note(*given)  # type: ignore[arg-type]

    lease.note = dying  # type: ignore[method-assign]
    with pytest.raises(LeaseLostError):
        await desk.run(lease)
    _, progress, _ = await desk.finish(job_id)
    assert told(progress) == (ROWS, ROWS - REFUSED - TWICE, TWICE, REFUSED, ROWS - REFUSED - TWICE)
    assert progress.bytes_read == len(content().encode())
    lines = await desk.rejected_lines(job_id)
    assert len(lines) == len(set(lines)) == REFUSED


@pytest.mark.parametrize("is_written", [True, False])
async def test_a_checkpoint_that_is_noted_again_is_written_once(desk: Desk, is_written: bool) -> None:
    """Lost was its answer, or all of it."""
    job_id = await desk.begin(content())
    lease = await desk.take(job_id)
    note, is_lost = lease.note, False

    async def unheard(progress: ImportProgress, also: Any) -> None:
        nonlocal is_lost
        is_first, is_lost = not is_lost and progress.rejections > 0, is_lost or progress.rejections > 0
        if is_written or not is_first:
            await note(progress, also)
        if is_first:
            raise OSError("the connection was lost")

    lease.note = unheard  # type: ignore[method-assign]
    with pytest.raises(OSError, match="lost"):
        await desk.run(lease)
    _, progress, rejected = await desk.finish(job_id)
    lines = [int(line.partition(",")[0]) for line in rejected.splitlines()[1:]]
    assert (len(lines), lines) == (REFUSED, sorted(set(lines)))
    assert (await desk.rejected_lines(job_id), progress.rejections) == (lines, REFUSED)


async def test_many_rejected_rows_do_not_wait_for_the_next_checkpoint(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_job, "NOTE_SECONDS", 1_000.0)
    monkeypatch.setattr(limits, "IMPORT_REJECTED_BYTES", 5_000)
    job_id = await desk.begin(HEAD + "eve,purchase,,x\n" * 5_000)
    lease = await desk.take(job_id)
    sizes: list[int] = []
    note = lease.note

    async def watched(progress: object, also: object) -> None:
        assert isinstance(progress, ImportProgress)
        sizes.append(progress.rejected_bytes)
        await note(progress, also)  # type: ignore[arg-type]

    lease.note = watched  # type: ignore[method-assign]
    await desk.run(lease)
    assert len(sizes) > 3


async def test_a_file_that_is_no_longer_kept_cannot_be_imported(desk: Desk) -> None:
    job_id = await desk.begin(HEAD)
    async with desk.shop.engine.database.pool.acquire() as connection:
        await connection.execute("delete from files")
    assert await desk.run(await desk.take(job_id)) == Ending(status="failed", problem=EXPIRED)


def test_an_id_bears_its_mark_and_no_other() -> None:
    owner = uuid4()
    marks = [mark_of(owner, number) for number in range(200)]
    ids = [new_id(number % 256, mark) for number, mark in enumerate(marks)]
    assert all(bears(event_id, mark) for event_id, mark in zip(ids, marks, strict=True))
    assert not any(bears(ids[0], mark) for mark in marks[1:])
    assert not bears(ids[0], mark_of(uuid4(), 0))
    assert len(set(ids)) == 200


async def test_the_latest_rows_of_so_many_customers_are_remembered(
    database: DatabaseAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rows(names: Sequence[str]) -> list[Row]:
        days = range(len(names), 0, -1)
        return [
            Row(day, 0, "", RawEvent(customer=name, type="purchase", reference=f"{name}{day}",
                occurred_at=f"2026-01-{day:02}T00:00:00Z", properties={"amount": "1"}))
            for name, day in zip(names, days, strict=True)
        ]  # fmt: skip

    monkeypatch.setattr(limits, "IMPORT_WATCHED", 2)
    async with open_shop(database, document()) as shop:
        for names, backwards in ((["a", "a", "a"], 2), (["d", "e", "d"], 1), (["g", "h", "i", "g"], 0)):
            run = import_run.ImportRun(iter(rows(names)), shop.engine.batcher, lambda row, problems: None)
            await run.run()
            assert run.tally.backwards == backwards, names


def test_sorting_stops_when_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "IMPORT_SORT_CHARACTERS", 10_000)
    rows = (Row(number, 100, "", RawEvent(customer=f"c{number % 3}")) for number in range(1_000))
    with pytest.raises(SortStopped):
        list(SortedRows(rows, lambda: True))
