"""Complete content on its way out: always an attachment, never rendered on this origin."""

from django.http import FileResponse

from uploads.errors import StorageUnavailable
from uploads.models import FileSession
from uploads.storage import get_store


class ContentResponse(FileResponse):
    #: Django reads 4 KiB at a time, which costs more than the disk.
    block_size = 256 * 1024


def attachment(session: FileSession) -> FileResponse:
    """The content of a completed session. Raises StorageUnavailable when it can't be read."""
    stored = session.stored_file
    if stored is None:
        raise ValueError("a completed session has content")
    try:
        file = get_store().read(stored.sha256, stored.pk)
    except OSError as error:
        raise StorageUnavailable(
            "The content cannot be read right now. Try again later."
        ) from error
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
