"""Taking up what a dead verifier left: sessions in assembling that nobody works on (P7)."""

from django.utils import timezone

from uploads.models import FileSession, SessionStatus
from uploads.storage import get_store

from .background import enqueue_finish
from .finishing import STUCK_AFTER


def recover_if_stuck(session: FileSession) -> FileSession:
    """Have an assembling session verified again when its verifier has died.

    Of all who ask at once, one enqueues; the next may when it has been quiet for long again.
    """
    if session.status == SessionStatus.ASSEMBLING and session.is_quiet_for(STUCK_AFTER):
        claimed = FileSession.objects.filter(
            pk=session.pk, status=SessionStatus.ASSEMBLING, updated_at=session.updated_at
        ).update(updated_at=timezone.now())
        if claimed:
            enqueue_finish(session.pk)
    return session


def recover_all() -> int:
    """Have every assembling session verified, if no other process does that already.

    For the start of a server, never at import. Returns how many there are; one that is being
    verified elsewhere is waited for by the background thread and then found done.
    """
    if not get_store().hold_lease("recovery"):
        return 0
    sessions = FileSession.objects.filter(status=SessionStatus.ASSEMBLING)
    ids = list(sessions.values_list("pk", flat=True))
    for session_id in ids:
        enqueue_finish(session_id)
    return len(ids)
