"""Files as a plain form sends them: a browser without JavaScript, or `curl -F file=@FILE`.

How long a file is and what it hashes to is known only when it has ended, and whether the form is
from its sender's own page only when all fields are in. So the whole form comes first, into a
scratch file that goes with the request; then each file takes the way of all files: a handshake, the
chunks that are missing, complete. What was cut off leaves nothing, what is known costs nothing.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib import messages
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.auth.views import redirect_to_login
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import reverse
from django.utils.translation import gettext

from uploads import conf
from uploads.core.bodies import READ_SIZE
from uploads.core.plan import KIB
from uploads.engine.opening import Offer, Outcome
from uploads.engine.room import check_room, prepared_store
from uploads.engine.sending import Sent, send_whole
from uploads.errors import (
    InvalidRequest,
    MethodNotAllowed,
    NoFileChosen,
    NotAuthenticated,
    TooLarge,
    UnsupportedMedia,
    UploadError,
)
from uploads.storage import Scratch

from . import fields
from .auth import authenticate_form, check_form_token
from .bodies import ScratchSink, ScratchSource, content_length, reader_slot
from .endpoint import endpoint
from .form_refusals import sentence_for
from .multipart import read_form
from .native import session_body
from .problems import problem
from .request_log import about

FILE_FIELD = "file"
TOKEN_FIELD = "csrfmiddlewaretoken"  # noqa: S105 (the field's name)  # nosec B105
#: Room for the boundaries, part headers and other fields of the hundred files that Django takes.
MAX_OVERHEAD_BYTES = 128 * KIB


@dataclass(frozen=True, slots=True)
class _File:
    """One file of the form; its bytes are in the scratch file from `start`."""

    offer: Offer
    start: int


class _IntoScratch(FileUploadHandler):
    """Writes the files of a form one behind the other, and hashes each as it comes."""

    chunk_size = READ_SIZE

    def __init__(self, scratch: Scratch) -> None:
        super().__init__()
        self.files: list[_File] = []
        self._sink = ScratchSink(scratch)
        self._start = 0

    def new_file(
        self, field_name: str, file_name: str, content_type: str, *args: object, **kwargs: object
    ) -> None:
        if field_name != FILE_FIELD:
            raise InvalidRequest(f"Send each file in the field `{FILE_FIELD}`.", field=FILE_FIELD)
        self._name = fields.filename({"filename": file_name})
        self._type = fields.mime_type({"mime_type": content_type})
        self._hash = hashlib.sha256()
        self._start = self._sink.length

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self._sink.write(raw_data)
        self._hash.update(raw_data)

    def file_complete(self, file_size: int) -> None:
        size, sha256 = self._sink.length - self._start, self._hash.hexdigest()
        offer = Offer(self._name, size, sha256=sha256, mime_type=self._type)
        self.files.append(_File(offer, self._start))

    def upload_interrupted(self) -> None:
        raise InvalidRequest("The form ended inside a file: its last boundary is missing.")


def _refused(request: HttpRequest, error: UploadError) -> HttpResponse:
    if not _is_from_page(request) or isinstance(error, MethodNotAllowed):
        return problem(error)
    messages.error(request, sentence_for(error), fail_silently=True)
    dashboard = reverse("uploads:dashboard")
    if isinstance(error, NotAuthenticated):
        return _see_other(redirect_to_login(dashboard).url)
    return _see_other(dashboard)


@endpoint("POST", authenticate=authenticate_form, refuse=_refused)
def send(request: HttpRequest, user: AbstractBaseUser) -> HttpResponse:
    """Take every file of the form. One that is refused ends it; what came before it stays."""
    _check_announced(request)
    with prepared_store().scratch() as scratch:
        files = _received(request, scratch)
        kept = (_keep(request, user, file, scratch) for file in files)
        return _said(request, kept) if _is_from_page(request) else _answered(kept)


def _check_announced(request: HttpRequest) -> None:
    """Refuse before the body is read what its headers tell already."""
    length = content_length(request)
    if request.content_type != "multipart/form-data":
        raise UnsupportedMedia("POST files as multipart/form-data.")
    limit = conf.current().max_file_size
    if length > limit + MAX_OVERHEAD_BYTES:
        raise TooLarge(
            f"This form has {length} bytes; this server takes files, and forms of several, of at "
            f"most {limit}.",
            limit=limit,
        )
    # Twice: for a moment the bytes are in the scratch file and in staging.
    check_room(2 * length)


def _received(request: HttpRequest, scratch: Scratch) -> list[_File]:
    """All files of the form, once it is known to be whole and of its sender's own making."""
    handler = _IntoScratch(scratch)
    with reader_slot():
        form = read_form(request, handler)
    check_form_token(request, str(form.get(TOKEN_FIELD, "")))
    if not handler.files:
        raise NoFileChosen(
            f"The form has no file: send one or more in the field `{FILE_FIELD}`.", field=FILE_FIELD
        )
    return handler.files


def _keep(request: HttpRequest, user: AbstractBaseUser, file: _File, scratch: Scratch) -> Sent:
    """The file as an upload. Its refusals name it, as there may be others in the form."""
    try:
        outcome, session = send_whole(
            user, file.offer, lambda offset: ScratchSource(scratch, file.start + offset)
        )
    except UploadError as error:
        error.members.setdefault("filename", file.offer.filename)
        raise
    about(request, session=session)
    return outcome, session


def _answered(kept: Iterable[Sent]) -> HttpResponse:
    results = [session_body(session) for _, session in kept]
    return JsonResponse({"results": results}, status=201)


def _said(request: HttpRequest, kept: Iterable[Sent]) -> HttpResponse:
    for outcome, session in kept:
        if outcome == Outcome.FILE_EXISTS:
            text = gettext("“%(name)s” was here already, complete and verified.")
        else:
            text = gettext("“%(name)s” has arrived and is being verified.")
        said = text % {"name": session.filename}
        messages.success(request, said, fail_silently=True)
    return _see_other(reverse("uploads:dashboard"))


def _is_from_page(request: HttpRequest) -> bool:
    """Whether a person is to see the answer; scripts get JSON."""
    accepted = request.headers.get("Accept", "")
    return "text/html" in accepted and not request.headers.get("Authorization")


def _see_other(url: str) -> HttpResponse:
    response = HttpResponseRedirect(url)
    response.status_code = 303
    response["Cache-Control"] = "no-store"
    return response
