"""Taking complete uploads for good, as a form does with what was chosen in it.

A claimed session is in the trash and cannot be restored: it exists for nobody any more. It goes
once the transaction has committed, and where a crash prevents that, with the trash. Rolled back,
nothing has happened.
"""

from collections.abc import Collection
from functools import partial
from uuid import UUID

from django.db import router, transaction
from django.db.models import Q
from django.db.transaction import TransactionManagementError
from django.utils import timezone

from uploads.failpoints import Failpoint, reach
from uploads.models import FileSession

from . import usage
from .announcing import announce_consumed
from .removing import delete


class UploadClaimed(Exception):
    """One was taken, deleted or damaged meanwhile. Forms say so in words of their own."""


def claim(sessions: Collection[FileSession]) -> None:
    """Take all of these, or none. Within a transaction; they go when it commits.

    Raises UploadClaimed when one was taken, deleted or damaged meanwhile: roll back then what is
    saved with them. Raises TransactionManagementError outside of a transaction.
    """
    using = router.db_for_write(FileSession)
    if not transaction.get_connection(using).in_atomic_block:
        raise TransactionManagementError(
            "Uploads are claimed within transaction.atomic(), together with what they are for: "
            "rolled back, they can be used again; committed, never."
        )
    taken = {session.pk: session for session in sessions}
    if not taken:
        return
    reach(Failpoint.SESSION_CLAIM)
    with transaction.atomic(using=using):
        _mark(using, taken)
    for session in taken.values():
        usage.add(session.owner_id, -1, -(session.size or 0))
        transaction.on_commit(partial(_consume, session), using=using, robust=True)


def _mark(using: str, ids: Collection[UUID]) -> None:
    """Raises UploadClaimed unless all can be claimed."""
    sessions = FileSession.objects.using(using)
    # In order, so that two claims wait for each other instead of both for ever.
    list(sessions.filter(pk__in=ids).select_for_update().order_by("pk").values_list("pk"))
    now = timezone.now()
    claimable = sessions.claimable().filter(pk__in=ids)
    if claimable.update(trashed_at=now, claimed_at=now) < len(ids):
        raise UploadClaimed


def _consume(session: FileSession) -> None:
    announce_consumed(session)
    delete(session, only_if=Q(claimed_at__isnull=False))
