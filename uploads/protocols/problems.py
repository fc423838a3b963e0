"""Refusals as `application/problem+json` (RFC 9457), and their HTTP statuses.

`status_of` is the one table from error to status of all protocols that answer in this shape.
"""

import json
from collections.abc import Mapping

from django.http import HttpResponse
from django.utils.translation import gettext

from uploads import errors
from uploads.errors import InsufficientScope, NotAuthenticated, UploadError

MEDIA_TYPE = "application/problem+json"

STATUSES: dict[type[UploadError], int] = {
    errors.InvalidRequest: 400,
    errors.NotAuthenticated: 401,
    errors.CsrfFailed: 403,
    errors.InsufficientScope: 403,
    errors.NotFound: 404,
    errors.ChunkNotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.ChunkConflict: 409,
    errors.ChunksMissing: 409,
    errors.WrongState: 409,
    errors.SessionGone: 410,
    errors.LinkExpired: 410,
    errors.LengthRequired: 411,
    errors.PreconditionFailed: 412,
    errors.TooLarge: 413,
    errors.UnsupportedMedia: 415,
    errors.RangeNotSatisfiable: 416,
    errors.DigestMismatch: 422,
    errors.TooManyRequests: 429,
    errors.Unavailable: 503,
    errors.StorageFull: 507,
}


def status_of(
    error: type[UploadError], statuses: Mapping[type[UploadError], int] = STATUSES
) -> int:
    """The status of an error class or of the nearest class above it. Raises LookupError."""
    for kind in error.__mro__:
        if kind in statuses:
            return statuses[kind]
    raise LookupError(f"{error.__name__} has no status")


def problem(error: UploadError, status: int | None = None) -> HttpResponse:
    """The response for a refusal. Members of the error stand beside the standard ones.

    `status` is that of a protocol with a table of its own.
    """
    status = status_of(type(error)) if status is None else status
    body = {
        **error.members,
        "type": f"urn:holdfast:problem:{error.code}",
        "title": error.title,
        "status": status,
        # What people are shown as it is has translations; what only programmers read has none.
        "detail": gettext(error.detail),
        "code": error.code,
    }
    response = HttpResponse(json.dumps(body), status=status, content_type=MEDIA_TYPE)
    response["Cache-Control"] = "no-store"
    if error.retry_after is not None:
        response["Retry-After"] = str(error.retry_after)
    challenge(response, error)
    if "allowed" in error.members:
        response["Allow"] = ", ".join(error.members["allowed"])
    if "complete_length" in error.members:
        # RFC 9110, section 15.5.17: how many bytes there are.
        response["Content-Range"] = f"bytes */{error.members['complete_length']}"
    return response


def challenge(response: HttpResponse, error: UploadError) -> None:
    """Say in `WWW-Authenticate` what a token is to be (RFC 6750, section 3), if that is the matter.

    `error` stands there only where a token came (section 3.1). Of several scopes of which one is
    enough, `scope` names the first: it lists what is needed together.
    """
    words = ['Bearer realm="uploads"']
    if isinstance(error, InsufficientScope):
        words.append('error="insufficient_scope"')
        words += [f'scope="{scope}"' for scope in error.members.get("needed", [])[:1]]
    elif not isinstance(error, NotAuthenticated):
        return
    elif error.token_refused:
        words.append('error="invalid_token"')
    response["WWW-Authenticate"] = ", ".join(words)
