"""Another name for an upload. Its content, and what it is found by, stay."""

from django.db import transaction

from uploads.errors import SessionNotFound
from uploads.failpoints import Failpoint, reach
from uploads.models import EventKind, FileSession, SessionStatus

from .access import NO_SUCH_UPLOAD
from .events import record
from .transitions import refusal


def rename(session: FileSession, filename: str) -> FileSession:
    """Call it `filename`, which the caller has cleaned; the session as it is then.

    Does not move `updated_at`. Raises SessionCancelled, or SessionNotFound when it was deleted
    meanwhile.
    """
    reach(Failpoint.SESSION_RENAME)
    with transaction.atomic():
        locked = (
            FileSession.objects.select_for_update().filter(pk=session.pk, trashed_at=None).first()
        )
        if locked is None:
            raise SessionNotFound(NO_SUCH_UPLOAD)
        if locked.status == SessionStatus.CANCELLED:
            raise refusal(locked)
        if locked.filename != filename:
            record(locked.pk, EventKind.RENAMED, locked.path)
            locked.set_name(filename, locked.folder)
            locked.save(update_fields=["filename", "search_name", "kind"])
    return locked
