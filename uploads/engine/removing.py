"""Cancelling an upload and deleting what is complete."""

from django.db import transaction

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
    _delete(session)


def _delete(session: FileSession) -> None:
    with transaction.atomic():
        session.chunks.all().delete()
        FileSession.objects.filter(pk=session.pk).delete()
        unreferenced = session.stored_file_id and mark_if_unreferenced(session.stored_file_id)
    get_store().discard(session.pk)
    if isinstance(unreferenced, StoredFile):
        remove_content(unreferenced)
