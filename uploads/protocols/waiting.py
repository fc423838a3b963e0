"""Completing for those who would rather wait than ask again."""

import threading
import time
from functools import cache

from uploads import conf
from uploads.engine.access import reread
from uploads.engine.database import let_go_of_databases
from uploads.models import FileSession, SessionStatus

#: How long a request waits for the verifier. Most clients give an answer at least as long.
WAIT_SECONDS = 30.0
#: What a 202 asks a client to wait before it looks, in seconds.
RETRY_SECONDS = 1
#: Between two looks: at first, as most files take no longer, and at most.
_FIRST_LOOK, _LONGEST_LOOK = 0.02, 0.5


@cache
def _places(count: int) -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(count)


def wait_for_verdict(session: FileSession) -> FileSession:
    """The session once its verification has ended, or as it is after WAIT_SECONDS.

    At once where as many wait already as may: each keeps a thread. Raises SessionNotFound if the
    session is deleted.
    """
    places = _places(conf.current().max_waiters)
    if not places.acquire(blocking=False):
        return session
    try:
        return _waited(session)
    finally:
        places.release()


def _waited(session: FileSession) -> FileSession:
    """No database connection is held between two looks."""
    until = time.monotonic() + WAIT_SECONDS
    pause = _FIRST_LOOK
    while session.status == SessionStatus.ASSEMBLING and time.monotonic() < until:
        let_go_of_databases()
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_LOOK)
        session = reread(session)
    return session
