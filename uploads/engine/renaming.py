"""Another name for an upload. Its content, and what it is found by, stay."""

import contextlib
import copy

from django.db import transaction

from uploads.errors import SessionNotFound, Unavailable
from uploads.failpoints import Failpoint, reach
from uploads.models import EventKind, FileSession, SessionStatus, StoredFile

from .access import NO_SUCH_UPLOAD, reread
from .events import record
from .inspecting import check_name
from .transitions import refusal
from .uploaded import stored_content
from .validating import validate

#: A session completes once; a disk that damages it while it is verified brings that round again.
_ROUNDS = 5


def rename(session: FileSession, filename: str) -> FileSession:
    """Call it `filename`, which the caller has cleaned; the session as it is then.

    Does not move `updated_at`. Raises FileTypeNotAllowed or ContentRefused where the file would not
    be taken under that name, Unavailable where nobody can say now, SessionCancelled, or
    SessionNotFound when it was deleted meanwhile.
    """
    for _ in range(_ROUNDS):
        _check_taken_as(session, filename)
        reach(Failpoint.SESSION_RENAME)
        renamed = _renamed(session, filename)
        if renamed:
            return renamed
        session = reread(session)
    raise Unavailable("This upload is just being verified. Rename it again in a moment.")


def _renamed(looked_at: FileSession, filename: str) -> FileSession | None:
    """None when it has other content by now than was looked at."""
    with transaction.atomic():
        locked = (
            FileSession.objects.select_for_update().filter(pk=looked_at.pk, trashed_at=None).first()
        )
        if locked is None:
            raise SessionNotFound(NO_SUCH_UPLOAD)
        if locked.status == SessionStatus.CANCELLED:
            raise refusal(locked)
        if (locked.status, locked.stored_file_id) != (looked_at.status, looked_at.stored_file_id):
            return None
        if locked.filename != filename:
            record(locked.pk, EventKind.RENAMED, locked.path)
            locked.set_name(filename, locked.folder)
            locked.save(update_fields=["filename", "search_name", "kind"])
    return locked


def _check_taken_as(session: FileSession, filename: str) -> None:
    """What has not been verified yet has only a name: the verifier looks at it under that."""
    check_name(filename, session.mime_type)
    known = session.stored_file_id
    stored = StoredFile.objects.filter(pk=known).first() if known else None
    if stored is not None:
        renamed = copy.copy(session)
        renamed.filename = filename
        # What is lost has no content to disagree with: it is never served.
        with contextlib.suppress(FileNotFoundError):
            validate(lambda: stored_content(renamed, stored))
