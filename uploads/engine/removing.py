"""Cancelling an upload and deleting what is complete."""

from django.db import transaction

from uploads.failpoints import Failpoint, reach
from uploads.models import FileSession, SessionStatus, StoredFile
from uploads.storage import get_store

from .access import reread
from .content import mark_if_unreferenced, remove_content
from .transitions import move, refusal


def remove(session: FileSession) -> None:
    """Cancel an open session; delete one that completed, failed or expired.

    Raises SessionCancelled when it was cancelled already.
    """
    while session.status in {SessionStatus.ACTIVE, SessionStatus.ASSEMBLING}:
        source = SessionStatus(session.status)
        if move(session.pk, source, SessionStatus.CANCELLED, stored_file=None):
            # A chunk on its way now finds the session cancelled, and writes nothing.
            get_store().discard(session.pk)
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
    get_store().discard(session.pk)
    return remove_content(unreferenced) if unreferenced else 0
