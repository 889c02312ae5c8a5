"""Events and customers get their ids once, before the first try of their batch."""

from __future__ import annotations

from collections.abc import Iterable

from troth.core.ids import bucket_of
from troth.pipeline.work import Work
from troth.store.batch import Names
from troth.store.row_ids import new_id


def name_works(works: Iterable[Work], customers: Names) -> None:
    """Give an id to every work that has none yet, in the bucket of its customer."""
    for work in works:
        if work.id is None:
            name = work.customer
            work.name(new_id(customers[name][1] if name in customers else bucket_of(name), work.raw.mark))
