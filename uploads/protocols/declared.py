"""What a client declares of a body in its headers: digests, and where in the file it belongs."""

import re

from django.http import HttpRequest

from uploads.core.digests import Digest, parse_content_digest
from uploads.core.ranges import ByteRange
from uploads.errors import InvalidRequest, RangeMismatch
from uploads.models import FileSession

#: A header of our own: the offset in the file, in bytes, of the body's first byte.
UPLOAD_OFFSET = "Upload-Offset"

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")
_OFFSET = re.compile(r"[0-9]{1,18}")


def digests(request: HttpRequest) -> list[Digest]:
    """The digests of `Content-Digest` that we can check. Raises InvalidRequest."""
    header = request.headers.get("Content-Digest")
    if header is None:
        return []
    try:
        return parse_content_digest(header)
    except ValueError as reason:
        raise InvalidRequest(f"Content-Digest is refused: {reason}.") from reason


def parse_content_range(header: str) -> tuple[ByteRange, int | None] | None:
    """The range, and the size of the whole in bytes (None for `*`); None when it is malformed.

    RFC 9110, section 14.4: `bytes first-last/complete`, both ends inclusive.
    """
    match = _CONTENT_RANGE.fullmatch(header.strip())
    if match is None:
        return None
    return ByteRange(int(match[1]), int(match[2])), None if match[3] == "*" else int(match[3])


def upload_offset(request: HttpRequest) -> int | None:
    """What `Upload-Offset` says, in bytes; None without it. Raises RangeMismatch."""
    header = request.headers.get(UPLOAD_OFFSET, "").strip()
    if not header:
        return None
    if not _OFFSET.fullmatch(header):
        raise RangeMismatch(
            f"{UPLOAD_OFFSET} is the number of bytes of the file before this body, "
            f"declared was `{header}`. Nothing was read: correct or leave out the header."
        )
    return int(header)


def check_content_range(
    request: HttpRequest, session: FileSession, index: int, called: str
) -> None:
    """Raises RangeMismatch if `Content-Range` is there and is not chunk `index`.

    `called` is what the protocol calls the chunk, such as "Chunk 3".
    """
    header = request.headers.get("Content-Range", "")
    if not header:
        return
    first = session.plan.offset(index)
    span = ByteRange(first, first + session.plan.length(index) - 1)
    _check_span(header, span, session, called)


def check_upload_offset(
    request: HttpRequest, session: FileSession, index: int, called: str
) -> None:
    """Raises RangeMismatch if `Upload-Offset` is there and is not where chunk `index` begins."""
    offset = upload_offset(request)
    expected = session.plan.offset(index)
    if offset not in {None, expected}:
        raise RangeMismatch(
            f"{called} begins at byte {expected}, {UPLOAD_OFFSET} says {offset}. Nothing was "
            "read: correct the offset or the number.",
            expected=expected,
        )


def body_offset(request: HttpRequest, session: FileSession, length: int) -> int:
    """Where in the file a body of `length` bytes begins: as `Content-Range` or `Upload-Offset` say,
    else at 0. Raises RangeMismatch for a range that is malformed, or is not this body's.
    """
    offset = upload_offset(request)
    header = request.headers.get("Content-Range", "")
    if not header:
        return offset or 0
    given = parse_content_range(header)
    first = given[0].first if given and offset is None else offset or 0
    span = ByteRange(first, first + length - 1)
    _check_span(header, span, session, f"A body of {length} bytes for offset {first}")
    return first


def _check_span(header: str, span: ByteRange, session: FileSession, called: str) -> None:
    given = parse_content_range(header)
    # Nothing contradicts `*`; a session without a size, nothing either.
    if given and given[0] == span and (given[1] is None or session.size in {None, given[1]}):
        return
    size = "*" if session.size is None else session.size
    expected = f"bytes {span.first}-{span.last}/{size}"
    raise RangeMismatch(
        f"{called} is `{expected}`, declared was `{header}`. Nothing was read: correct what was "
        "declared, or leave it out.",
        expected=expected,
    )
