"""What happened to a session, and when: written within the transaction that makes it happen."""

from collections.abc import Iterable
from uuid import UUID

from uploads.models import EventKind, SessionEvent

from .batches import in_batches

_LONGEST = SessionEvent.MAX_DETAIL_LENGTH


def record(session_id: UUID, kind: EventKind, detail: str = "") -> None:
    """Of a detail that is too long the end stays: in a path, that is the file's name."""
    if len(detail) > _LONGEST:
        detail = "…" + detail[1 - _LONGEST :]
    SessionEvent.objects.create(session_id=session_id, kind=kind, detail=detail)


def record_each(session_ids: Iterable[UUID], kind: EventKind) -> None:
    for batch in in_batches(session_ids):
        SessionEvent.objects.bulk_create(
            SessionEvent(session_id=session_id, kind=kind) for session_id in batch
        )
