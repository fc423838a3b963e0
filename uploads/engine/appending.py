"""Streams that do not keep to the grid of chunks: they go on where the upload is.

Each chunk that a stream fills comes in as all chunks do (`receiving`). What it has brought of the
next one, its tail, is kept in a file of its own every FLUSH_SECONDS and when the stream ends: the
row names it, with its length and its BLAKE3, and a longer one only ever replaces a shorter one. So
the offset is exact and does not go back, and of two streams at once each finds what the other has
committed and can touch none of it.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hmac import compare_digest

from uploads import conf
from uploads.core.bodies import READ_SIZE, ByteSource, pieces
from uploads.core.digests import fingerprint
from uploads.errors import (
    LengthMismatch,
    OffsetMismatch,
    StorageFull,
    StorageUnavailable,
    TooLarge,
    UploadError,
)
from uploads.failpoints import Failpoint, reach
from uploads.models import FileSession, SessionStatus
from uploads.storage import StagingMissing, Tail, get_store

from .access import reread
from .bits import NO_TAIL, write_tail
from .database import let_go_of_databases
from .durability import acknowledging_transaction, each_chunk_is_synced
from .receiving import IncomingChunk, incoming_chunk
from .transitions import refusal

logger = logging.getLogger("uploads.engine")

#: A stream that is killed with its server loses at most what came within so many seconds.
FLUSH_SECONDS = 2.0


def append(session: FileSession, offset: int, source: ByteSource, length: int) -> FileSession:
    """Take at most `length` bytes from `source` as those from `offset` on; the session afterwards.

    Its `offset` tells how far they came: a source that ends early, as a cut connection does, has
    given what it gave. Chunks that came in ahead are compared and passed over.

    Raises OffsetMismatch unless `offset` is the session's, LengthMismatch or TooLarge for more
    bytes than the file has room for, ChunkConflict, StorageFull, StorageUnavailable, or the refusal
    of the session's state. What was taken before any of these stays.
    """
    check_append(session, offset, length)
    end = offset + length
    while offset < end:
        plan = session.plan
        index = offset // plan.chunk_size
        until = min(end, plan.offset(index) + plan.length(index))
        received = _append_to_chunk(session, index, offset, source, until - offset)
        session = reread(session)
        offset += received
        if offset < until:
            break
    return session


def check_append(session: FileSession, offset: int, length: int) -> None:
    """Raises what `append` raises before it reads anything."""
    if session.status != SessionStatus.ACTIVE:
        raise refusal(session)
    if offset != session.offset:
        raise _wrong_offset(session, offset)
    if session.size is None:
        limit = min(session.plan.size, conf.current().max_file_size)
        if offset + length > limit:
            raise TooLarge(
                f"An upload that was begun without its size takes at most {limit} bytes. Begin one "
                "with the size declared.",
                limit=limit,
            )
    elif offset + length > session.size:
        raise LengthMismatch(
            f"The file has {session.size} bytes: after {offset} there are {session.size - offset} "
            f"to come, not {length}. Nothing was changed.",
            expected=session.size - offset,
            actual=length,
        )


def _append_to_chunk(
    session: FileSession, index: int, offset: int, source: ByteSource, length: int
) -> int:
    """Bring chunk `index` on by `length` bytes from `offset`, and commit it if it is whole then.

    Returns how many came.
    """
    within = offset - session.plan.offset(index)
    with incoming_chunk(session, index) as chunk, _tail_of(session, index, chunk) as tail:
        if within:
            tail.take_up(within)
        try:
            for piece in pieces(source, length):
                chunk.write(piece)
                tail.keep_if_due()
        finally:
            if chunk.received < chunk.length:
                tail.keep()
        if chunk.received == chunk.length:
            chunk.commit()
            tail.settle()
        return chunk.received - within


def commit_whole_tail(session: FileSession) -> FileSession:
    """The session with its tail made a chunk, if it is as long as one.

    So it is when the size of a stream is declared after its last byte has come. Raises what
    `append` raises.
    """
    index = session.bitmap.first_missing()
    if not session.tail_length or session.tail_length < session.plan.length(index):
        return session
    with incoming_chunk(session, index) as chunk, _tail_of(session, index, chunk) as tail:
        tail.take_up(session.tail_length)
        chunk.commit()
        tail.settle()
    return reread(session)


class _Tail:
    """What a stream has brought of one chunk, as it is kept beside the file.

    A file that the row has named, and then another in its place, is never named again: so whoever
    comes to know of it may remove it.
    """

    def __init__(self, session: FileSession, index: int, chunk: IncomingChunk) -> None:
        self._session = session
        self._index = index
        self._chunk = chunk
        #: Open for as long as our file is.
        self._stack = ExitStack()
        self._file: Tail | None = None
        self._is_named = False
        #: Bytes of the chunk in our file, and in the file that the row names, as far as we know.
        self._written = self._kept = 0
        self._kept_at = time.monotonic()
        #: Names of files that can go.
        self._old: set[str] = set()

    def take_up(self, length: int) -> None:
        """Begin the chunk with the `length` bytes that an earlier stream has left of it.

        Raises OffsetMismatch, or the refusal of the session's state, when they are there no more.
        """
        session = self._session
        digest = fingerprint()
        try:
            with get_store().open_tail(session.pk, session.tail_name) as tail:
                for piece in _pieces_of(tail, length):
                    digest.update(piece)
                    self._chunk.write(piece)
        except StagingMissing:
            raise self._lost() from None
        if not compare_digest(digest.digest(), bytes(session.tail_fingerprint)):
            raise self._lost()
        self._kept = length

    def keep_if_due(self) -> None:
        if time.monotonic() - self._kept_at >= FLUSH_SECONDS:
            self.keep()
            let_go_of_databases()

    def keep(self) -> None:
        """Write what is new and have the row tell of it, unless another stream has kept more."""
        length = self._chunk.received
        if not self._chunk.is_kept or length <= self._kept:
            return
        file = self._current_file() or self._new_file()
        self._chunk.copy_to(file, self._written)
        self._written = length
        if each_chunk_is_synced():
            file.sync()
        self._record(file.name, length)
        self._kept_at = time.monotonic()

    def settle(self) -> None:
        """The chunk is in: nothing refers to a tail of it any more."""
        self._old.add(self._session.tail_name)
        if self._file:
            self._old.add(self._file.name)

    def close(self) -> None:
        self._stack.close()
        if self._file and not self._is_named:
            self._old.add(self._file.name)
        for name in filter(None, self._old):
            try:
                get_store().remove_tail(self._session.pk, name)
            except (StorageFull, StorageUnavailable):
                # What is committed is done; the rest of staging goes when the upload has ended.
                logger.exception("A tail of session %s could not be removed", self._session.pk)

    def _lost(self) -> UploadError:
        """A longer tail has taken its place, or a power cut its bytes (P4)."""
        session = self._session
        reach(Failpoint.TAIL_DROP)
        FileSession.objects.filter(pk=session.pk, tail_name=session.tail_name).update(**NO_TAIL)
        self._old.add(session.tail_name)
        current = reread(session)
        if current.status != SessionStatus.ACTIVE:
            return refusal(current)
        return _wrong_offset(current, session.offset)

    def _current_file(self) -> Tail | None:
        """Ours, unless another stream was ahead for a while and may have removed it."""
        if self._file and self._is_named and reread(self._session).tail_name != self._file.name:
            self._old.add(self._file.name)
            self._file = None
        return self._file

    def _new_file(self) -> Tail:
        file = self._file = self._stack.enter_context(get_store().new_tail(self._session.pk))
        self._is_named, self._written = False, 0
        return file

    def _record(self, name: str, length: int) -> None:
        """Under the lock of the row: another stream may be ahead by now, or have the chunk in."""
        reach(Failpoint.TAIL_RECORD)
        with acknowledging_transaction():
            session = FileSession.objects.select_for_update().filter(pk=self._session.pk).first()
            if session is None or session.status != SessionStatus.ACTIVE:
                raise refusal(session or reread(self._session))
            is_ahead = (
                session.bitmap.first_missing() == self._index and session.tail_length < length
            )
            if not is_ahead or (self._is_named and session.tail_name != name):
                return
            write_tail(session, name, length, self._chunk.digest_so_far())
        if session.tail_name != name:
            self._old.add(session.tail_name)
        self._is_named, self._kept = True, length


@contextmanager
def _tail_of(session: FileSession, index: int, chunk: IncomingChunk) -> Iterator[_Tail]:
    tail = _Tail(session, index, chunk)
    try:
        yield tail
    finally:
        tail.close()


def _pieces_of(tail: Tail, length: int) -> Iterator[bytes]:
    buffer = bytearray(READ_SIZE)
    done = 0
    while done < length:
        count = tail.read_into(done, memoryview(buffer)[: length - done])
        if not count:
            return
        yield bytes(buffer[:count])
        done += count


def _wrong_offset(session: FileSession, offset: int) -> OffsetMismatch:
    return OffsetMismatch(
        f"This upload goes on at offset {session.offset}, not at {offset}. Nothing was changed: "
        "send the bytes from there on.",
        offset=session.offset,
    )
