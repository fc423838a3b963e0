"""How a file is finished: verified, adopted as content, and only then called complete.

Every step may be the last before a crash. What is left behind is always one of: the session in
`assembling` with its staged file; the same with a pending content row, before or after the
rename; the session completed with staging left over. `finish`, run again, goes on from each.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from hmac import compare_digest
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from uploads.errors import ContentRefused, StorageFull, StorageUnavailable
from uploads.failpoints import Failpoint, reach
from uploads.models import EventKind, FileChunk, FileSession, Role, SessionStatus, StoredFile
from uploads.storage import StagedFile, StagingMissing, get_store

from . import usage
from .announcing import announce_completed, announce_failed
from .bits import write_bitmap
from .content import remove_content
from .durability import synced_transaction
from .events import record_each
from .following import taken_over, wait_for_others
from .joining import CannotJoin, is_ready, join, let_go_of_parts
from .reasons import DATA_LOST, OTHER_HASH
from .trails import Trail, chunk_rows
from .transitions import move
from .uploaded import staged_content
from .validating import validate
from .verifying import Pass

logger = logging.getLogger("uploads.engine")

#: A verifier at work says so this often, in seconds.
HEARTBEAT_SECONDS = 15
#: Each look that ends in another one means that somebody changed the session meanwhile.
_LOOKS = 5
#: An assembling session without news for this long has lost its verifier.
STUCK_AFTER = timedelta(seconds=60)


def finish(session_id: UUID) -> None:
    """Verify an assembling session and complete, reopen or fail it; else do nothing.

    Exactly one of several callers does the work, under the lock of the whole file (P7). Raises
    StorageFull or StorageUnavailable when the disk refuses, Unavailable when a validator breaks
    down; the session stays in assembling then and recovery tries again.
    """
    for _ in range(_LOOKS):
        session = _assembling(session_id)
        if session is None or not _has_its_parts(session):
            return
        try:
            wait_for_others(session_id)
            completed = _finish_locked(session)
        except StagingMissing:
            # Lost, unless another verifier has moved it since we looked: then look again.
            _fail(session, DATA_LOST)
            continue
        if completed:
            _discard_in_passing(session_id)
            announce_completed(completed)
            let_go_of_parts(completed)
            return
    logger.warning("Session %s changed at each of %d looks; left to recovery", session_id, _LOOKS)


def _assembling(session_id: UUID) -> FileSession | None:
    return (
        FileSession.objects.select_related("stored_file")
        .filter(pk=session_id, status=SessionStatus.ASSEMBLING)
        .first()
    )


def _has_its_parts(session: FileSession) -> bool:
    """False for a whole whose parts are not all in yet; it fails where they never will be."""
    try:
        return is_ready(session)
    except CannotJoin as reason:
        _fail(session, str(reason))
        return False


def _finish_locked(found: FileSession) -> FileSession | None:
    """The completed session, or None when it ended, or has to be looked at, otherwise."""
    with _bytes_of(found) as (data, renamed), data.locked(0, 0):
        # Another verifier may have been first while we waited for the lock.
        session = _assembling(found.pk)
        if session is None:
            return None
        if renamed and session.stored_file:
            # It was verified and synced before its row was committed; only the end is missing.
            sha256: str | None = session.stored_file.sha256
        else:
            sha256 = _verify(session, data)
        if sha256 is None or not _agrees(session, sha256):
            return None
        # Also where that was done before: it may be called otherwise since.
        if not _is_taken(session, sha256, data):
            return None
        return _complete(session, sha256) or _adopt(session, sha256, data)


@contextmanager
def _bytes_of(session: FileSession) -> Iterator[tuple[StagedFile, bool]]:
    """The staged file, or the content that it became before a crash; and whether it did."""
    store = get_store()
    pending = session.stored_file
    try:
        with store.open(session.pk) as data:
            yield data, False
    except StagingMissing:
        if pending is None:
            raise
        with store.open_adopted(pending.sha256, pending.pk) as data:
            yield data, True


def _verify(session: FileSession, data: StagedFile) -> str | None:
    """The computed SHA-256, or None after reopening the session with what is damaged missing.

    Of a whole, its parts are copied first, and what is damaged is missing in those.
    """
    if session.role == Role.WHOLE:
        return _joined(session, data)
    with taken_over(session.pk) as trail:
        reading = _reading(session, data, trail)
        reading.advance(session.plan.total, _heartbeat(session))
    if reading.damaged:
        _reopen(session, reading.damaged)
        return None
    return reading.sha256()


def _reading(session: FileSession, data: StagedFile, trail: Trail | None) -> Pass:
    """Of what no follower has read; of all where there was none, or it has to be done again."""
    plan = session.plan
    rows = list(chunk_rows(session.pk))
    fingerprints = {row.index: row.fingerprint for row in rows}
    if data.size != plan.size:
        # Not our doing. What is too much goes; what lacks is found to be damaged.
        data.set_size(plan.size)
    elif trail and trail.is_sound(rows):
        return Pass(data, plan, fingerprints, first=trail.length, sha256=trail.sha256)
    return Pass(data, plan, fingerprints)


def _joined(whole: FileSession, data: StagedFile) -> str | None:
    try:
        return join(whole, data, _heartbeat(whole))
    except CannotJoin as reason:
        _fail(whole, str(reason))
        return None


def _agrees(session: FileSession, computed: str) -> bool:
    """Whether the declared hash, if there is one, is the computed one; else the session fails."""
    if not session.sha256 or compare_digest(session.sha256, computed):
        return True
    _fail(session, OTHER_HASH, f"SHA-256 {computed} ≠ {session.sha256}")
    return False


def _is_taken(session: FileSession, sha256: str, data: StagedFile) -> bool:
    """Whether the content is taken; else the session fails."""
    try:
        validate(lambda: staged_content(session, sha256, data))
    except ContentRefused as refusal:
        _fail(session, refusal.detail, refusal.members.get("evidence", ""))
        return False
    return True


def _heartbeat(session: FileSession) -> Callable[[], None]:
    last = time.monotonic()

    def beat() -> None:
        nonlocal last
        now = time.monotonic()
        if now - last > HEARTBEAT_SECONDS:
            last = now
            reach(Failpoint.FINISH_HEARTBEAT)
            FileSession.objects.filter(pk=session.pk, status=SessionStatus.ASSEMBLING).update(
                updated_at=timezone.now()
            )

    return beat


def _reopen(session: FileSession, damaged: list[int]) -> None:
    """P4: exactly the damaged chunks are missing again, and the session takes them."""
    reach(Failpoint.FINISH_REOPEN)
    with synced_transaction():
        locked = (
            FileSession.objects.select_for_update()
            .filter(pk=session.pk, status=SessionStatus.ASSEMBLING)
            .first()
        )
        if locked is None:
            return
        bitmap = locked.bitmap
        for index in damaged:
            bitmap.discard(index)
        FileChunk.objects.filter(session=locked, index__in=damaged).delete()
        write_bitmap(locked, bitmap)
        move(
            session.pk,
            SessionStatus.ASSEMBLING,
            SessionStatus.ACTIVE,
            detail=str(len(damaged)),
            stored_file=None,
        )
    logger.warning("Session %s: damaged chunks are missing again: %s", session.pk, damaged)


def _fail(session: FileSession, error: str, detail: str = "") -> None:
    """Fail the session if it still is as it was seen, and remove its bytes wherever they are."""
    failed = move(
        session.pk,
        SessionStatus.ASSEMBLING,
        SessionStatus.FAILED,
        # Under another name it may be taken: then it is looked at again.
        only_if={
            "stored_file": session.stored_file,
            "sha256": session.sha256,
            "filename": session.filename,
        },
        detail=detail,
        error=error,
        stored_file=None,
    )
    if failed:
        get_store().discard(session.pk)
        if session.stored_file:
            remove_content(session.stored_file)
        session.status, session.error = SessionStatus.FAILED, error
        announce_failed(session, error)


def _adopt(session: FileSession, sha256: str, data: StagedFile) -> FileSession | None:
    """Make the staged file content of its own: sync, row, rename, then the end.

    Each of these may have been done before a crash, and doing it again does no harm.
    """
    data.sync()
    pending = _pending_row(session, sha256)
    if pending is None:
        return None
    try:
        get_store().adopt(session.pk, sha256, pending.pk)
    except StagingMissing:
        # Cancelled meanwhile, with all its staging; or lost.
        remove_content(pending)
        raise
    return _complete(session, sha256, pending)


def _pending_row(session: FileSession, sha256: str) -> StoredFile | None:
    """The content row to rename for, committed; None when the session is assembling no more."""
    if session.stored_file and session.stored_file.sha256 == sha256:
        return session.stored_file
    reach(Failpoint.CONTENT_INSERT)
    with synced_transaction():
        pending = StoredFile.objects.create(sha256=sha256, size=session.plan.size)
        claimed = FileSession.objects.filter(pk=session.pk, status=SessionStatus.ASSEMBLING).update(
            stored_file=pending
        )
        if not claimed:
            transaction.set_rollback(True)
    return pending if claimed else None


def _complete(
    session: FileSession, sha256: str, pending: StoredFile | None = None
) -> FileSession | None:
    """Complete the session on the live copy of this content, which `pending` becomes if none is.

    None when there is neither, or the session was cancelled meanwhile.
    """
    try:
        stored = _commit_completion(session, sha256, pending)
    except IntegrityError:
        # Another session's copy went live between our look and our commit: take that one.
        stored = _commit_completion(session, sha256, pending)
    # Ours, or one of a verifier that died: not needed, unless the session still refers to it.
    leftover = pending or session.stored_file
    if leftover and stored != leftover:
        _remove_in_passing(leftover)
    if stored:
        # Copies that had rotted: nobody refers to them any more.
        for copy in StoredFile.objects.filter(sha256=sha256, state=StoredFile.State.DAMAGED):
            _remove_in_passing(copy)
    return FileSession.objects.filter(pk=session.pk).first() if stored else None


def _commit_completion(
    session: FileSession, sha256: str, pending: StoredFile | None
) -> StoredFile | None:
    reach(Failpoint.FINISH_COMPLETE)
    with synced_transaction():
        stored = (
            StoredFile.objects.select_for_update()
            .filter(sha256=sha256, state=StoredFile.State.LIVE)
            .first()
        )
        if stored is None and pending is not None:
            StoredFile.objects.filter(pk=pending.pk).update(
                state=StoredFile.State.LIVE, verified_at=timezone.now()
            )
            stored = pending
        if stored is None:
            return None
        moved = move(
            session.pk,
            SessionStatus.ASSEMBLING,
            SessionStatus.COMPLETED,
            # A hash that was declared while we read must agree too, and another name that it got
            # was not looked at; else this is looked at again.
            only_if={"sha256__in": ["", sha256], "filename": session.filename},
            stored_file=stored,
            sha256=sha256,
        )
        if not moved:
            transaction.set_rollback(True)
            return None
        _mend(stored)
        usage.add(session.owner_id, 1, stored.size)
        return stored


def _mend(stored: StoredFile) -> None:
    """Who has this content in a copy that rotted gets it back."""
    damaged = FileSession.objects.filter(
        stored_file__sha256=stored.sha256, stored_file__state=StoredFile.State.DAMAGED
    )
    locked = damaged.select_for_update(of=("self",)).order_by("pk")
    ids = list(locked.values_list("pk", flat=True))
    record_each(ids, EventKind.MENDED)
    FileSession.objects.filter(pk__in=ids).update(stored_file=stored)


def _discard_in_passing(session_id: UUID) -> None:
    """Remove staging that nothing needs; where the disk refuses, the next sweep does."""
    try:
        get_store().discard(session_id)
    except (StorageFull, StorageUnavailable):
        logger.exception("The staging of session %s could not be removed", session_id)


def _remove_in_passing(stored: StoredFile) -> None:
    """Remove content that nothing needs; where the disk refuses, the next sweep does."""
    try:
        remove_content(stored)
    except (StorageFull, StorageUnavailable):
        logger.exception("Content %s could not be removed", stored.pk)
