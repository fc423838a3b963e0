"""What every tus answer has in its headers, and the statuses of refusals."""

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.http import http_date

from uploads import conf, errors
from uploads.engine.joining import part_ids_of
from uploads.errors import UploadError
from uploads.models import FileSession, Role, SessionStatus
from uploads.protocols import problems
from uploads.protocols.problems import problem, status_of

from .headers import ALGORITHMS, VERSION

#: What is on; nothing is told that does not work. `checksum-trailer` needs what WSGI cannot do.
EXTENSIONS = (
    "creation",
    "creation-with-upload",
    "creation-defer-length",
    "expiration",
    "checksum",
    "termination",
    "concatenation",
    "concatenation-unfinished",
)

#: Section "Checksum".
CHECKSUM_MISMATCH = 460
#: tus-js-client tries again on this, after a HEAD as after a PATCH, and takes any other refusal of
#: a HEAD for the upload's end.
TRY_AGAIN = 423

#: Those of all problems, but for what the protocol, or its clients, want otherwise.
STATUSES: dict[type[UploadError], int] = {
    **problems.STATUSES,
    # "Concatenation": a PATCH on a final upload.
    errors.JoinedOnly: 403,
    # There is nothing to go on with.
    errors.SessionFailed: 410,
    errors.DigestMismatch: CHECKSUM_MISMATCH,
    errors.Unavailable: TRY_AGAIN,
    errors.TooManyRequests: TRY_AGAIN,
}


def refused(request: HttpRequest, error: UploadError) -> HttpResponse:
    """As `application/problem+json`, with the protocol's own status."""
    status = status_of(type(error), STATUSES)
    if request.method == "HEAD" and isinstance(error, errors.StorageFull):
        # Of the database: nothing that would not pass.
        status = TRY_AGAIN
    response = problem(error, status)
    if isinstance(error, errors.VersionNotSpoken):
        response["Tus-Version"] = VERSION
    return response


def options() -> HttpResponse:
    """Section "OPTIONS": what the server can."""
    return HttpResponse(
        status=204,
        headers={
            "Tus-Version": VERSION,
            "Tus-Extension": ",".join(EXTENSIONS),
            "Tus-Max-Size": str(conf.current().max_file_size),
            "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
        },
    )


def address_of(request: HttpRequest, session_id: object) -> str:
    """Absolute: that is what clients keep."""
    path = reverse("uploads:tus-upload", kwargs={"session_id": session_id})
    return request.build_absolute_uri(path)


def expires(session: FileSession) -> dict[str, str]:
    """Section "Expiration": a moment (RFC 9110, section 5.6.7), while it can be gone on with."""
    if session.status != SessionStatus.ACTIVE:
        return {}
    return {"Upload-Expires": http_date(session.expires_at.timestamp())}


def progress(session: FileSession) -> dict[str, str]:
    """How far the upload is. Of a final one nothing is said before it is joined."""
    if session.role == Role.WHOLE and session.status != SessionStatus.COMPLETED:
        return expires(session)
    return {"Upload-Offset": str(session.offset), **expires(session)}


def description(request: HttpRequest, session: FileSession) -> dict[str, str]:
    """All that HEAD tells."""
    found = progress(session)
    if session.size is not None:
        found["Upload-Length"] = str(session.size)
    elif session.role != Role.WHOLE:
        found["Upload-Defer-Length"] = "1"
    if session.client_metadata:
        found["Upload-Metadata"] = session.client_metadata
    if session.role == Role.PART:
        found["Upload-Concat"] = "partial"
    if session.role == Role.WHOLE:
        parts = [address_of(request, part_id) for part_id in part_ids_of(session)]
        found["Upload-Concat"] = f"final;{' '.join(parts)}"
    return found
