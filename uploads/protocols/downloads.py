"""Complete content on its way out: always an attachment, never rendered on this origin.

A download that was cut off goes on where it was: `Range` and `If-Range` (RFC 9110, sections 14.2
and 13.1.5). What is served carries the SHA-256 of the whole (RFC 9530), whatever part it is.
"""

import base64
import logging
import os
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import BinaryIO
from urllib.parse import quote

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.cache import get_conditional_response
from django.utils.http import http_date, parse_http_date_safe

from uploads import conf
from uploads.core import dispositions
from uploads.core.active import served_type
from uploads.core.plan import KIB
from uploads.core.ranges import ByteRange, Unsatisfiable, parse_range
from uploads.engine.access import reread
from uploads.engine.database import let_go_of_databases
from uploads.engine.rereading import mark_damaged
from uploads.errors import (
    ContentDamaged,
    PreconditionFailed,
    RangeNotSatisfiable,
    StorageUnavailable,
    Unavailable,
)
from uploads.models import FileSession, StoredFile
from uploads.storage import get_store

logger = logging.getLogger("uploads.protocols")

#: Much smaller, the calls cost more than the disk; much larger, each download costs memory.
BLOCK_SIZE = 64 * KIB
#: What nginx is told to send, and the header of its request that says that it can be told: whoever
#: comes without nginx gets the bytes and not an empty file.
ACCEL = "X-Accel-Redirect"
SENDFILE = "X-Sendfile-Type"
#: The form of a range about which there are no two opinions, in numbers that fit into 64 bits.
_PLAIN_RANGE = re.compile(r"bytes=[0-9]{0,18}-[0-9]{0,18}")


class Body(Iterator[bytes]):
    """`length` bytes of an open file, from where it stands. `kept` goes when it is closed."""

    def __init__(self, file: BinaryIO, length: int, kept: ExitStack) -> None:
        self._file = file
        self._left = length
        self._kept = kept

    def __next__(self) -> bytes:
        if not self._left:
            raise StopIteration
        block = self._file.read(min(BLOCK_SIZE, self._left))
        if not block:
            # The server then ends the connection, and the client sees that bytes are missing.
            raise OSError(f"The content ended {self._left} bytes early")
        self._left -= len(block)
        return block

    def close(self) -> None:
        self._kept.close()


def attachment(request: HttpRequest, session: FileSession) -> HttpResponseBase:
    """The answer to GET or HEAD of the content of a completed session.

    200 with the whole, 206 with a part or 304; to nginx, what it is to send. Preconditions come in
    the order of RFC 9110, section 13.2.2; `Range` counts for GET alone (section 14.2). Raises
    SessionNotFound when it is deleted at this moment, ContentDamaged or StorageUnavailable when its
    bytes cannot be served, PreconditionFailed, RangeNotSatisfiable, and Unavailable beyond
    `max_downloads`.
    """
    stored = _live(session)
    headers = _headers(session, stored)
    with ExitStack() as kept:
        file = kept.enter_context(_opened(session, stored))
        unmodified = _unmodified(request, session, stored, headers)
        if unmodified is not None:
            return unmodified
        if request.method == "HEAD":
            return HttpResponse(headers={**headers, "Content-Length": str(stored.size)})
        part = _asked_for(request, session, stored)
        if _is_left_to_nginx(request, part):
            return _left_to_nginx(stored, headers)
        kept.enter_context(_download_slot())
        response = _empty(part, stored.size, headers)
        file.seek(part.first if part else 0)
        let_go_of_databases()
        # Not a FileResponse: a server's own way to send files would not stop at the range's end.
        length = part.length if part else stored.size
        response.streaming_content = Body(file, length, kept.pop_all())
        return response


def _live(session: FileSession) -> StoredFile:
    stored = StoredFile.objects.filter(sessions=session.pk).first()
    if stored is not None and stored.state == StoredFile.State.LIVE:
        return stored
    reread(session)
    if stored is not None and stored.state == StoredFile.State.DAMAGED:
        raise _damaged(stored)
    raise _unreadable()


def _unreadable() -> StorageUnavailable:
    return StorageUnavailable("The content cannot be read right now. Try again later.")


def _damaged(stored: StoredFile) -> ContentDamaged:
    return ContentDamaged(
        "This file was damaged on the server's disk and is not served. Sending it again mends it.",
        sha256=stored.sha256,
    )


@contextmanager
def _opened(session: FileSession, stored: StoredFile) -> Iterator[BinaryIO]:
    """The bytes, as many as the row says. They can still be damaged: nobody reads them twice."""
    store = get_store()
    try:
        file = store.read(stored.sha256, stored.pk)
    except OSError as error:
        logger.warning("The content %s cannot be opened: %s", stored.pk, error)
        reread(session)
        missing = isinstance(error, FileNotFoundError) and store.is_there()
        if missing and mark_damaged(stored):
            raise _damaged(stored) from None
        raise _unreadable() from None
    with file:
        # Asked of the open file, and in a way that needs no descriptor of the system.
        size = file.seek(0, os.SEEK_END)
        if size != stored.size:
            logger.error("The content %s has %d bytes instead of %d", stored.pk, size, stored.size)
            mark_damaged(stored)
            raise _damaged(stored)
        yield file


def _headers(session: FileSession, stored: StoredFile) -> dict[str, str]:
    digest = base64.b64encode(bytes.fromhex(stored.sha256)).decode()
    return {
        "Content-Type": served_type(session.mime_type),
        "Content-Disposition": dispositions.attachment(session.filename),
        "Accept-Ranges": "bytes",
        "ETag": _etag(stored),
        "Last-Modified": http_date(_completed_at(session)),
        "Repr-Digest": f"sha-256=:{digest}:",
        # The browser keeps what is downloaded where its user wants it, and no copy beside that.
        "Cache-Control": "private, no-store",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
    }


def _etag(stored: StoredFile) -> str:
    """Strong: the same SHA-256 means the same bytes."""
    return f'"{stored.sha256}"'


def _completed_at(session: FileSession) -> int:
    """In POSIX seconds. Not when the bytes came in first: that may have been somebody else (P9)."""
    return int(session.updated_at.timestamp())


def _unmodified(
    request: HttpRequest, session: FileSession, stored: StoredFile, headers: dict[str, str]
) -> HttpResponseBase | None:
    """The 304 that the client's conditions ask for, if they do. Raises PreconditionFailed."""
    answer = get_conditional_response(
        request, _etag(stored), _completed_at(session), HttpResponse(headers=headers)
    )
    if answer is None or answer.status_code == 200:
        return None
    if answer.status_code == 412:
        raise PreconditionFailed(
            f"The file is {_etag(stored)} and has not changed since it was completed, which is not "
            "what If-Match or If-Unmodified-Since asks for. Leave that out to get it as it is.",
            etag=_etag(stored),
        )
    # Of the whole (RFC 9110, section 8.6); a middleware would say 0, which is not true.
    answer["Content-Length"] = str(stored.size)
    return answer


def _asked_for(request: HttpRequest, session: FileSession, stored: StoredFile) -> ByteRange | None:
    """The part to send; None for all. Raises RangeNotSatisfiable."""
    header = request.headers.get("Range")
    if header is None or not _if_range_holds(request, session, stored):
        return None
    try:
        return parse_range(header, stored.size)
    except Unsatisfiable:
        raise RangeNotSatisfiable(
            f"The file has {stored.size} bytes and none in the range `{header[:100]}`. If you have "
            f"that many, you have it all: compare their SHA-256 with {stored.sha256}.",
            complete_length=stored.size,
        ) from None


def _if_range_holds(request: HttpRequest, session: FileSession, stored: StoredFile) -> bool:
    """RFC 9110, section 13.1.5: our ETag, not a weak one, or exactly our Last-Modified."""
    condition = request.headers.get("If-Range")
    if condition is None or condition.strip() == _etag(stored):
        return True
    return parse_http_date_safe(condition.strip()) == _completed_at(session)


def _is_left_to_nginx(request: HttpRequest, part: ByteRange | None) -> bool:
    """Whether it is nginx that asks, and would say the same as we do.

    It knows neither our ETag nor our date when it looks at If-Match and If-Unmodified-Since, and
    finds other ranges malformed than we do.
    """
    if not conf.current().accel_prefix or request.headers.get(SENDFILE) != ACCEL:
        return False
    told = request.headers
    if "If-Match" in told or "If-Unmodified-Since" in told:
        return False
    if "Range" not in told:
        return True
    return part is not None and _PLAIN_RANGE.fullmatch(told["Range"]) is not None


def _left_to_nginx(stored: StoredFile, headers: dict[str, str]) -> HttpResponse:
    """Its location sends the bytes, the part that is asked for, and the headers that it copies."""
    path = quote(get_store().content_path(stored.sha256, stored.pk))
    ours = {name: value for name, value in headers.items() if name != "Accept-Ranges"}
    return HttpResponse(headers={**ours, ACCEL: f"{conf.current().accel_prefix}{path}"})


def _empty(part: ByteRange | None, size: int, headers: dict[str, str]) -> StreamingHttpResponse:
    """The response before it has its bytes: from here on nothing can fail."""
    if part is None:
        return StreamingHttpResponse(headers={**headers, "Content-Length": str(size)})
    own = {"Content-Range": part.content_range(size), "Content-Length": str(part.length)}
    return StreamingHttpResponse(status=206, headers={**headers, **own})


@cache
def _slots(count: int) -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(count)


@contextmanager
def _download_slot() -> Iterator[None]:
    """One of the bounded number of threads that may wait for readers. Raises Unavailable."""
    slots = _slots(conf.current().max_downloads)
    if not slots.acquire(blocking=False):
        raise Unavailable(
            "The server is sending as many files as it can. Send the same request again shortly: "
            "a download that was begun goes on where it was."
        )
    try:
        yield
    finally:
        slots.release()
