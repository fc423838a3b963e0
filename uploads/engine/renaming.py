"""Another name for an upload. Its content, and what it is found by, stay."""

import contextlib
import copy

from django.db import transaction

from uploads.errors import SessionNotFound
from uploads.failpoints import Failpoint, reach
from uploads.models import EventKind, FileSession, SessionStatus, StoredFile

from .access import NO_SUCH_UPLOAD
from .events import record
from .inspecting import check_name, check_whole
from .transitions import refusal
from .uploaded import stored_content


def rename(session: FileSession, filename: str) -> FileSession:
    """Call it `filename`, which the caller has cleaned; the session as it is then.

    Does not move `updated_at`. Raises FileTypeNotAllowed or ContentRefused where the file would not
    be taken under that name, SessionCancelled, or SessionNotFound when it was deleted meanwhile.
    """
    _check_taken_as(session, filename)
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


def _check_taken_as(session: FileSession, filename: str) -> None:
    check_name(filename, session.mime_type)
    stored = StoredFile.objects.filter(sessions=session.pk).first()
    if stored is not None:
        renamed = copy.copy(session)
        renamed.filename = filename
        # What is lost has no content to disagree with: it is never served.
        with contextlib.suppress(FileNotFoundError), stored_content(renamed, stored) as content:
            check_whole(content)
