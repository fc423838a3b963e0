"""Writing what is received: bitmap, count and tail always move together."""

from typing import Any

from django.utils import timezone

from uploads import conf
from uploads.core.bitmap import Bitmap
from uploads.models import FileSession

_NO_TAIL: dict[str, Any] = {"tail_name": "", "tail_length": 0, "tail_fingerprint": b""}


def write_bitmap(session: FileSession, bitmap: Bitmap) -> None:
    """Set bitmap and count of a session whose row is locked, and let it live on from now.

    A tail belongs to the first missing chunk: when that is another one, the tail is none any more.
    The lock makes this safe, and so unconditional; `session` is changed alike.
    """
    now = timezone.now()
    changes: dict[str, Any] = {
        "received": bitmap.to_bytes(),
        "received_count": len(bitmap),
        "updated_at": now,
        "expires_at": now + conf.current().session_lifetime,
    }
    if bitmap.first_missing() != session.bitmap.first_missing():
        changes |= _NO_TAIL
    FileSession.objects.filter(pk=session.pk).update(**changes)
    for name, value in changes.items():
        setattr(session, name, value)


def write_tail(session: FileSession, name: str, length: int, fingerprint: bytes) -> None:
    """Name the tail of a session whose row is locked, and let it live on from now."""
    now = timezone.now()
    FileSession.objects.filter(pk=session.pk).update(
        tail_name=name,
        tail_length=length,
        tail_fingerprint=fingerprint,
        updated_at=now,
        expires_at=now + conf.current().session_lifetime,
    )


def drop_tail(session: FileSession) -> bool:
    """Have the row name no tail, if it still names that of `session`; whether it did.

    That its bytes were told to be in is not forgotten: without a size, the file must not be taken
    to end before them.
    """
    named = FileSession.objects.filter(pk=session.pk, tail_name=session.tail_name)
    return bool(named.update(**_NO_TAIL, least_size=max(session.least_size, session.offset)))
