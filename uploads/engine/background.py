"""Work that no request waits for, through Django's Tasks interface.

Nothing is lost when a queue dies with its process: what is to be done stands in the database, as
sessions in `assembling`, and recovery enqueues it again (P7).
"""

from functools import partial
from uuid import UUID

from django.db import transaction
from django_tasks import task

from uploads.failpoints import Failpoint, reach
from uploads.models import JoinedPart, SessionStatus

from .finishing import finish
from .threads import run_here


@task()
def finish_session(session_id: str) -> None:
    """Verify and complete one session. Safe to run twice, at once, and after a crash."""
    finish(UUID(session_id))


def finish_here(session_id: UUID) -> None:
    """Have the session verified by this process, wherever tasks are run: its trail is here."""
    run_here(partial(finish, session_id))


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
