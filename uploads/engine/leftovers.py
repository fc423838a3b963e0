"""What a crash leaves in the store, and in rows of content, that nothing refers to."""

from datetime import timedelta
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from uploads.models import FileSession, SessionStatus, StoredFile
from uploads.storage import ContentFile, StagingFolder, get_store

from .batches import in_batches
from .content import remove_content
from .sweep_report import Sweep

#: Sessions whose staging is needed. That of others goes after their end, unless a crash kept it.
_NEEDS_STAGING = (SessionStatus.ACTIVE, SessionStatus.ASSEMBLING)
#: What has no row may be about to get one: only what is older than this is called an orphan.
ORPHAN_AGE = timedelta(hours=1)


def remove_leftovers(result: Sweep) -> None:
    """Remove staging that no session needs, and content that no row or no session refers to.

    Removes no orphan at all beside a database that knows of no upload: it is new or restored
    empty, and the store is then all that is left.
    """
    if _knows_no_upload():
        result.foreign_store = _store_holds_anything()
        return
    with result.item("staging"):
        _remove_orphaned_folders(result)
    with result.item("content"):
        _remove_orphaned_content(result)
    _remove_abandoned_content(result)
    with result.item("empty folders of content"):
        if not result.dry_run:
            get_store().remove_empty_folders()


def _knows_no_upload() -> bool:
    return not (FileSession.objects.exists() or StoredFile.objects.exists())


def _store_holds_anything() -> bool:
    store = get_store()
    return any(True for _ in store.content_files()) or any(True for _ in store.staging_folders())


def _remove_orphaned_folders(result: Sweep) -> None:
    store = get_store()
    for batch in in_batches(store.staging_folders()):
        for folder in _orphaned_folders(batch):
            result.orphaned_folders += 1
            result.say(f"orphaned staging {folder.name} ({folder.bytes_on_disk} bytes)")
            with result.item(f"staging {folder.name}"):
                if not result.dry_run:
                    store.discard_folder(folder.name)
                result.bytes_freed += folder.bytes_on_disk


def _orphaned_folders(folders: list[StagingFolder]) -> list[StagingFolder]:
    """Those of sessions that have ended, and old ones of no session."""
    ids = {folder.name: _as_uuid(folder.name) for folder in folders}
    statuses = dict(
        FileSession.objects.filter(pk__in=[value for value in ids.values() if value]).values_list(
            "pk", "status"
        )
    )
    limit = timezone.now() - ORPHAN_AGE
    orphans = []
    for folder in folders:
        status = statuses.get(ids[folder.name])  # type: ignore[arg-type]
        if status not in _NEEDS_STAGING and (status or folder.touched_at < limit):
            orphans.append(folder)
    return orphans


def _as_uuid(name: str) -> UUID | None:
    try:
        return UUID(name)
    except ValueError:
        return None


def _remove_orphaned_content(result: Sweep) -> None:
    """Content without a row: its deletion was recorded, or its row lost with a database."""
    store = get_store()
    limit = timezone.now() - ORPHAN_AGE
    old = (file for file in store.content_files() if file.moved_at < limit)
    for batch in in_batches(old):
        for file in _without_row(batch):
            result.orphaned_content += 1
            result.say(f"orphaned content {file.sha256} ({file.bytes_on_disk} bytes)")
            with result.item(f"content {file.sha256}"):
                if not result.dry_run:
                    store.delete(file.sha256, file.content_id)
                result.bytes_freed += file.bytes_on_disk


def _without_row(files: list[ContentFile]) -> list[ContentFile]:
    known = set(
        StoredFile.objects.filter(pk__in=[file.content_id for file in files]).values_list(
            "pk", flat=True
        )
    )
    return [file for file in files if file.content_id not in known]


def _remove_abandoned_content(result: Sweep) -> None:
    """Rows of content that no session refers to: a deletion or a verifier was cut off."""
    limit = timezone.now() - ORPHAN_AGE
    states = StoredFile.State
    unreferenced = StoredFile.objects.filter(
        Q(state=states.DELETING) | Q(state=states.DAMAGED) | Q(created_at__lt=limit),
        sessions__isnull=True,
    )
    for stored in list(unreferenced):
        result.abandoned_content += 1
        result.say(f"abandoned content {stored.sha256} ({stored.size} bytes)")
        if not result.dry_run:
            with result.item(f"content {stored.sha256}"):
                result.bytes_freed += remove_content(stored)
