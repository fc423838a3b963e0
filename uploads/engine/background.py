"""Work that no request waits for, through Django's Tasks interface.

Nothing is lost when a queue dies with its process: what is to be done stands in the database, as
sessions in `assembling`, and recovery enqueues it again (P7).
"""

import threading
from functools import partial
from uuid import UUID

from django.db import transaction
from django_tasks import task

from uploads.failpoints import Failpoint, reach
from uploads.models import JoinedPart, SessionStatus

from .finishing import finish
from .threads import Threads

#: For uploads that this process has followed. Tasks may wait for other processes to verify what
#: those have followed; if these here waited behind tasks, processes would wait for each other.
_own = Threads("uploads-followed", lambda: 1)
#: What is being finished in this process, and whether somebody has asked for it since.
_under_way: dict[UUID, bool] = {}
_lock = threading.Lock()


@task()
def finish_session(session_id: str) -> None:
    """Verify and complete one session. Safe to run twice, at once, and after a crash."""
    _finish_once(UUID(session_id))


def finish_here(session_id: UUID) -> None:
    """Have the session verified by this process, wherever tasks are run: its trail is here."""
    _own.run(partial(_finish_once, session_id))


def _finish_once(session_id: UUID) -> None:
    """As `finish`; whoever asks in the meantime need not wait: it is looked at once more."""
    with _lock:
        if session_id in _under_way:
            _under_way[session_id] = True
            return
        _under_way[session_id] = True
    try:
        while _is_wanted(session_id):
            finish(session_id)
    finally:
        with _lock:
            _under_way.pop(session_id, None)


def _is_wanted(session_id: UUID) -> bool:
    """Whether it is to be looked at; if not, it is under way no more."""
    with _lock:
        if _under_way[session_id]:
            _under_way[session_id] = False
            return True
        del _under_way[session_id]
        return False


def enqueue_wholes_of(part_id: UUID) -> None:
    """A part is in: have those verified that are to be joined of it."""
    wholes = JoinedPart.objects.filter(
        part_id=part_id, whole__status=SessionStatus.ASSEMBLING
    ).values_list("whole", flat=True)
    for whole_id in set(wholes):
        enqueue_finish(whole_id)


def enqueue_finish(session_id: UUID) -> None:
    """Have the session verified once the current transaction has committed.

    Robust: what was committed stays committed when the queue is away, and recovery asks again.
    """

    def enqueue() -> None:
        reach(Failpoint.FINISH_ENQUEUE)
        finish_session.enqueue(str(session_id))

    transaction.on_commit(enqueue, robust=True)
