"""The two addresses of tus. See docs/api.md."""

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import Resolver404, get_script_prefix, resolve

from uploads.engine import removing
from uploads.engine.access import get_present_session, get_session
from uploads.engine.joining import find_whole, was_joined
from uploads.engine.opening import Offer, Outcome, open_session, open_whole
from uploads.engine.recovery import recover_if_stuck
from uploads.engine.transitions import refusal
from uploads.errors import InvalidRequest, JoinedOnly, NotFound, SessionNotFound, UploadError
from uploads.models import FileSession, Role, SessionStatus
from uploads.protocols import auth, native
from uploads.protocols.endpoint import endpoint
from uploads.protocols.request_log import about
from uploads.protocols.scopes import ANY, BY_METHOD, ENDING, SEEING_ONE

from . import answers, cors, headers
from .taking import Body, take

View = Callable[..., HttpResponseBase]
#: What a client says that cannot send the method it means (section "X-HTTP-Method-Override").
OVERRIDE = "X-HTTP-Method-Override"


def _authenticate(request: HttpRequest) -> AbstractBaseUser:
    headers.check_version(request)
    return auth.authenticate(request)


def _of_tus(view: View) -> View:
    """What is the same for every request and answer of the protocol.

    The IETF's draft, when it comes, is told apart here: its requests have no `Tus-Resumable`.
    """

    @wraps(view)
    def wrapped(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        request.method = (request.headers.get(OVERRIDE) or request.method or "").upper()
        response = answers.options() if request.method == "OPTIONS" else view(request, **kwargs)
        response["Tus-Resumable"] = headers.VERSION
        cors.allow(request, response)
        return response

    return wrapped


@_of_tus
@endpoint("POST", "OPTIONS", authenticate=_authenticate, refuse=answers.refused)
def uploads(request: HttpRequest, user: AbstractBaseUser) -> HttpResponseBase:
    parts = headers.parts_of_final(request)
    if parts is not None:
        session = _whole(request, user, parts)
        about(request, session=session)
        return _created(request, session)
    return _begun(request, user)


@_of_tus
@endpoint(
    "HEAD",
    "PATCH",
    "DELETE",
    "OPTIONS",
    needs={**SEEING_ONE, "DELETE": ENDING},
    authenticate=_authenticate,
    refuse=answers.refused,
)
def upload(request: HttpRequest, user: AbstractBaseUser, session_id: UUID) -> HttpResponseBase:
    if request.method == "PATCH":
        return _patched(request, get_session(user, session_id))
    if request.method == "DELETE":
        native.remove(request, get_session(user, session_id))
        return HttpResponse(status=204)
    session = _present(user, session_id)
    return HttpResponse(headers=answers.description(request, session))


@_of_tus
@endpoint(
    "POST",
    "HEAD",
    "PATCH",
    "DELETE",
    needs=dict.fromkeys(BY_METHOD, ANY),
    authenticate=_authenticate,
    refuse=answers.refused,
)
def unknown(request: HttpRequest, user: AbstractBaseUser, *_: str) -> HttpResponseBase:
    raise NotFound(
        "No upload has an address like this: use the `Location` that creating it answered."
    )


def _begun(request: HttpRequest, user: AbstractBaseUser) -> HttpResponse:
    """A new upload, and the beginning of its bytes where they come along."""
    length = headers.length(request)
    said = headers.description(request)
    checksum = headers.checksum(request)
    body = _body_of_creation(request)
    partial = headers.is_partial(request)
    offer = Offer(
        filename=said.filename,
        size=length,
        # A part has no hash that its client could know.
        sha256="" if partial else said.sha256,
        mime_type=said.mime_type,
        role=Role.PART if partial else Role.STREAM,
        client_metadata=said.given,
    )
    outcome, session = open_session(user, offer)
    about(request, session=session)
    if body is not None and session.offset == 0:
        try:
            session = take(session, 0, body, None, checksum)
        except UploadError:
            if outcome == Outcome.CREATED:
                removing.cancel(session)  # Nobody is ever told its address.
            raise
    return _created(request, session)


def _body_of_creation(request: HttpRequest) -> Body | None:
    """Section "Creation With Upload": a body is announced by its type and length."""
    if not headers.announces_body(request):
        return None
    headers.check_body_type(request)
    return Body(request)


def _created(request: HttpRequest, session: FileSession) -> HttpResponse:
    response = HttpResponse(status=201, headers=answers.progress(session))
    response["Location"] = answers.address_of(request, session.pk)
    return response


def _patched(request: HttpRequest, session: FileSession) -> HttpResponse:
    headers.check_body_type(request)
    offset = headers.offset(request)
    if session.role == Role.WHOLE:
        raise JoinedOnly(
            "This upload is joined of its partial ones: it takes no bytes itself. Send what those "
            "are missing."
        )
    size = headers.number(request, "Upload-Length")
    session = take(session, offset, Body(request), size, headers.checksum(request))
    return HttpResponse(status=204, headers=answers.progress(session))


def _present(user: AbstractBaseUser, session_id: UUID) -> FileSession:
    session = get_session(user, session_id)
    if session.role == Role.PART and was_joined(session):
        # Its bytes are those of a complete file: so its client may still learn that they came.
        return session
    session = get_present_session(user, session_id)
    if session.status == SessionStatus.FAILED:
        raise refusal(session)
    return recover_if_stuck(session)


def _whole(request: HttpRequest, user: AbstractBaseUser, addresses: list[str]) -> FileSession:
    """The final upload of these partial ones. Asked for again, it is the same one."""
    said = headers.description(request)
    ids = [_id_in(address) for address in addresses]
    known = find_whole(user, ids, said.given)
    if known is not None:
        return known
    if headers.announces_body(request):
        raise JoinedOnly(
            "A final upload has the bytes of its partial ones: create it without a body."
        )
    parts = [get_present_session(user, part_id) for part_id in ids]
    if any(part.role != Role.PART for part in parts):
        raise InvalidRequest(
            "Only uploads that were created with `Upload-Concat: partial` can be joined.",
            header="Upload-Concat",
        )
    offer = Offer(
        filename=said.filename,
        size=None,
        sha256=said.sha256,
        mime_type=said.mime_type,
        client_metadata=said.given,
    )
    return open_whole(user, offer, parts)


def _id_in(address: str) -> UUID:
    """Of an upload, absolute or relative to this server. Raises SessionNotFound."""
    try:
        path = urlsplit(address).path.removeprefix(get_script_prefix())
        match = resolve(f"/{path.lstrip('/')}")
    except (Resolver404, ValueError):
        match = None
    if match is None or match.view_name != "uploads:tus-upload":
        raise SessionNotFound(
            "`Upload-Concat` names an address that is none of an upload here: send each as its "
            "`Location` was."
        )
    session_id: UUID = match.kwargs["session_id"]
    return session_id
