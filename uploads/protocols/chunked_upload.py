"""The protocol of django-chunked-upload: one stream, cut into forms that come in their order.

Its clients send `file` with `Content-Range` or `offset`, are answered `upload_id` and `offset`, and
complete with the MD5 of the whole. A form counts whole or not at all, as there: it comes into a
scratch file first, since its other fields may stand behind the file.
"""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.urls import reverse

from uploads import conf, errors
from uploads.core.bodies import READ_SIZE
from uploads.core.filenames import MAX_FILENAME_LENGTH
from uploads.core.plan import KIB
from uploads.engine.access import get_session, reread
from uploads.engine.appending import append, check_append
from uploads.engine.completing import complete
from uploads.engine.database import let_go_of_databases
from uploads.engine.opening import Offer, open_session
from uploads.engine.rechecking import drop_damaged
from uploads.engine.removing import cancel
from uploads.engine.room import check_room, prepared_store
from uploads.engine.sizing import declare_size
from uploads.engine.transitions import refusal
from uploads.errors import (
    ChunksMissing,
    DigestMismatch,
    InvalidRequest,
    NoFileChosen,
    OffsetMismatch,
    RangeMismatch,
    SessionExpired,
    TooLarge,
    Unavailable,
    UnsupportedMedia,
    UploadError,
    WrongState,
)
from uploads.models import FileSession, SessionStatus
from uploads.storage import Scratch

from . import fields
from .auth import authenticate_form, check_form_token
from .bodies import ScratchSink, ScratchSource, content_length, read_body, reader_slot
from .declared import parse_content_range
from .endpoint import endpoint
from .multipart import read_form
from .problems import status_of
from .received import NotAllThere, received_pieces
from .request_log import about
from .waiting import RETRY_SECONDS, wait_for_verdict

FILE_FIELD = "file"
TOKEN_FIELD = "csrfmiddlewaretoken"  # noqa: S105 (the field's name)
#: Room for the boundaries, part headers and other fields around the file.
MAX_OVERHEAD_BYTES = 64 * KIB
#: MD5s computed at once, per process: each reads as fast as the disk and the processor let it.
MAX_HASHING = 2
#: `upload_id`, `md5` and a CSRF token.
MAX_COMPLETE_BYTES = 16 * KIB
_MAX_NUMBER_LENGTH = 18

_hashing = threading.BoundedSemaphore(MAX_HASHING)

#: What that package answers with 400 it answers here too, but for what its clients can wait for.
STATUSES: dict[type[UploadError], int] = {
    errors.InvalidRequest: 400,
    errors.NotAuthenticated: 403,
    errors.CsrfFailed: 403,
    errors.NotFound: 404,
    errors.ChunkNotFound: 400,
    errors.MethodNotAllowed: 405,
    errors.ChunkConflict: 400,
    errors.ChunksMissing: 400,
    errors.WrongState: 400,
    errors.SessionGone: 410,
    errors.LengthRequired: 411,
    errors.PreconditionFailed: 400,
    errors.TooLarge: 400,
    errors.UnsupportedMedia: 400,
    errors.RangeNotSatisfiable: 400,
    errors.DigestMismatch: 400,
    errors.TooManyRequests: 429,
    errors.Unavailable: 503,
    errors.StorageFull: 507,
}

#: What that package says, for whoever has it in a test or a switch.
_DETAILS: dict[type[UploadError], str] = {
    errors.NotAuthenticated: "Authentication credentials were not provided",
    errors.OffsetMismatch: "Offsets do not match",
}


def _refused(_: HttpRequest, error: UploadError) -> HttpResponse:
    """`detail` in the words of that package, where it has some, and `offset` on a mismatch."""
    detail = _DETAILS.get(type(error), error.detail)
    body = {**error.members, "detail": detail, "code": error.code}
    response = JsonResponse(body, status=status_of(type(error), STATUSES))
    response["Cache-Control"] = "no-store"
    if error.retry_after is not None:
        response["Retry-After"] = str(error.retry_after)
    if "allowed" in error.members:
        response["Allow"] = ", ".join(error.members["allowed"])
    return response


@dataclass(frozen=True, slots=True)
class _Piece:
    """The file of one form, and where in the whole it belongs. `total` is None while unknown."""

    filename: str
    mime_type: str
    offset: int
    length: int
    total: int | None


@endpoint("POST", authenticate=authenticate_form, refuse=_refused)
def upload(request: HttpRequest, user: AbstractBaseUser) -> HttpResponse:
    """The next piece of an upload, or without `upload_id` the first of a new one."""
    _check_announced(request)
    with prepared_store().scratch() as scratch:
        form, file = _received(request, scratch)
        piece = _piece(request, form, file)
        session = _session(user, form, piece)
        about(request, session=session)
        try:
            session = _taken(session, piece, scratch)
        except UploadError:
            if not form.get("upload_id"):
                cancel(session)  # Nobody is ever told its id.
            raise
    return JsonResponse(_answer(session))


@endpoint("POST", authenticate=authenticate_form, refuse=_refused)
def upload_complete(request: HttpRequest, user: AbstractBaseUser) -> HttpResponse:
    """The end: what is here is verified against `md5`, and then by its SHA-256 as all files are."""
    form = _fields(request)
    check_form_token(request, str(form.get(TOKEN_FIELD, "")))
    md5 = str(form.get("md5", "")).strip().lower()
    if not form.get("upload_id") or not md5:
        raise InvalidRequest("Both 'upload_id' and 'md5' are required")
    session = _found(user, str(form["upload_id"]))
    about(request, session=session)
    _check_whole(session)
    _check_md5(session, md5)
    session = wait_for_verdict(complete(session))
    if session.status not in {SessionStatus.ASSEMBLING, SessionStatus.COMPLETED}:
        raise _verdict(session)
    return _completed(session)


def _taken(session: FileSession, piece: _Piece, scratch: Scratch) -> FileSession:
    check_append(session, piece.offset, piece.length)
    if piece.total is not None:
        session = declare_size(session, piece.total)
    return append(session, piece.offset, ScratchSource(scratch, 0), piece.length)


def _check_announced(request: HttpRequest) -> None:
    """Refuse before the body is read what its headers tell already."""
    length = content_length(request)
    if request.content_type != "multipart/form-data":
        raise UnsupportedMedia("POST each piece as multipart/form-data, in the field `file`.")
    limit = conf.current().max_file_size
    if length > limit + MAX_OVERHEAD_BYTES:
        raise _exceeds(limit)
    # Twice: for a moment the bytes are in the scratch file and in staging.
    check_room(2 * length)


class _IntoScratch(FileUploadHandler):
    """Writes the one file of the form, and keeps what the form says of it."""

    chunk_size = READ_SIZE

    def __init__(self, scratch: Scratch) -> None:
        super().__init__()
        self._sink = ScratchSink(scratch)
        self.files = 0
        self.name = self.type = ""

    def new_file(
        self, field_name: str, file_name: str, content_type: str, *args: object, **kwargs: object
    ) -> None:
        self.files += 1
        if field_name != FILE_FIELD or self.files > 1:
            raise InvalidRequest(f"Send exactly one file, in the field `{FILE_FIELD}`.")
        self.name, self.type = file_name, content_type

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self._sink.write(raw_data)

    @property
    def length(self) -> int:
        """Bytes of the file."""
        return self._sink.length

    def file_complete(self, file_size: int) -> None:
        pass

    def upload_interrupted(self) -> None:
        raise InvalidRequest("The form ended inside the file: its last boundary is missing.")


def _received(request: HttpRequest, scratch: Scratch) -> tuple[QueryDict, _IntoScratch]:
    """The fields of the form and its file, once all is here and from its sender's own page."""
    file = _IntoScratch(scratch)
    with reader_slot():
        form = read_form(request, file)
    check_form_token(request, str(form.get(TOKEN_FIELD, "")))
    if not file.files:
        raise NoFileChosen("No chunk file was submitted", field=FILE_FIELD)
    return form, file


def _piece(request: HttpRequest, form: QueryDict, file: _IntoScratch) -> _Piece:
    offset, total = _place(request, form, file.length)
    limit = conf.current().max_file_size
    if (offset + file.length if total is None else total) > limit:
        raise _exceeds(limit)
    return _Piece(
        filename=str(form.get("filename") or "") or _base_name(file.name),
        mime_type=file.type,
        offset=offset,
        length=file.length,
        total=total,
    )


def _place(request: HttpRequest, form: QueryDict, length: int) -> tuple[int, int | None]:
    """The offset of the piece, and the size of the whole if it is said."""
    header = request.headers.get("Content-Range", "")
    if not header:
        return _number(form, "offset"), None
    given = parse_content_range(header)
    if given is None:
        raise RangeMismatch("Error in request headers: Content-Range is `bytes first-last/total`")
    span, total = given
    if span.length != length or (total is not None and span.last >= total):
        raise RangeMismatch(
            f"File size doesn't match headers: the file has {length} bytes, Content-Range is "
            f"`{header}`"
        )
    return span.first, total


def _number(form: QueryDict, name: str) -> int:
    text = str(form.get(name) or "0").strip()
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_NUMBER_LENGTH):
        raise InvalidRequest(f"`{name}` is a number of bytes.", field=name)
    return int(text)


def _session(user: AbstractBaseUser, form: QueryDict, piece: _Piece) -> FileSession:
    """The one that is named, or a new one: every file begins anew, as it does there."""
    if form.get("upload_id"):
        return _found(user, str(form["upload_id"]))
    if piece.offset:
        raise OffsetMismatch("Offsets do not match", offset=0)
    offer = Offer(
        fields.filename({"filename": piece.filename}), piece.total, mime_type=_media_type(piece)
    )
    return open_session(user, offer)[1]


def _base_name(name: str) -> str:
    """Without the folders that some browsers send along, and shortened from the middle where it is
    too long: as Django has it, whose forms these clients know.
    """
    base = name.replace("\\", "/").rpartition("/")[2]
    stem, dot, extension = base.rpartition(".")
    excess = len(base) - MAX_FILENAME_LENGTH
    if excess <= 0 or len(stem) <= excess:
        return base[:MAX_FILENAME_LENGTH]
    return stem[:-excess] + dot + extension


def _media_type(piece: _Piece) -> str:
    """Empty where the form says none that is one."""
    try:
        return fields.mime_type({"mime_type": piece.mime_type})
    except InvalidRequest:
        return ""


def _found(user: AbstractBaseUser, upload_id: str) -> FileSession:
    """Raises, in the words of that package, for one that takes nothing more."""
    session = get_session(user, fields.parse_session_id(upload_id))
    if session.status == SessionStatus.COMPLETED:
        raise WrongState('Upload has already been marked as "complete"', state=session.status)
    if session.status == SessionStatus.EXPIRED:
        raise SessionExpired("Upload has expired")
    if session.status not in {SessionStatus.ACTIVE, SessionStatus.ASSEMBLING}:
        raise refusal(session)
    return session


def _check_whole(session: FileSession) -> None:
    """Unlike there, a part of a file never completes, whatever its MD5."""
    if session.size is not None and session.offset < session.size:
        raise ChunksMissing(
            f"The upload is not complete: {session.offset} of {session.size} bytes are here "
            "without a gap. Send what follows, then complete again.",
            offset=session.offset,
        )


def _check_md5(session: FileSession, declared: str) -> None:
    """Against what is stored, tail included. What is refused stays, and can be gone on with.

    Where they differ because a disk has damaged what was sent, that is asked for again (P4).
    """
    with _place_for_hashing():
        actual = _md5(session)
        if actual and compare_digest(actual.encode(), declared.encode()):
            return
        damaged = drop_damaged(session)
    current = reread(session)
    if damaged or current.offset < session.offset:  # The latter: dropped by another, meanwhile.
        raise _damaged(current)
    if current.status != SessionStatus.ACTIVE or actual is None:
        raise Unavailable("This upload has gone on meanwhile. Send the same request again.")
    raise DigestMismatch("md5 checksum does not match", offset=current.offset)


def _md5(session: FileSession) -> str | None:
    """In hex; None when not all that the row tells of is there."""
    digest = hashlib.md5(usedforsecurity=False)
    try:
        for piece in received_pieces(session):
            digest.update(piece)
    except NotAllThere:
        return None
    return digest.hexdigest()


@contextmanager
def _place_for_hashing() -> Iterator[None]:
    if not _hashing.acquire(blocking=False):
        raise Unavailable(
            "The server is checking as many uploads as it can. Nothing was changed: send the same "
            "request again shortly."
        )
    try:
        let_go_of_databases()
        yield
    finally:
        _hashing.release()


def _verdict(session: FileSession) -> UploadError:
    """Why a session that was to complete has not."""
    return _damaged(session) if session.status == SessionStatus.ACTIVE else refusal(session)


def _damaged(session: FileSession) -> ChunksMissing:
    return ChunksMissing(
        "The server's disk has damaged some of what was sent. Send what follows `offset` again, "
        "then complete again.",
        offset=session.offset,
    )


def _fields(request: HttpRequest) -> QueryDict:
    """Of a form without files, in either encoding."""
    if request.content_type == "multipart/form-data":
        if content_length(request) > MAX_COMPLETE_BYTES:
            raise TooLarge(
                f"This form may have {MAX_COMPLETE_BYTES} bytes.", limit=MAX_COMPLETE_BYTES
            )
        with reader_slot():
            return read_form(request, _NoFiles())
    if request.content_type != "application/x-www-form-urlencoded":
        raise UnsupportedMedia("POST `upload_id` and `md5` as the fields of a form.")
    return QueryDict(read_body(request, MAX_COMPLETE_BYTES), encoding="utf-8")


class _NoFiles(FileUploadHandler):
    def new_file(self, *args: object, **kwargs: object) -> None:
        raise InvalidRequest("Completing takes `upload_id` and `md5`, and no file.")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        pass

    def file_complete(self, file_size: int) -> None:
        pass


def _answer(session: FileSession) -> dict[str, Any]:
    return {
        "upload_id": session.pk.hex,
        "offset": session.offset,
        "expires": session.expires_at.isoformat(),
    }


def _completed(session: FileSession) -> JsonResponse:
    """200 with the file, or 202 with where to look while it is still being verified."""
    kwargs = {"session_id": session.pk}
    body = {
        **_answer(session),
        "filename": session.filename,
        "size": session.size,
        "sha256": session.sha256 or None,
        "file": reverse("uploads:content", kwargs=kwargs),
    }
    if session.status == SessionStatus.COMPLETED:
        return JsonResponse(body)
    url = reverse("uploads:session", kwargs=kwargs)
    headers = {"Location": url, "Retry-After": str(RETRY_SECONDS)}
    return JsonResponse({**body, "status_url": url}, status=202, headers=headers)


def _exceeds(limit: int) -> TooLarge:
    return TooLarge(f"Size of file exceeds the limit ({limit} bytes)", limit=limit)
