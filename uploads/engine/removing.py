"""Cancelling an upload and deleting what is complete."""

import logging

from django.db import transaction

from uploads.errors import StorageFull, StorageUnavailable
from uploads.failpoints import Failpoint, reach
from uploads.models import FileSession, SessionStatus, StoredFile
from uploads.storage import get_store

from .access import reread
from .content import mark_if_unreferenced, remove_content
from .transitions import move, refusal

logger = logging.getLogger("uploads.engine")


def remove(session: FileSession) -> None:
    """Cancel an open session; delete one that completed, failed or expired.

    Raises SessionCancelled when it was cancelled already.
    """
    while session.status in {SessionStatus.ACTIVE, SessionStatus.ASSEMBLING}:
        source = SessionStatus(session.status)
        if move(session.pk, source, SessionStatus.CANCELLED, stored_file=None):
            # A chunk on its way now finds the session cancelled, and writes nothing.
            _discard(session)
            return
        session = reread(session)
    if session.status == SessionStatus.CANCELLED:
        raise refusal(session)
    delete(session)


def delete(session: FileSession) -> int:
    """Delete a session that has ended, and its content if nothing else refers to it.

    Returns the bytes of content that this freed.
    """
    reach(Failpoint.SESSION_DELETE)
    unreferenced: StoredFile | None = None
    with transaction.atomic():
        # Read again: its content may have been mended meanwhile, and be another copy now.
        locked = FileSession.objects.select_for_update().filter(pk=session.pk).first()
        if locked:
            locked.chunks.all().delete()
            FileSession.objects.filter(pk=locked.pk).delete()
        if locked and locked.stored_file_id:
            unreferenced = mark_if_unreferenced(locked.stored_file_id)
    _discard(session)
    return _removed(unreferenced) if unreferenced else 0


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
