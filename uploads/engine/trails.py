"""Trails: what was read of uploads while they arrive, to be gone on with by their verifier."""

import hashlib
import itertools
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from uploads.core.digests import Hasher, fingerprint
from uploads.core.plan import ChunkPlan
from uploads.errors import StorageFull, StorageUnavailable
from uploads.models import FileChunk
from uploads.storage import StagedFile

from .verifying import Pass

logger = logging.getLogger("uploads.engine")

#: A processor is short when reading takes so many times as long as it had to do with it. Those who
#: take bytes in may need it then, so it is left to them,
SHORT = 2.5
#: unless what was not read yet is the work of so many seconds: for that the end has to wait.
MAX_BEHIND = 0.1


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """What the database has of a chunk. One that is sent anew gets another `pk`."""

    pk: int
    index: int
    fingerprint: bytes


def chunk_rows(session_id: UUID, first: int = 0, limit: int | None = None) -> Iterator[ChunkRow]:
    """The chunks that are in, at most `limit` of them, by index from `first` on."""
    chunks = FileChunk.objects.filter(session=session_id, index__gte=first).order_by("index")
    for pk, index, value in chunks.values_list("pk", "index", "fingerprint")[:limit].iterator():
        yield ChunkRow(pk, index, bytes(value))


class Trail:
    """What was read of an upload, chunk by chunk from its first on."""

    def __init__(self, data: StagedFile) -> None:
        #: Open since before anything was read, so that its sync tells of whatever failed since.
        self._data = data
        self.sha256 = hashlib.sha256()
        #: How many chunks were read.
        self.length = 0
        #: Of the rows of these chunks, as they were.
        self._rows = fingerprint()
        #: Seconds of a processor that reading them took.
        self._worked = 0.0
        #: Whether the last of them had to wait for one.
        self._has_waited = False

    def is_sound(self, rows: Sequence[ChunkRow]) -> bool:
        """Whether it stands for the first of these, the chunks that are in now, by index.

        Not when one was sent anew; nor when the disk has refused to write any of the file, since
        what was read is then not what it holds.
        """
        digest = fingerprint()
        for row in rows[: self.length]:
            _note(digest, row)
        if digest.digest() != self._rows.digest():
            return False
        try:
            self._data.sync()
        except (StorageFull, StorageUnavailable):
            logger.warning("The disk has refused what was read before it was written")
            return False
        return True

    def read(self, plan: ChunkPlan, rows: Sequence[ChunkRow], go_on: Callable[[], bool]) -> bool:
        """Read the next chunks, whose rows these are, for as long as `go_on` says so.

        False when one is damaged. Then, and after an exception, this is a trail of nothing.
        """
        fingerprints = {row.index: row.fingerprint for row in rows}
        reading = Pass(self._data, plan, fingerprints, first=self.length, sha256=self.sha256)
        # One at least, to see how it is now.
        self._has_waited = False
        for row in itertools.takewhile(lambda _: go_on(), rows):
            with self._watched():
                reading.advance(row.index + 1, lambda: None)
            _note(self._rows, row)
            self.length += 1
            # So that the sync at the end finds little to do.
            self._data.begin_writing_out(plan.offset(row.index), plan.length(row.index))
        return not reading.damaged

    def yields(self, received: int) -> bool:
        """Whether to leave the processor to others, since it is short and the end near enough.

        `received` is how many chunks are in.
        """
        left = (received - self.length) * self._worked / max(1, self.length)
        return self._has_waited and 0 < left < MAX_BEHIND

    @contextmanager
    def _watched(self) -> Iterator[None]:
        began, worked = time.monotonic(), time.thread_time()
        yield
        spent = time.thread_time() - worked
        self._worked += spent
        self._has_waited = time.monotonic() - began > SHORT * spent


def _note(digest: Hasher, row: ChunkRow) -> None:
    digest.update(row.pk.to_bytes(8, "big") + row.fingerprint)
