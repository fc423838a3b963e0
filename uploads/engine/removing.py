"""Cancelling an upload and deleting what is complete."""

import logging

from django.db import transaction
from django.db.models import Q

from uploads.errors import StorageFull, StorageUnavailable
from uploads.failpoints import Failpoint, reach
from uploads.models import OPEN_STATUSES, FileSession, SessionStatus, StoredFile
from uploads.storage import get_store

from . import usage
from .access import reread
from .content import mark_if_unreferenced, remove_content
from .transitions import move, refusal

logger = logging.getLogger("uploads.engine")


def remove(session: FileSession) -> None:
    """Cancel an open session; delete one that completed, failed or expired.

    Raises SessionCancelled when it was cancelled already.
    """
    ended = cancel(session)
    if ended is None:
        return
    if ended.status == SessionStatus.CANCELLED:
        raise refusal(ended)
    delete(ended)


def cancel(session: FileSession) -> FileSession | None:
    """Cancel an open session. One that has ended meanwhile is left alone, and returned."""
    while session.status in OPEN_STATUSES:
        source = SessionStatus(session.status)
        if move(session.pk, source, SessionStatus.CANCELLED, stored_file=None):
            # A chunk on its way now finds the session cancelled, and writes nothing.
            _discard(session)
            return None
        session = reread(session)
    return session


def delete(session: FileSession, *, only_if: Q | None = None) -> int | None:
    """Delete a session that has ended, and its content if nothing else refers to it.

    Returns the bytes of content that this freed; None if it is gone, or `only_if` does not hold.
    """
    reach(Failpoint.SESSION_DELETE)
    with transaction.atomic():
        # Read again: its content may have been mended meanwhile, and be another copy now.
        locked = (
            FileSession.objects.select_for_update().filter(only_if or Q(), pk=session.pk).first()
        )
        if locked is None:
            return None
        unreferenced = _delete_locked(locked)
    _discard(session)
    return _removed(unreferenced) if unreferenced else 0


def _delete_locked(session: FileSession) -> StoredFile | None:
    """The content that is to be removed after the commit."""
    session.chunks.all().delete()
    session.events.all().delete()
    FileSession.objects.filter(pk=session.pk).delete()
    unreferenced = session.stored_file_id and mark_if_unreferenced(session.stored_file_id)
    if session.status == SessionStatus.COMPLETED and session.trashed_at is None:
        usage.add(session.owner_id, -1, -(session.size or 0))
    return unreferenced or None


def _discard(session: FileSession) -> None:
    """What is committed is done; bytes that the disk won't let go of are the next sweep's."""
    try:
        get_store().discard(session.pk)
    except (StorageFull, StorageUnavailable):
        logger.exception("The staging of session %s could not be removed", session.pk)


def _removed(stored: StoredFile) -> int:
    try:
        return remove_content(stored)
    except (StorageFull, StorageUnavailable):
        logger.exception("The content %s could not be removed", stored.pk)
        return 0
