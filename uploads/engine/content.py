"""Letting go of content: the last reference takes the bytes with it."""

from uuid import UUID

from django.db import transaction

from uploads.failpoints import Failpoint, reach
from uploads.models import StoredFile
from uploads.storage import get_store


def mark_if_unreferenced(stored_id: UUID) -> StoredFile | None:
    """Within the transaction that removed a reference: the content to remove after its commit.

    The row is locked before references are looked for, so a verifier that is about to take this
    content either has taken it already, or will find it deleting.
    """
    stored = StoredFile.objects.select_for_update().filter(pk=stored_id).first()
    if stored is None or stored.sessions.exists():
        return None
    StoredFile.objects.filter(pk=stored_id).update(state=StoredFile.State.DELETING)
    return stored


def remove_content(stored: StoredFile) -> int:
    """Remove the bytes and the row of content if nothing refers to it; the bytes freed."""
    reach(Failpoint.CONTENT_MARK)
    with transaction.atomic():
        marked = mark_if_unreferenced(stored.pk)
    if marked is None:
        return 0
    get_store().delete(marked.sha256, marked.pk)
    reach(Failpoint.CONTENT_DELETE)
    StoredFile.objects.filter(pk=marked.pk).delete()
    return marked.size
