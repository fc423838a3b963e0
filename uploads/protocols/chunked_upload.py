"""The protocol of django-chunked-upload: one stream, cut into forms that come in their order.

Its clients send `file` with `Content-Range` or `offset`, are answered `upload_id` and `offset`, and
complete with the MD5 of the whole. A form counts whole or not at all, as there: it comes into a
scratch file first, since its other fields may stand behind the file.
"""

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Any, NamedTuple

from django.contrib.auth.models import AbstractBaseUser
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, QueryDict
from django.urls import reverse
from django.utils import timezone

from uploads import conf, errors
from uploads.core.bodies import READ_SIZE
from uploads.core.filenames import MAX_FILENAME_LENGTH
from uploads.core.plan import KIB
from uploads.engine.access import NO_SUCH_UPLOAD, get_session, reread
from uploads.engine.admitting import ANYTHING, Admission
from uploads.engine.appending import append, check_append
from uploads.engine.completing import complete
from uploads.engine.database import let_go_unless_few
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
    SessionNotFound,
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
from .problems import challenge, status_of
from .received import NotAllThere, received_pieces
from .request_log import about
from .waiting import RETRY_SECONDS, wait_for_verdict

FILE_FIELD = "file"
TOKEN_FIELD = "csrfmiddlewaretoken"  # noqa: S105 (the field's name)  # nosec B105
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
    errors.InsufficientScope: 403,
    errors.NotFound: 404,
    errors.ChunkNotFound: 400,
    errors.MethodNotAllowed: 405,
    errors.ChunkConflict: 400,
    errors.ChunksMissing: 400,
    errors.WrongState: 400,
    errors.SessionGone: 410,
    errors.LinkExpired: 410,
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
    challenge(response, error)
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

    @property
    def least_size(self) -> int:
        """Bytes that the whole has, or has at least."""
        return self.offset + self.length if self.total is None else self.total


#: Whoever asks, and what the address names, to what may come in there, and for what. Raises
#: NotFound where there is nothing for them.
Admit = Callable[..., Admission]


class Addresses(NamedTuple):
    """The two views of this protocol, of the same scope."""

    upload: Callable[..., HttpResponseBase]
    complete: Callable[..., HttpResponseBase]


def bound(admit: Admit, *, lifetime: timedelta | None = None) -> Addresses:
    """Addresses of this protocol that take what `admit(request, user, **kwargs)` admits.

    Uploads that are made here have its scope, and others are not found here, unless it is empty:
    then every upload of the user is. `kwargs` are those of the address. An upload goes on here for
    `lifetime` since it was begun, at most for as long as all uploads do.
    """

    @endpoint("POST", authenticate=authenticate_form, refuse=_refused)
    def upload(request: HttpRequest, user: AbstractBaseUser, /, **kwargs: Any) -> HttpResponse:
        """The next piece of an upload, or without `upload_id` the first of a new one."""
        return _Place(user, admit(request, user, **kwargs), lifetime).take_piece(request)

    @endpoint("POST", authenticate=authenticate_form, refuse=_refused)
    def upload_complete(
        request: HttpRequest, user: AbstractBaseUser, /, **kwargs: Any
    ) -> HttpResponse:
        """The end: what is here is verified against `md5`, and by its SHA-256 as all files are."""
        return _Place(user, admit(request, user, **kwargs), lifetime).take_end(request)

    return Addresses(upload, upload_complete)


@dataclass(frozen=True, slots=True)
class _Place:
    """Whose uploads, and which of them, an address is about at this moment."""

    user: AbstractBaseUser
    admission: Admission
    lifetime: timedelta | None

    @property
    def limit(self) -> int:
        """Bytes of a file."""
        limit = conf.current().max_file_size
        return limit if self.admission.max_size is None else min(limit, self.admission.max_size)

    def take_piece(self, request: HttpRequest) -> HttpResponse:
        _check_announced(request, self.limit)
        with prepared_store().scratch() as scratch:
            form, file = _received(request, scratch)
            piece = _piece(request, form, file)
            session = self._session(form, piece)
            about(request, session=session)
            try:
                session = _taken(session, piece, scratch)
            except UploadError:
                if not form.get("upload_id"):
                    cancel(session)  # Nobody is ever told its id.
                raise
        return JsonResponse(self._answer(session))

    def take_end(self, request: HttpRequest) -> HttpResponse:
        form = _fields(request)
        check_form_token(request, str(form.get(TOKEN_FIELD, "")))
        md5 = str(form.get("md5", "")).strip().lower()
        if not form.get("upload_id") or not md5:
            raise InvalidRequest("Both 'upload_id' and 'md5' are required")
        session = self._found(str(form["upload_id"]))
        about(request, session=session)
        _check_whole(session)
        _check_md5(session, md5)
        session = wait_for_verdict(complete(session))
        if session.status not in {SessionStatus.ASSEMBLING, SessionStatus.COMPLETED}:
            raise _verdict(session)
        return _completed(session, self._answer(session))

    def _session(self, form: QueryDict, piece: _Piece) -> FileSession:
        """The one that is named, or a new one: every file begins anew, as it does there."""
        if piece.least_size > self.limit:
            raise _exceeds(self.limit)
        if form.get("upload_id"):
            return self._found(str(form["upload_id"]))
        if piece.offset:
            raise OffsetMismatch("Offsets do not match", offset=0)
        name = fields.filename({"filename": piece.filename})
        kind = _media_type(piece)
        offer = Offer(name, piece.total, mime_type=kind, admission=self.admission)
        return open_session(self.user, offer)[1]

    def _found(self, upload_id: str) -> FileSession:
        """Raises, in the words of that package, for one that takes nothing more."""
        session = get_session(self.user, fields.parse_session_id(upload_id))
        if self.admission.scope and session.scope != self.admission.scope:
            raise SessionNotFound(NO_SUCH_UPLOAD)
        if session.status == SessionStatus.COMPLETED:
            raise WrongState('Upload has already been marked as "complete"', state=session.status)
        if session.status == SessionStatus.EXPIRED or timezone.now() > self._end_of(session):
            raise SessionExpired("Upload has expired")
        if session.status not in {SessionStatus.ACTIVE, SessionStatus.ASSEMBLING}:
            raise refusal(session)
        return session

    def _end_of(self, session: FileSession) -> datetime:
        if self.lifetime is None:
            return session.expires_at
        return min(session.expires_at, session.created_at + self.lifetime)

    def _answer(self, session: FileSession) -> dict[str, Any]:
        return {
            "upload_id": session.pk.hex,
            "offset": session.offset,
            "expires": self._end_of(session).isoformat(),
        }


def _taken(session: FileSession, piece: _Piece, scratch: Scratch) -> FileSession:
    check_append(session, piece.offset, piece.length)
    if piece.total is not None:
        session = declare_size(session, piece.total)
    return append(session, piece.offset, ScratchSource(scratch, 0), piece.length)


def _check_announced(request: HttpRequest, limit: int) -> None:
    """Refuse before the body is read what its headers tell already."""
    length = content_length(request)
    if request.content_type != "multipart/form-data":
        raise UnsupportedMedia("POST each piece as multipart/form-data, in the field `file`.")
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
        let_go_unless_few()
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


def _completed(session: FileSession, answer: dict[str, Any]) -> JsonResponse:
    """200 with the file, or 202 with where to look while it is still being verified."""
    kwargs = {"session_id": session.pk}
    body = {
        **answer,
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


def _admit_anything(*_: object) -> Admission:
    return ANYTHING


#: At the general addresses anybody sends anything, for nothing in particular.
upload, upload_complete = bound(_admit_anything)
