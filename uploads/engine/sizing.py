"""The size of an upload that was begun without one: declared once, then fixed."""

from django.db import transaction

from uploads.core.bitmap import Bitmap
from uploads.core.plan import ChunkPlan
from uploads.errors import ChunksMissing, LengthMismatch, TooLarge
from uploads.failpoints import Failpoint, reach
from uploads.models import FileSession, SessionStatus

from .access import reread
from .appending import commit_whole_tail
from .background import enqueue_finish
from .opening import check_size
from .receiving import assemble_if_whole
from .transitions import one_open_session, refusal


def declare_size(session: FileSession, size: int) -> FileSession:
    """The session with its size, in bytes, declared. Harmless when it is declared already.

    Raises LengthMismatch when another size is declared, or more has come already; TooLarge,
    HashConflict, or the refusal of the session's state.
    """
    if session.size is None:
        check_size(size, session.sha256)
        with one_open_session(session.sha256):
            _set_size(session, size)
        session = reread(session)
    if session.size != size:
        raise LengthMismatch(
            f"This upload is declared to have {session.size} bytes, not {size}. If the file has "
            "changed, cancel this upload and begin a new one.",
            expected=session.size,
            actual=size,
        )
    return session if session.status != SessionStatus.ACTIVE else commit_whole_tail(session)


def settle_size(session: FileSession) -> FileSession:
    """An active session whose client has sent everything: what came is the whole file.

    Raises ChunksMissing when there is a gap in it, and what `declare_size` raises.
    """
    if session.size is not None:
        return commit_whole_tail(session)
    bitmap = session.bitmap
    missing = [index for index in bitmap.missing() if index < bitmap.end]
    if missing:
        raise ChunksMissing(
            f"{len(missing)} chunks are missing before the last that came. Send those named in "
            "`missing`, then complete again.",
            missing=missing,
        )
    return declare_size(session, session.offset)


def _set_size(session: FileSession, size: int) -> None:
    plan = ChunkPlan(size, session.chunk_size)
    if size > session.plan.size:
        raise TooLarge(
            f"An upload that was begun without its size takes at most {session.plan.size} bytes. "
            "Begin one with the size declared.",
            limit=session.plan.size,
        )
    reach(Failpoint.SESSION_SIZE)
    with transaction.atomic():
        locked = FileSession.objects.select_for_update().filter(pk=session.pk).first()
        if locked is None or locked.status != SessionStatus.ACTIVE:
            raise refusal(locked or reread(session))
        if locked.size is not None:
            return
        came = max(locked.offset, plan.offset(locked.bitmap.end))
        if came > size:
            raise LengthMismatch(
                f"{came} bytes of this upload are in: it cannot have {size}. Nothing was changed.",
                expected=came,
                actual=size,
            )
        received = Bitmap(bytes(locked.received), plan.total)
        FileSession.objects.filter(pk=session.pk).update(size=size, received=received.to_bytes())
        locked.size = size
        if assemble_if_whole(locked):
            enqueue_finish(locked.pk)
