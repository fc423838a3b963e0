"""Writing what is received: bitmap and count always move together."""

from django.utils import timezone

from uploads import conf
from uploads.core.bitmap import Bitmap
from uploads.models import FileSession


def write_bitmap(session: FileSession, bitmap: Bitmap) -> None:
    """Set bitmap and count of a session whose row is locked, and let it live on from now.

    The lock makes this safe, and so unconditional; `session` is changed alike.
    """
    now = timezone.now()
    changes = {
        "received": bitmap.to_bytes(),
        "received_count": len(bitmap),
        "updated_at": now,
        "expires_at": now + conf.current().session_lifetime,
    }
    FileSession.objects.filter(pk=session.pk).update(**changes)
    for name, value in changes.items():
        setattr(session, name, value)
