"""Deleting with a moment to think again.

A trashed session exists for nobody but who may restore it; its content stays until it is purged. Of
a restore and a purge at the same time, whoever locks the row first wins.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from uploads.failpoints import Failpoint, reach
from uploads.models import EventKind, FileSession, FileSessionQuerySet, SessionStatus

from . import usage
from .batches import BATCH
from .events import record_each
from .removing import delete

#: For how long what was deleted may be restored. Longer than it takes to see what one has done.
UNDO = timedelta(seconds=30)
#: Files that are offered for restoring at once.
MAX_RESTORABLE = 100


def trash(owner: AbstractBaseUser, ids: Collection[UUID]) -> list[FileSession]:
    """Trash those of `ids` that are completed sessions of the owner; the ones that were."""
    completed = FileSession.objects.owned_by(owner).filter(status=SessionStatus.COMPLETED)
    reach(Failpoint.SESSION_TRASH)
    return _moved(owner, completed.filter(pk__in=ids), timezone.now())


def restore(owner: AbstractBaseUser, ids: Collection[UUID]) -> list[FileSession]:
    """Bring back those of `ids` that the owner has in the trash; the ones that came back."""
    reach(Failpoint.SESSION_RESTORE)
    return _moved(owner, FileSession.objects.trash_of(owner).filter(pk__in=ids), None)


def restorable(owner: AbstractBaseUser) -> list[FileSession]:
    """What was trashed less than UNDO ago, the latest first; at most MAX_RESTORABLE."""
    trashed = FileSession.objects.trash_of(owner).filter(trashed_at__gt=timezone.now() - UNDO)
    return list(trashed.order_by("-trashed_at", "-id")[:MAX_RESTORABLE])


def purgeable(now: datetime) -> FileSessionQuerySet:
    """What was trashed so long before `now` that it is not offered any more."""
    return FileSession.objects.filter(_over(now))


def purge(session: FileSession, now: datetime) -> int | None:
    """Delete a purgeable session; the bytes freed, or None if it was restored, or is gone."""
    return delete(session, only_if=_over(now))


def purge_trash(now: datetime | None = None) -> int:
    """Delete all that is purgeable; how many sessions that were."""
    now = now or timezone.now()
    purged = 0
    # In the order of its index, not of the ids: with nothing in the trash this costs nothing. Each
    # session of a batch has left the trash after it, one way or another.
    while batch := list(purgeable(now).order_by("trashed_at")[:BATCH]):
        purged += sum(purge(session, now) is not None for session in batch)
    return purged


def _over(now: datetime) -> Q:
    return Q(trashed_at__lte=now - UNDO)


def _moved(
    owner: AbstractBaseUser, sessions: FileSessionQuerySet, trashed_at: datetime | None
) -> list[FileSession]:
    """Into the trash, or out of it, with the owner's sums."""
    with transaction.atomic():
        # In order, so that two requests wait for each other instead of both for ever.
        moved = list(sessions.select_for_update().order_by("pk"))
        if not moved:
            return []
        ids = [session.pk for session in moved]
        FileSession.objects.filter(pk__in=ids).update(trashed_at=trashed_at)
        record_each(ids, EventKind.TRASHED if trashed_at else EventKind.RESTORED)
        sign = -1 if trashed_at else 1
        usage.add(owner.pk, sign * len(moved), sign * sum(s.size or 0 for s in moved))
    for session in moved:
        session.trashed_at = trashed_at
    return moved
