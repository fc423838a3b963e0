"""What may come in, by its name and by what its bytes are: the same for every way of sending.

The name is looked at before anything is sent, the beginning when the first chunk is here, and all
of it once more before a file counts as complete.
"""

import struct
from typing import IO

from uploads import conf
from uploads.core.extensions import denied_end, disguised_end, has_extension
from uploads.core.signatures import (
    HEAD_LENGTH,
    PDF_MARK,
    PDF_WITHIN,
    PROGRAM,
    PROGRAM_MARK,
    content_contradiction,
    contradiction,
    families,
    is_program,
    program_header,
)
from uploads.errors import ContentRefused, FileTypeNotAllowed
from uploads.models import FileSession, Role, SessionStatus
from uploads.storage import get_store

from .access import reread
from .announcing import announce_failed
from .reasons import HIDDEN_FILE, HIDDEN_PROGRAM, OTHER_KIND
from .transitions import move
from .uploaded import UploadedContent

#: Images that programs show whatever is in or behind them.
_IMAGES = {"PNG", "JPEG", "GIF", "WebP", "BMP"}
#: The end of a zip file (APPNOTE, section 4.3.16): entries in its directory, and bytes of that.
_ZIP_END = struct.Struct("<10xHL6x")
_ZIP_END_MARK = b"PK\x05\x06"
_ZIP_ENTRY_MARK = b"PK\x01\x02"
#: Bytes of the comment behind it.
_MAX_COMMENT = 65_535
#: How a denied program is called in the list of extensions.
_PROGRAM_EXTENSION = "exe"


def check_name(filename: str, mime_type: str) -> None:
    """Raises FileTypeNotAllowed for a name that the project does not take, one that hides what it
    is, or one that says something else than the declared type.
    """
    config = conf.current()
    allowed = config.allowed_extensions
    if allowed and not has_extension(filename, allowed):
        listed = [f".{extension}" for extension in allowed]
        raise _not_allowed(f"Only files ending in {', '.join(listed)} are taken here", listed)
    denied = denied_end(filename, config.denied_extensions)
    if denied:
        raise _not_allowed(f"Files that are .{denied} to some system are not taken here")
    disguised = disguised_end(filename)
    if disguised:
        raise _not_allowed(f"This name makes a .{disguised} look like a document")
    found = config.check_content and contradiction(filename, mime_type)
    if found:
        raise _not_allowed(f"The name and the declared type say different things ({found})")


def check_head(filename: str, mime_type: str, head: bytes) -> None:
    """Raises ContentRefused where the first HEAD_LENGTH bytes of a file (or all, if it is shorter)
    are not what its name and declared type say, or a program where those are denied.
    """
    if not conf.current().check_content:
        return
    if is_program(head):
        _check_program_taken()
    found = content_contradiction(filename, mime_type, head)
    if found:
        raise ContentRefused(OTHER_KIND, evidence=found)


def check_whole(content: UploadedContent) -> None:
    """`check_head`, for programs wherever their header is, and for images that no other file is
    hidden in or behind them.

    Raises ContentRefused.
    """
    check_file(content.name or "", content.content_type, content)


def check_file(filename: str, mime_type: str, file: "IO[bytes] | UploadedContent") -> None:
    """As `check_whole`, of any file that can be read and sought."""
    if not conf.current().check_content:
        return
    file.seek(0)
    head = file.read(HEAD_LENGTH)
    check_head(filename, mime_type, head)
    at = program_header(head)
    if at is not None:
        file.seek(at)
        if file.read(len(PROGRAM_MARK)) == PROGRAM_MARK:
            _check_program_taken()
    kinds = families(head)
    if kinds & _IMAGES and (hidden := _hidden(head, file)):
        raise ContentRefused(HIDDEN_FILE, evidence=f"{'/'.join(sorted(kinds))} + {hidden}")


def check_first_chunk(session: FileSession, index: int, head: bytes) -> None:
    """`check_head`, once the first chunk of an upload is here, of which `head` are the first bytes.

    Raises ContentRefused: the upload has failed then, and nothing more needs to be sent.
    """
    is_enough = len(head) >= min(HEAD_LENGTH, session.plan.size)
    # A part begins anywhere in the file that it is of.
    if index or not is_enough or session.role == Role.PART:
        return
    try:
        check_head(session.filename, session.mime_type, head)
    except ContentRefused as refusal:
        if not _fail(session, refusal):
            current = reread(session)
            if current.filename != session.filename:
                # It got another name while the chunk came.
                check_first_chunk(current, index, head)
                return
        raise


def _check_program_taken() -> None:
    if _PROGRAM_EXTENSION in conf.current().denied_extensions:
        raise ContentRefused(HIDDEN_PROGRAM, evidence=PROGRAM)


def _fail(session: FileSession, refusal: ContentRefused) -> bool:
    """Whether it has failed by this, under the name that was looked at."""
    failed = move(
        session.pk,
        SessionStatus.ACTIVE,
        SessionStatus.FAILED,
        only_if={"filename": session.filename},
        detail=refusal.members["evidence"],
        error=refusal.detail,
    )
    if failed:
        session.status, session.error = SessionStatus.FAILED, refusal.detail
        get_store().discard(session.pk)
        announce_failed(session, refusal.detail)
    return failed


def _hidden(head: bytes, file: "IO[bytes] | UploadedContent") -> str:
    if PDF_MARK in head[:PDF_WITHIN]:
        return "PDF"
    return "ZIP" if _ends_as_zip(file) else ""


def _ends_as_zip(file: "IO[bytes] | UploadedContent") -> bool:
    """Whether readers of zip, who look from the end, find a directory of entries in it.

    Only looked for, never read: it may claim to be of any size.
    """
    size = file.seek(0, 2) or file.tell()
    start = max(0, size - _ZIP_END.size - _MAX_COMMENT)
    file.seek(start)
    end = file.read()
    at = end.rfind(_ZIP_END_MARK)
    while at >= 0:
        if len(end) - at >= _ZIP_END.size:
            entries, length = _ZIP_END.unpack_from(end, at)
            directory = start + at - length
            if entries and directory >= 0:
                file.seek(directory)
                if file.read(len(_ZIP_ENTRY_MARK)) == _ZIP_ENTRY_MARK:
                    return True
        at = end.rfind(_ZIP_END_MARK, 0, at)
    return False


def _not_allowed(reason: str, allowed: list[str] | None = None) -> FileTypeNotAllowed:
    members = {} if allowed is None else {"allowed_files": allowed}
    return FileTypeNotAllowed(
        f"{reason}. Nothing was sent: choose another one, or give it the name that it should have.",
        **members,
    )
