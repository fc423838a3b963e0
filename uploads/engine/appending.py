"""Streams that do not keep to the grid of chunks: they go on where the upload is.

Each chunk that a stream fills comes in as all chunks do (`receiving`), while the next is read
(`committing`). What it has brought of the
next one, its tail (`tails`), is kept every FLUSH_SECONDS and when the stream ends; a longer one
only ever replaces a shorter one. So the offset is exact and does not go back, and of two streams at
once each finds what the other has committed and can touch none of it.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hmac import compare_digest

from uploads import conf
from uploads.core.bodies import READ_SIZE, ByteSource, pieces
from uploads.core.digests import fingerprint
from uploads.errors import LengthMismatch, OffsetMismatch, TooLarge, UploadError
from uploads.failpoints import Failpoint, reach
from uploads.models import FileSession, SessionStatus
from uploads.storage import StagingMissing, Tail, get_store

from .access import reread
from .bits import drop_tail, write_tail
from .committing import Committer
from .database import let_go_unless_few
from .durability import acknowledging_transaction, each_chunk_is_synced
from .quotas import check_quota_of
from .reading import pieces_of
from .receiving import IncomingChunk, incoming_chunk, missing_staging
from .tails import remove_tail_in_passing
from .transitions import refusal

logger = logging.getLogger("uploads.engine")

#: A stream that is killed with its server loses at most what came within so many seconds.
FLUSH_SECONDS = 2.0


def append(session: FileSession, offset: int, source: ByteSource, length: int) -> FileSession:
    """Take at most `length` bytes from `source` as those from `offset` on; the session afterwards.

    Its `offset` tells how far they came: a source that ends early, as a cut connection does, has
    given what it gave. Chunks that came in ahead are compared and passed over; one that the stream
    covers in part, beyond the tail, is not compared.

    Raises OffsetMismatch unless `offset` is the session's, LengthMismatch or TooLarge for more
    bytes than the file has room for, ChunkConflict, StorageFull, StorageUnavailable, or the refusal
    of the session's state. What was taken before any of these stays.
    """
    check_append(session, offset, length)
    end = offset + length
    with Committer() as committer:
        while offset < end:
            plan = session.plan
            index = offset // plan.chunk_size
            wanted = min(end, plan.offset(index) + plan.length(index)) - offset
            committer.is_last = offset + wanted == end
            received = _append_to_chunk(session, index, offset, source, wanted, committer)
            offset += received
            if received < wanted:
                break
            session = reread(session)
            # Its size may have been declared meanwhile.
            _check_fits(session, offset, end - offset)
        committer.wait()
    return reread(session)


def check_append(session: FileSession, offset: int, length: int) -> None:
    """Raises what `append` raises before it reads anything."""
    if session.status != SessionStatus.ACTIVE:
        raise refusal(session)
    if offset != session.offset:
        raise _wrong_offset(session, offset)
    _check_fits(session, offset, length)


def _check_fits(session: FileSession, offset: int, length: int) -> None:
    if session.size is None:
        limit = min(session.plan.size, conf.current().max_file_size)
        if offset + length > limit:
            raise TooLarge(
                f"An upload that was begun without its size takes at most {limit} bytes. Begin one "
                "with the size declared.",
                limit=limit,
            )
    elif offset + length > session.size:
        expected = max(0, session.size - offset)
        raise LengthMismatch(
            f"The file has {session.size} bytes: after {offset} there are {expected} to come, not "
            f"{length}. What came before is kept.",
            expected=expected,
            actual=length,
        )


def _append_to_chunk(
    session: FileSession,
    index: int,
    offset: int,
    source: ByteSource,
    length: int,
    committer: Committer,
) -> int:
    """Bring chunk `index` on by `length` bytes from `offset`; if it is whole then, it goes to the
    `committer`.

    Returns how many came.
    """
    within = offset - session.plan.offset(index)
    with ExitStack() as room:
        chunk = room.enter_context(incoming_chunk(session, index))
        keeper = room.enter_context(_keeper_of(session, index, chunk))
        if within:
            keeper.take_up(within)
        has_ended = False
        try:
            for piece in pieces(source, length):
                chunk.write(piece)
                committer.check()
                if keeper.is_due:
                    committer.wait()
                    keeper.keep()
                    let_go_unless_few()
            has_ended = True
        finally:
            # Whatever went wrong: what has come stays, but behind a chunk that was refused.
            if not has_ended and committer.has_all():
                keeper.keep()
        if session.size is None:
            # It may have been declared meanwhile, and this be the last chunk.
            current = reread(session)
            _check_fits(current, offset, chunk.received - within)
            chunk.fit(current)
        received = chunk.received - within
        if chunk.received == chunk.length:
            committer.begin(chunk, room)
        else:
            # The tail of the first missing chunk: that is ours once those before are in.
            committer.wait()
            keeper.keep()
        return received


class _TailKeeper:
    """Keeps, as the tail of the upload, what one stream has brought of one chunk."""

    def __init__(self, session: FileSession, index: int, chunk: IncomingChunk) -> None:
        self._session = session
        self._index = index
        self._chunk = chunk
        #: Open for as long as our file is.
        self._stack = ExitStack()
        self._file: Tail | None = None
        #: Whether the row has named our file.
        self._is_named = False
        #: Bytes of the chunk in our file, and in the file that the row names, as far as we know.
        self._written = self._kept = 0
        self._kept_at = time.monotonic()

    def take_up(self, length: int) -> None:
        """Begin the chunk with the `length` bytes that an earlier stream has left of it.

        Raises OffsetMismatch, or the refusal of the session's state, when they are there no more.
        """
        session = self._session
        digest = fingerprint()
        buffer = memoryview(bytearray(READ_SIZE))
        try:
            with get_store().open_tail(session.pk, session.tail_name) as tail:
                for piece in pieces_of(tail, 0, length, buffer):
                    digest.update(piece)
                    self._chunk.write(bytes(piece))
        except StagingMissing:
            raise self._lost() from None
        if not compare_digest(digest.digest(), bytes(session.tail_fingerprint)):
            raise self._lost()
        self._kept = length

    @property
    def is_due(self) -> bool:
        return time.monotonic() - self._kept_at >= FLUSH_SECONDS

    def keep(self) -> None:
        """Write what is new and have the row tell of it, unless another stream has kept more.

        A chunk that is whole is no tail: it is for `commit` to tell of.
        """
        length = self._chunk.received
        if not self._chunk.is_kept or not self._kept < length < self._chunk.length:
            return
        try:
            file = self._current_file() or self._new_file()
        except StagingMissing as error:
            raise missing_staging(self._session) from error
        self._chunk.copy_to(file, self._written)
        self._written = length
        if each_chunk_is_synced():
            file.sync()
        self._record(file.name, length)
        self._kept_at = time.monotonic()

    def close(self) -> None:
        """Whoever has the row name another file, or none, has removed ours if it was named."""
        self._stack.close()
        if self._file and not self._is_named:
            remove_tail_in_passing(self._session, self._file.name)

    def _lost(self) -> UploadError:
        """Another stream has gone on from it, or a power cut has taken its bytes (P4)."""
        session = self._session
        reach(Failpoint.TAIL_DROP)
        if drop_tail(session):
            logger.warning(
                "Session %s: the disk has lost %d bytes of chunk %d, which are missing again",
                session.pk,
                session.tail_length,
                self._index,
            )
            remove_tail_in_passing(session, session.tail_name)
        current = reread(session)
        if current.status != SessionStatus.ACTIVE:
            return refusal(current)
        return _wrong_offset(current, session.offset)

    def _current_file(self) -> Tail | None:
        """Ours, unless another stream was ahead for a while and has removed it."""
        if self._is_named and self._file and reread(self._session).tail_name != self._file.name:
            self._file = None
        return self._file

    def _new_file(self) -> Tail:
        file = self._file = self._stack.enter_context(get_store().new_tail(self._session.pk))
        self._is_named, self._written = False, 0
        return file

    def _record(self, name: str, length: int) -> None:
        reach(Failpoint.TAIL_RECORD)
        with acknowledging_transaction():
            session = FileSession.objects.select_for_update().filter(pk=self._session.pk).first()
            if session is None or session.status != SessionStatus.ACTIVE:
                raise refusal(session or reread(self._session))
            if not self._is_next(session, length) or (self._is_named and session.tail_name != name):
                return
            write_tail(session, name, length, self._chunk.digest_so_far())
            check_quota_of(session)
        self._is_named, self._kept = True, length
        if session.tail_name != name:
            remove_tail_in_passing(session, session.tail_name)

    def _is_next(self, session: FileSession, length: int) -> bool:
        """Under the lock of its row: another stream may be ahead, or have the chunk in, by now; or
        the size may have been declared, and the chunk be whole, or none of the file.
        """
        return (
            session.bitmap.first_missing() == self._index
            and session.plan.has(self._index)
            and session.tail_length < length < session.plan.length(self._index)
        )


@contextmanager
def _keeper_of(session: FileSession, index: int, chunk: IncomingChunk) -> Iterator[_TailKeeper]:
    keeper = _TailKeeper(session, index, chunk)
    try:
        yield keeper
    finally:
        keeper.close()


def _wrong_offset(session: FileSession, offset: int) -> OffsetMismatch:
    return OffsetMismatch(
        f"This upload goes on at offset {session.offset}, not at {offset}. Nothing was changed: "
        "send the bytes from there on.",
        offset=session.offset,
    )
