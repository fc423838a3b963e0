"""Complete content on its way out: always an attachment, never rendered on this origin."""

import logging
from typing import BinaryIO

from django.http import FileResponse

from uploads.engine.access import reread
from uploads.errors import StorageUnavailable
from uploads.models import FileSession, StoredFile
from uploads.storage import get_store

logger = logging.getLogger("uploads.protocols")


class ContentResponse(FileResponse):
    #: Django reads 4 KiB at a time, which costs more than the disk.
    block_size = 256 * 1024


def attachment(session: FileSession) -> FileResponse:
    """The content of a completed session.

    Raises SessionNotFound when it is deleted at this moment, StorageUnavailable when its bytes
    cannot be read.
    """
    stored = StoredFile.objects.filter(sessions=session.pk).first()
    file = _opened(stored) if stored else None
    if stored is None or file is None:
        reread(session)
        raise StorageUnavailable("The content cannot be read right now. Try again later.")
    response = ContentResponse(
        file,
        as_attachment=True,
        filename=session.filename,
        content_type=session.mime_type or "application/octet-stream",
    )
    response["Content-Length"] = str(stored.size)
    response["ETag"] = f'"{stored.sha256}"'
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


def _opened(stored: StoredFile) -> BinaryIO | None:
    try:
        return get_store().read(stored.sha256, stored.pk)
    except OSError:
        logger.exception("The content %s cannot be opened", stored.pk)
        return None
