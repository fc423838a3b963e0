"""Taking up what a dead verifier left: sessions in assembling that nobody works on (P7).

The same thread, at each look, deletes for good what has been in the trash for long enough.
"""

import logging
import threading
import time
from collections.abc import Callable

from django.db import connections
from django.utils import timezone

from uploads.failpoints import Failpoint, reach
from uploads.models import FileSession, SessionStatus
from uploads.storage import get_store

from .background import enqueue_finish
from .finishing import STUCK_AFTER
from .trash import purge_trash

logger = logging.getLogger("uploads.engine")

LEASE = "recovery"
#: How often a server process asks whether the lease is free, in seconds.
LEASE_SECONDS = 2
#: How often the one that has it looks for stuck sessions and old trash, in seconds.
LOOK_SECONDS = 20


def recover_if_stuck(session: FileSession) -> FileSession:
    """Have an assembling session verified again when its verifier has died.

    Of all who ask at once, one enqueues; the next may when it has been quiet for long again.
    """
    if session.status == SessionStatus.ASSEMBLING and session.is_quiet_for(STUCK_AFTER):
        reach(Failpoint.FINISH_CLAIM)
        claimed = FileSession.objects.filter(
            pk=session.pk, status=SessionStatus.ASSEMBLING, updated_at=session.updated_at
        ).update(updated_at=timezone.now())
        if claimed:
            enqueue_finish(session.pk)
    return session


def recover_all() -> int:
    """Have every assembling session verified; how many there are.

    One that is being verified elsewhere is waited for by a background thread, and then found done.
    """
    sessions = list(FileSession.objects.filter(status=SessionStatus.ASSEMBLING))
    for session in sessions:
        enqueue_finish(session.pk)
    return len(sessions)


def recover_stuck() -> None:
    """Have those assembling sessions verified that have been quiet for too long."""
    for session in FileSession.objects.filter(status=SessionStatus.ASSEMBLING):
        recover_if_stuck(session)


def start_recovery() -> None:
    """Recover in a thread, for as long as this process lives. For a server's start, not imports.

    One process at a time does it, whoever holds the lease: at once when it gets it, since all
    that was assembling then may have lost its verifier, and then whenever something is stuck.
    """
    threading.Thread(target=_run, name="uploads-recovery", daemon=True).start()


def _run() -> None:
    while not _attempted(_take_over):
        time.sleep(LEASE_SECONDS)
    while True:
        time.sleep(LOOK_SECONDS)
        _attempted(_look)


def _take_over() -> bool:
    if not get_store().hold_lease(LEASE):
        return False
    count = recover_all()
    if count:
        logger.info("Recovery: %d sessions were being verified when a server ended", count)
    return True


def _look() -> bool:
    recover_stuck()
    purge_trash()
    return True


def _attempted(step: Callable[[], bool]) -> bool:
    """Whether `step` did its work. A disk or database that is away now may be back next time."""
    try:
        return step()
    except Exception:
        # Whatever it is, this thread must live on: it holds the lease, so nobody else recovers.
        logger.exception("Recovery could not look for unfinished uploads")
        return False
    finally:
        connections.close_all()
