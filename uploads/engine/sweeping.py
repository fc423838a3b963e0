"""Cleaning up: what nobody will continue, and what a crash left behind.

An incomplete session without news expires first: its data goes, and it shows as expired, so that
its owner learns what became of it. Once it has shown so for as long again, its row goes too. Rows
go in small transactions, and staging after them: a crash in between leaves folders that no session
needs, which the next sweep takes. A session that is receiving or assembling is spared, whatever its
age.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from uploads.failpoints import Failpoint, reach
from uploads.models import EventKind, FileChunk, FileSession, SessionEvent, SessionStatus
from uploads.storage import get_store

from . import trash, usage
from .batches import rows_in_batches
from .events import record_each
from .finishing import STUCK_AFTER, finish
from .leftovers import remove_leftovers
from .removing import delete
from .sweep_report import Sweep

#: Ended without content: kept only to be seen.
ENDED = (SessionStatus.EXPIRED, SessionStatus.FAILED, SessionStatus.CANCELLED)


def sweep(
    hours: float,
    *,
    completed_hours: float | None = None,
    dry_run: bool = False,
    say: Callable[[str], object] = lambda _: None,
) -> Sweep:
    """Expire and purge sessions without news for `hours`, and remove what was left behind.

    Complete ones too that were made for a form, if no form has taken them in so many hours.

    Completed sessions older than `completed_hours` go too, if it is given, with their content
    unless others refer to it; and those that their owners have trashed. Safe while uploads run, and
    beside another sweep.
    """
    result = Sweep(dry_run, say)
    now = timezone.now()
    _expire(result, now, now - timedelta(hours=hours))
    _purge_ended(result, now - timedelta(hours=hours))
    if completed_hours is not None:
        _purge_completed(result, now - timedelta(hours=completed_hours))
    _purge_unclaimed(result, now - timedelta(hours=hours))
    _purge_trash(result, now)
    remove_leftovers(result)
    _mend_usage(result)
    # Last, since it may need the room that the others made.
    _recover_stuck(result)
    return result


def _expire(result: Sweep, now: datetime, before: datetime) -> None:
    quiet = Q(updated_at__lt=before) | Q(expires_at__lte=now)
    due = FileSession.objects.filter(quiet, status=SessionStatus.ACTIVE)
    for batch in rows_in_batches(due):
        idle = [session for session in batch if _is_idle(result, session)]
        expired = idle if result.dry_run else _mark_expired(idle, due)
        result.expired += len(expired)
        for session in expired:
            _discard_staging(result, session, "expire")


def _mark_expired(sessions: list[FileSession], due: QuerySet[FileSession]) -> list[FileSession]:
    """Those that are still due under the lock of their rows, now expired."""
    reach(Failpoint.SESSION_EXPIRE)
    with transaction.atomic():
        # In order, so that two sweeps wait for each other instead of both for ever.
        locked = (
            due.select_for_update()
            .filter(pk__in=[session.pk for session in sessions])
            .order_by("pk")
        )
        expired = list(locked)
        ids = [session.pk for session in expired]
        FileSession.objects.filter(pk__in=ids).update(
            status=SessionStatus.EXPIRED, updated_at=timezone.now()
        )
        record_each(ids, EventKind.EXPIRED)
    return expired


def _purge_ended(result: Sweep, before: datetime) -> None:
    old = FileSession.objects.filter(status__in=ENDED, updated_at__lt=before)
    for batch in rows_in_batches(old):
        purged = batch if result.dry_run else _delete_rows(batch)
        for session in purged:
            result.purged[session.status] += 1
            _discard_staging(result, session, f"purge {session.status}")


def _delete_rows(sessions: list[FileSession]) -> list[FileSession]:
    """Delete sessions that have ended; what has ended stays so, and may only be gone already."""
    reach(Failpoint.SESSION_PURGE)
    with transaction.atomic():
        locked = (
            FileSession.objects.select_for_update()
            .filter(pk__in=[session.pk for session in sessions])
            .order_by("pk")
        )
        purged = list(locked)
        ids = [session.pk for session in purged]
        FileChunk.objects.filter(session__in=ids).delete()
        SessionEvent.objects.filter(session__in=ids).delete()
        FileSession.objects.filter(pk__in=ids).delete()
    return purged


def _purge_completed(result: Sweep, before: datetime) -> None:
    _purge_content(result, _completed_before(before))


def _purge_unclaimed(result: Sweep, before: datetime) -> None:
    """What was made for a form that was never sent: an upload that nobody has continued."""
    _purge_content(result, _completed_before(before).exclude(scope=""))


def _completed_before(moment: datetime) -> QuerySet[FileSession]:
    return FileSession.objects.filter(status=SessionStatus.COMPLETED, updated_at__lt=moment)


def _purge_content(result: Sweep, old: QuerySet[FileSession]) -> None:
    for batch in rows_in_batches(old):
        for session in batch:
            result.purged[session.status] += 1
            result.say(f"purge completed {session.pk} {session.filename!r}")
            if not result.dry_run:
                with result.item(f"content of {session.pk}"):
                    result.bytes_freed += delete(session) or 0


def _purge_trash(result: Sweep, now: datetime) -> None:
    for batch in rows_in_batches(trash.purgeable(now)):
        for session in batch:
            freed = 0 if result.dry_run else trash.purge(session, now)
            if freed is not None:
                result.trash += 1
                result.bytes_freed += freed
                result.say(f"purge trashed {session.pk} {session.filename!r}")


def _mend_usage(result: Sweep) -> None:
    for owner_id in usage.drifted():
        if result.dry_run or usage.recount(owner_id):
            result.recounted += 1
            result.say(f"recount the files of user {owner_id}")


def _is_idle(result: Sweep, session: FileSession) -> bool:
    """Whether nothing is arriving for it. What cannot be looked at is spared."""
    receiving = True
    with result.item(f"staging {session.pk}"):
        receiving = get_store().is_receiving(session.pk)
    result.spared += receiving
    return not receiving


def _discard_staging(result: Sweep, session: FileSession, doing: str) -> None:
    store = get_store()
    freed = store.bytes_staged(session.pk)
    result.say(f"{doing} {session.pk} {session.filename!r} ({freed} bytes)")
    with result.item(f"staging {session.pk}"):
        result.bytes_freed += freed if result.dry_run else store.discard(session.pk)


def _recover_stuck(result: Sweep) -> None:
    """P7: a verifier that died leaves a session assembling; here its work is ended."""
    stuck = FileSession.objects.filter(
        status=SessionStatus.ASSEMBLING, updated_at__lt=timezone.now() - STUCK_AFTER
    )
    for session in list(stuck):
        result.say(f"recover {session.pk} {session.filename!r}")
        result.recovered += 1
        if not result.dry_run:
            with result.item(f"recovering {session.pk}"):
                finish(session.pk)
