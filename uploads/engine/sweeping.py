"""Cleaning up: what nobody will continue, and what a crash left behind.

Rows go first, in small transactions, then their staging: a crash in between leaves folders that
belong to no session, which the next sweep takes. A session that is receiving or assembling is
spared, whatever its age.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import TypeVar
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from uploads.errors import StorageFull, StorageUnavailable
from uploads.models import FileChunk, FileSession, SessionStatus, StoredFile
from uploads.storage import StagingFolder, get_store

from .content import remove_content
from .finishing import STUCK_AFTER, finish

T = TypeVar("T")

#: What a purge takes once it is old: everything that did not become content and no longer will.
PURGED = (
    SessionStatus.ACTIVE,
    SessionStatus.EXPIRED,
    SessionStatus.FAILED,
    SessionStatus.CANCELLED,
)
#: Sessions whose staging may still be needed.
_NEEDS_STAGING = (
    SessionStatus.ACTIVE,
    SessionStatus.ASSEMBLING,
    SessionStatus.EXPIRED,
    SessionStatus.FAILED,
)
#: What has no row may be about to get one: only what is older than this is called an orphan.
ORPHAN_AGE = timedelta(hours=1)
_BATCH = 200


@dataclass(slots=True)
class Sweep:
    """What a sweep did, or would do. `say` is told of each item in a line."""

    dry_run: bool = False
    say: Callable[[str], object] = lambda _: None
    #: Purged sessions by the status they had.
    sessions: Counter[str] = field(default_factory=Counter)
    spared: int = 0
    orphaned_folders: int = 0
    recovered: int = 0
    removed_content: int = 0
    bytes_freed: int = 0
    #: What the disk refused; the next sweep tries it again.
    refused: int = 0

    @contextmanager
    def item(self, name: str) -> Iterator[None]:
        """One item's work: when the disk refuses it, the others still get their turn."""
        try:
            yield
        except (StorageFull, StorageUnavailable) as error:
            self.refused += 1
            self.say(f"refused {name}: {error.__cause__ or error}")


def sweep(hours: float, *, dry_run: bool = False, say: Callable[[str], object]) -> Sweep:
    """Purge incomplete sessions without news for `hours`, and everything that was left behind."""
    result = Sweep(dry_run, say)
    _purge_sessions(result, timezone.now() - timedelta(hours=hours))
    _purge_orphaned_folders(result)
    _remove_abandoned_content(result)
    # Last, since it may need the room that the others made.
    _recover_stuck(result)
    return result


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, _BATCH)):
        yield batch


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


def _purge_sessions(result: Sweep, before: datetime) -> None:
    last: UUID | None = None
    while True:
        old = FileSession.objects.filter(status__in=PURGED, updated_at__lt=before).order_by("pk")
        if last is not None:
            old = old.filter(pk__gt=last)
        batch = list(old[:_BATCH])
        if not batch:
            return
        last = batch[-1].pk
        _purge_batch(result, batch, before)


def _purge_batch(result: Sweep, batch: list[FileSession], before: datetime) -> None:
    store = get_store()
    idle = [session for session in batch if _is_idle(result, session)]
    purged = idle if result.dry_run else _delete_rows(idle, before)
    for session in purged:
        freed = store.bytes_staged(session.pk)
        result.sessions[session.status] += 1
        result.say(f"purge {session.status} {session.pk} {session.filename!r} ({freed} bytes)")
        with result.item(f"staging {session.pk}"):
            result.bytes_freed += freed if result.dry_run else store.discard(session.pk)


def _is_idle(result: Sweep, session: FileSession) -> bool:
    """Whether nothing is arriving for it. What cannot be looked at is spared."""
    receiving = True
    with result.item(f"staging {session.pk}"):
        receiving = get_store().is_receiving(session.pk)
    result.spared += receiving
    return not receiving


def _delete_rows(sessions: list[FileSession], before: datetime) -> list[FileSession]:
    """Delete those that are still old under the lock of their rows; which they were."""
    with transaction.atomic():
        locked = FileSession.objects.select_for_update().filter(
            pk__in=[session.pk for session in sessions], status__in=PURGED, updated_at__lt=before
        )
        purged = list(locked)
        ids = [session.pk for session in purged]
        FileChunk.objects.filter(session__in=ids).delete()
        FileSession.objects.filter(pk__in=ids).delete()
    return purged


def _purge_orphaned_folders(result: Sweep) -> None:
    store = get_store()
    limit = timezone.now() - ORPHAN_AGE
    old = (folder for folder in store.staging_folders() if folder.touched_at < limit)
    for batch in _batches(old):
        for folder in _orphans(batch):
            result.orphaned_folders += 1
            result.say(f"orphaned staging {folder.name} ({folder.bytes_on_disk} bytes)")
            with result.item(f"staging {folder.name}"):
                if not result.dry_run:
                    store.discard_folder(folder.name)
                result.bytes_freed += folder.bytes_on_disk


def _orphans(folders: list[StagingFolder]) -> list[StagingFolder]:
    ids = {folder.name: _as_uuid(folder.name) for folder in folders}
    needed = set(
        FileSession.objects.filter(
            pk__in=[value for value in ids.values() if value], status__in=_NEEDS_STAGING
        ).values_list("pk", flat=True)
    )
    return [folder for folder in folders if ids[folder.name] not in needed]


def _as_uuid(name: str) -> UUID | None:
    try:
        return UUID(name)
    except ValueError:
        return None


def _remove_abandoned_content(result: Sweep) -> None:
    """Content whose deletion, or whose verifier, did not come to its end."""
    limit = timezone.now() - ORPHAN_AGE
    deleting = StoredFile.objects.filter(state=StoredFile.State.DELETING)
    pending = StoredFile.objects.filter(
        state=StoredFile.State.PENDING, created_at__lt=limit, sessions__isnull=True
    )
    for stored in [*deleting, *pending]:
        result.removed_content += 1
        result.say(f"abandoned content {stored.sha256}")
        if not result.dry_run:
            with result.item(f"content {stored.sha256}"):
                remove_content(stored)
