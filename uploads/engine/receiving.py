"""How a chunk comes in: all its bytes first, then the checks, and only then the file (P2).

No transaction and no lock is held while bytes are awaited from the network (P5). The lock on the
chunk's own range lasts for the milliseconds of one write and one transaction.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hmac import compare_digest

from uploads import conf
from uploads.core.bodies import ByteSource, pieces
from uploads.core.digests import ALGORITHMS, FINGERPRINT, Digest
from uploads.core.plan import MIB, ChunkPlan
from uploads.core.signatures import HEAD_LENGTH
from uploads.errors import (
    ChunkConflict,
    ChunkNotFound,
    DigestMismatch,
    LengthMismatch,
    SessionFailed,
    SessionNotFound,
    TooLarge,
    Unavailable,
    UploadError,
)
from uploads.failpoints import Failpoint, reach
from uploads.models import OPEN_STATUSES, FileChunk, FileSession, SessionStatus
from uploads.storage import StagingMissing, Tail, get_store

from .access import NO_SUCH_UPLOAD, reread, reread_with_chunk
from .announcing import announce_failed
from .background import enqueue_finish, finish_here
from .bits import write_bitmap
from .buffers import Body, open_body
from .database import let_go_unless_few
from .durability import acknowledging_transaction, each_chunk_is_synced
from .following import chunk_is_in
from .inspecting import check_first_chunk
from .quotas import check_quota_of
from .reasons import DATA_LOST
from .room import check_room
from .rows import find
from .tails import remove_tail_in_passing
from .transitions import QUIET, move, refusal, touch

#: Bytes hashed at once. A hash lets other threads run meanwhile, and must then wait for them: with
#: each small piece that costs more than the hash does.
HASH_STEP = MIB // 2

TAKES_CHUNKS = {SessionStatus.ACTIVE, SessionStatus.ASSEMBLING, SessionStatus.COMPLETED}


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a chunk. `session` is as it was right after."""

    session: FileSession
    index: int
    duplicate: bool


def check_chunk(session: FileSession, index: int, length: int | None = None) -> int:
    """The length of chunk `index` in bytes, if this session can take it now.

    A chunk that is in already may always be sent again, also after completion (P6). Raises
    ChunkNotFound, LengthMismatch (when `length` is given and differs), TooLarge where no file that
    is taken has it, or the refusal of the session's state.
    """
    plan = session.plan
    if session.status not in TAKES_CHUNKS:
        raise refusal(session)
    if not plan.has(index):
        raise ChunkNotFound(
            f"Chunk {index} is out of bounds: this upload has {plan.total} chunks, numbered "
            "from 0.",
            total_chunks=plan.total,
        )
    if session.size is None and index not in session.bitmap:
        _check_in_largest_file(plan, index)
    expected = plan.length(index)
    if length is not None and length != expected:
        raise _wrong_length(index, expected, length)
    return expected


def _check_in_largest_file(plan: ChunkPlan, index: int) -> None:
    """While nobody knows the size, there is only the server's own limit."""
    limit = conf.current().max_file_size
    end = plan.offset(index) + plan.length(index)
    if end > limit:
        raise TooLarge(
            f"Chunk {index} ends after {end} bytes; this server takes files of at most {limit}. "
            "Nothing was changed: if the file ends within this chunk, declare its size first.",
            limit=limit,
        )


def receive_chunk(
    session: FileSession, index: int, source: ByteSource, declared: Sequence[Digest] = ()
) -> Receipt:
    """Read chunk `index` from `source` and store it, checked against all `declared` digests.

    Raises what `check_chunk` and `IncomingChunk` raise, and StorageFull or StorageUnavailable;
    nothing is changed by any of these.
    """
    length = check_chunk(session, index)
    with incoming_chunk(session, index, {digest.algorithm for digest in declared}) as chunk:
        for piece in pieces(source, length):
            chunk.write(piece)
        return chunk.commit(declared)


class IncomingChunk:
    """One chunk on its way in: `write` its bytes, then `commit`. Made by `incoming_chunk`.

    Without a body (the chunk is in already) the bytes are only compared.
    """

    def __init__(
        self, session: FileSession, index: int, body: Body | None, algorithms: Collection[str]
    ) -> None:
        self._session = session
        self._index = index
        self._length = session.plan.length(index)
        self._body = body
        self._received = 0
        #: Bytes that the hashers below have been given.
        self._hashed = 0
        self._hashers = {name: ALGORITHMS[name]() for name in {FINGERPRINT, *algorithms}}
        #: Its first bytes, as many as are looked at.
        self._head = b""

    @property
    def length(self) -> int:
        """Bytes of the whole chunk."""
        return self._length

    @property
    def received(self) -> int:
        """Bytes that have come."""
        return self._received

    @property
    def is_kept(self) -> bool:
        """Whether its bytes are held; those of a chunk that is in already are only compared."""
        return self._body is not None

    def fit(self, session: FileSession) -> None:
        """Be the chunk that it is of `session`, whose size may have been declared meanwhile."""
        if session.plan.has(self._index):
            self._session, self._length = session, session.plan.length(self._index)

    def digest_so_far(self) -> bytes:
        """The fingerprint of the bytes that have come."""
        self._hash_rest()
        return self._fingerprint

    @property
    def _fingerprint(self) -> bytes:
        """Of the bytes hashed."""
        return self._hashers[FINGERPRINT].digest()

    def copy_to(self, tail: Tail, start: int) -> None:
        """Write the bytes that have come, from `start` on, to the same place in a tail."""
        if self._body:
            self._body.copy_to(tail, start, start)

    def write(self, piece: bytes) -> None:
        """Take the next bytes. Raises LengthMismatch as soon as they are too many."""
        received = self._received + len(piece)
        if received > self._length:
            raise _wrong_length(self._index, self._length, received)
        if self._body:
            self._body.write(piece)
        # Only now: a disk may have refused to take it.
        self._received = received
        if len(self._head) < HEAD_LENGTH:
            self._head += piece[: HEAD_LENGTH - len(self._head)]
        if self._body is None:
            self._hash(piece)
        elif received - self._hashed >= HASH_STEP:
            self._hash_rest()

    def _hash_rest(self) -> None:
        if self._body:
            self._body.feed(self._hash, self._hashed)

    def _hash(self, part: bytes | memoryview) -> None:
        self._hashed += len(part)
        for hasher in self._hashers.values():
            hasher.update(part)

    def commit(self, declared: Sequence[Digest] = ()) -> Receipt:
        """Check all, then store. `declared` digests are of the algorithms named at the start.

        Raises LengthMismatch, DigestMismatch, ChunkConflict, QuotaExceeded, ContentRefused or the
        refusal of the session's state.
        """
        if self._received != self._length:
            raise _wrong_length(self._index, self._length, self._received)
        self._hash_rest()
        for digest in declared:
            self._check(digest)
        if self._body is None:
            return self._compared()
        receipt = self._stored(self._body)
        reach(Failpoint.CHUNK_ACKNOWLEDGE)
        return receipt

    def _check(self, declared: Digest) -> None:
        actual = self._hashers[declared.algorithm].digest()
        if not compare_digest(declared.value, actual):
            raise DigestMismatch(
                f"The {declared.algorithm} of the bytes that arrived for chunk {self._index} is "
                f"{actual.hex()}, declared was {declared.value.hex()}. Nothing was changed: send "
                "the chunk again.",
                algorithm=declared.algorithm,
                expected=declared.value.hex(),
                actual=actual.hex(),
            )

    def _compared(self) -> Receipt:
        settled = self._settled(self._stored_fingerprint())
        if settled:
            return settled
        session = reread(self._session)
        if session.status not in OPEN_STATUSES:
            # A completed one that was made of known content has no chunks to compare with.
            raise refusal(session)
        # It was in when the body began and isn't now: the verifier found it damaged (P4).
        raise Unavailable(
            f"Chunk {self._index} was found damaged on the server meanwhile. Send it once more.",
            index=self._index,
        )

    def _stored(self, body: Body) -> Receipt:
        try:
            receipt, whole, tail = self._written(body)
        except StagingMissing as error:
            # The same chunk may have come in otherwise and have been the last one missing (P6).
            settled = self._settled(self._stored_fingerprint())
            if settled:
                return settled
            raise missing_staging(self._session) from error
        if whole:
            # Not before the chunk is unlocked: the verifier wants the whole file, and a task may
            # run in place.
            enqueue_finish(receipt.session.pk)
        elif not receipt.duplicate:
            chunk_is_in(receipt.session, finish_here)
        remove_tail_in_passing(receipt.session, tail)
        return receipt

    def _written(self, body: Body) -> tuple[Receipt, bool, str]:
        """The receipt, whether this chunk made the session assembling, and a tail it has ended."""
        offset = self._session.plan.offset(self._index)
        with get_store().open(self._session.pk) as data:
            if data.is_locked(offset, self._length):
                # A verifier may hold it for long: this may have been the last chunk.
                settled = self._settled(self._stored_fingerprint())
                if settled:
                    return settled, False, ""
            with data.locked(offset, self._length):
                session, stored = reread_with_chunk(self._session, self._index)
                settled = self._settled(stored)
                if settled:
                    return settled, False, ""
                self._check_taken_by(session)
                check_first_chunk(session, self._index, self._head)
                check_room(self._length)
                body.copy_to(data, offset)
                if each_chunk_is_synced():
                    data.sync()
                session, whole, tail = self._recorded()
        return Receipt(session, self._index, duplicate=False), whole, tail

    def _check_taken_by(self, session: FileSession) -> None:
        """The session may have ended while the bytes came, or its size been declared."""
        if session.status != SessionStatus.ACTIVE:
            raise refusal(session)
        check_chunk(session, self._index, self._length)

    def _stored_fingerprint(self) -> bytes | None:
        """Of this chunk, if it is stored."""
        stored = FileChunk.objects.filter(session=self._session, index=self._index).first()
        return bytes(stored.fingerprint) if stored else None

    def _settled(self, stored: bytes | None) -> Receipt | None:
        """The answer when this chunk is `stored` already, with this fingerprint (P6); else None."""
        if stored is None:
            return None
        if not compare_digest(stored, self._fingerprint):
            raise ChunkConflict(
                f"Chunk {self._index} was received before with other bytes, which are kept. If the "
                "file has changed, cancel this upload and begin a new one.",
                index=self._index,
            )
        return Receipt(reread(self._session), self._index, duplicate=True)

    def _recorded(self) -> tuple[FileSession, bool, str]:
        """The row, the bit and the count in one transaction, if the session still takes them.

        Also whether the session has become assembling, and the name of a tail that it has no more.
        """
        reach(Failpoint.CHUNK_RECORD)
        with acknowledging_transaction():
            session = find(FileSession, self._session.pk, lock=True)
            if session is None:
                raise SessionNotFound(NO_SUCH_UPLOAD)
            self._check_taken_by(session)
            FileChunk.objects.create(
                session=session, index=self._index, fingerprint=self._fingerprint
            )
            tail = session.tail_name
            bitmap = session.bitmap
            bitmap.add(self._index)
            write_bitmap(session, bitmap)
            whole = assemble_if_whole(session)
            check_quota_of(session)
        return session, whole, "" if session.tail_name else tail


def assemble_if_whole(session: FileSession) -> bool:
    """Make an active session assembling once every chunk is in and nobody need say so.

    Within a transaction. Who called enqueues the verifier if this returns True.
    """
    if not (session.completes_when_whole and session.is_whole):
        return False
    moved = move(session.pk, SessionStatus.ACTIVE, SessionStatus.ASSEMBLING)
    if moved:
        session.status = SessionStatus.ASSEMBLING
    return moved


@contextmanager
def incoming_chunk(
    session: FileSession, index: int, algorithms: Collection[str] = ()
) -> Iterator[IncomingChunk]:
    """Room for one chunk of a session that `check_chunk` has passed.

    The context is left with the chunk committed, or with nothing of it kept.

    `algorithms` (keys of ALGORITHMS) are those whose digest `commit` may be asked to check.
    """
    if session.status == SessionStatus.ACTIVE and session.is_quiet_for(QUIET):
        # So that no sweep takes a session that came back after long, while its body arrives.
        touch(session)
    with ExitStack() as stack:
        chunk = IncomingChunk(session, index, _room(stack, session, index), algorithms)
        let_go_unless_few()
        yield chunk


def _room(stack: ExitStack, session: FileSession, index: int) -> Body | None:
    """Where the bytes of the chunk go; None when it is in already."""
    if index in session.bitmap:
        return None
    try:
        incoming = stack.enter_context(get_store().incoming(session.pk))
    except StagingMissing as error:
        current = reread(session)
        if current.status in TAKES_CHUNKS and index in current.bitmap:
            return None
        raise missing_staging(session) from error
    length = session.plan.length(index)
    check_room(length)
    return stack.enter_context(open_body(incoming, length))


def missing_staging(session: FileSession) -> UploadError:
    """Why there is no staged file: staging goes after its session has ended; or it was lost.

    Then the session, if it is active, has failed.
    """
    current = reread(session)
    if current.status != SessionStatus.ACTIVE:
        return refusal(current)
    if move(session.pk, SessionStatus.ACTIVE, SessionStatus.FAILED, error=DATA_LOST):
        current.status, current.error = SessionStatus.FAILED, DATA_LOST
        announce_failed(current, DATA_LOST)
    return SessionFailed(f"{DATA_LOST} Begin a new upload by a handshake.")


def _wrong_length(index: int, expected: int, actual: int) -> LengthMismatch:
    return LengthMismatch(
        f"Chunk {index} has {expected} bytes, the body {actual}. Nothing was changed: send the "
        "chunk again, whole.",
        expected=expected,
        actual=actual,
    )
