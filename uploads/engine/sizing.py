"""The size of an upload that was begun without one: declared once, then fixed."""

from contextlib import ExitStack

from uploads.core.bitmap import Bitmap
from uploads.core.bodies import READ_SIZE
from uploads.core.plan import ChunkPlan
from uploads.errors import ChunksMissing, LengthMismatch, OffsetMismatch, TooLarge, Unavailable
from uploads.failpoints import Failpoint, reach
from uploads.models import FileChunk, FileSession, SessionStatus
from uploads.storage import StagedFile, StagingMissing, get_store

from .access import reread
from .background import enqueue_finish
from .bits import drop_tail, write_bitmap
from .durability import acknowledging_transaction, each_chunk_is_synced
from .opening import check_size
from .quotas import check_quota
from .reading import pieces_of
from .receiving import assemble_if_whole, missing_staging
from .room import check_room
from .tails import is_tail_sound, remove_tail_in_passing
from .transitions import one_open_session, refusal

#: Each round a stream has gone on with the upload meanwhile; two is rare.
_ROUNDS = 5


def declare_size(session: FileSession, size: int) -> FileSession:
    """The session with its size, in bytes, declared. Harmless when it is declared already.

    If the file ends where the tail does, the tail is its last chunk from then on. Raises
    LengthMismatch when another size is declared, or more has come already; OffsetMismatch when a
    disk has lost the end of what came; TooLarge, HashConflict, or the refusal of the state.
    """
    for _ in range(_ROUNDS):
        if session.size is not None:
            break
        if session.status != SessionStatus.ACTIVE:
            raise refusal(session)
        _try_to_declare(session, size)
        session = reread(session)
    if session.size is None:
        raise Unavailable("Streams of this upload got in the way. Send the same request again.")
    if session.size != size:
        raise LengthMismatch(
            f"This upload is declared to have {session.size} bytes, not {size}. If the file has "
            "changed, cancel this upload and begin a new one.",
            expected=session.size,
            actual=size,
        )
    return session


def settle_size(session: FileSession) -> FileSession:
    """The session of a client that has sent everything: what came is the whole file.

    Raises ChunksMissing when there is a gap in it, and what `declare_size` raises.
    """
    if session.size is not None:
        return session
    bitmap = session.bitmap
    missing = [index for index in bitmap.missing() if index < bitmap.end]
    if missing:
        raise ChunksMissing(
            f"{len(missing)} chunks are missing before the last that came. Send those named in "
            "`missing`, then complete again.",
            missing=missing,
        )
    if session.offset < session.least_size:
        raise _end_lost(session)
    return declare_size(session, session.offset)


def _try_to_declare(session: FileSession, size: int) -> None:
    """Declare it, unless the session turns out to have changed since it was read."""
    check_size(size, session.sha256)
    if size > session.plan.size:
        raise TooLarge(
            f"An upload that was begun without its size takes at most {session.plan.size} bytes. "
            "Begin one with the size declared.",
            limit=session.plan.size,
        )
    with ExitStack() as stack:
        ends_in_tail = bool(session.tail_length) and session.offset == size
        if ends_in_tail and not _write_last_chunk(stack, session):
            return
        with one_open_session(session.sha256):
            declared = _declared(session, size)
    if declared and ends_in_tail:
        remove_tail_in_passing(session, session.tail_name)


def _write_last_chunk(stack: ExitStack, session: FileSession) -> bool:
    """The tail to its place in the file, whose range stays locked for as long as `stack` lasts.

    False when the session has changed since it was read. Raises OffsetMismatch when a power cut has
    taken bytes of the tail (P4).
    """
    if not is_tail_sound(session):
        reach(Failpoint.TAIL_DROP)
        if not drop_tail(session):
            return False
        remove_tail_in_passing(session, session.tail_name)
        raise _end_lost(reread(session))
    start = session.offset - session.tail_length
    check_room(session.tail_length)
    try:
        data = stack.enter_context(get_store().open(session.pk))
        stack.enter_context(data.locked(start, session.tail_length))
        # Whoever sends that chunk whole has held this lock, and is through with it.
        if reread(session).tail_name != session.tail_name:
            return False
        _copy_tail(session, data, start)
    except StagingMissing as error:
        if reread(session).tail_name != session.tail_name:
            return False
        raise missing_staging(session) from error
    if each_chunk_is_synced():
        data.sync()
    return True


def _copy_tail(session: FileSession, data: StagedFile, start: int) -> None:
    buffer = memoryview(bytearray(READ_SIZE))
    with get_store().open_tail(session.pk, session.tail_name) as tail:
        for piece in pieces_of(tail, 0, session.tail_length, buffer):
            data.write_at(start, piece)
            start += len(piece)


def _end_lost(session: FileSession) -> OffsetMismatch:
    return OffsetMismatch(
        f"The server's disk has damaged the end of what was sent: this upload goes on at offset "
        f"{session.offset}. Send the bytes from there on, and then this again.",
        offset=session.offset,
    )


def _declared(found: FileSession, size: int) -> bool:
    """Size and, if the tail is the last chunk, its row, in one transaction; whether it was done."""
    reach(Failpoint.SESSION_SIZE)
    with acknowledging_transaction():
        session = FileSession.objects.select_for_update().filter(pk=found.pk).first()
        if session is None or session.status != SessionStatus.ACTIVE or session.size is not None:
            return False
        plan = ChunkPlan(size, session.chunk_size)
        came = max(session.offset, session.least_size, plan.offset(session.bitmap.end))
        if came > size:
            raise _more_came(came, size)
        ends_in_tail = bool(session.tail_length) and session.offset == size
        if ends_in_tail and session.tail_name != found.tail_name:
            return False
        FileSession.objects.filter(pk=session.pk).update(size=size)
        session.size = size
        check_quota(session.owner)
        bitmap = Bitmap(bytes(session.received), plan.total)
        if ends_in_tail:
            index = bitmap.first_missing()
            FileChunk.objects.create(
                session=session, index=index, fingerprint=bytes(session.tail_fingerprint)
            )
            bitmap.add(index)
        write_bitmap(session, bitmap)
        whole = assemble_if_whole(session)
    if whole:
        enqueue_finish(session.pk)
    return True


def _more_came(came: int, size: int) -> LengthMismatch:
    return LengthMismatch(
        f"{came} bytes of this upload have come: it cannot have {size}. Nothing was changed.",
        expected=came,
        actual=size,
    )
