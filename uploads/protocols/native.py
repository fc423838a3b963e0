"""The native protocol: JSON around, raw bytes for chunks. See docs/api.md."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.urls import reverse
from django.utils.translation import gettext

from uploads import conf
from uploads.engine import comparing, completing, opening, receiving, removing, sizing
from uploads.engine.access import get_completed_session, get_present_session, get_session
from uploads.engine.admitting import ANYTHING
from uploads.engine.reasons import is_refusal
from uploads.engine.recovery import recover_if_stuck
from uploads.engine.rereading import DAMAGED_ERROR, is_damaged
from uploads.engine.tickets import read_ticket
from uploads.errors import (
    InvalidRequest,
    NotFound,
    UnsupportedMedia,
)
from uploads.models import FileSession, SessionStatus

from . import declared, fields, multipart
from .bodies import content_length, read_json, reader_slot
from .download_host import redirect_to_download_host
from .downloads import attachment
from .endpoint import endpoint
from .request_log import about
from .scopes import ANY, BY_METHOD, DELETE, ENDING, SEEING_ONE, check_scope


@endpoint("POST", "GET")
def handshake(request: HttpRequest, user: AbstractBaseUser) -> HttpResponseBase:
    if request.method == "GET":
        return _list(request, user)
    return shake_hands(request, user, "chunk_size", session_body)


@endpoint("GET", "HEAD", "DELETE", needs={**SEEING_ONE, "DELETE": ENDING})
def session(request: HttpRequest, user: AbstractBaseUser, session_id: UUID) -> HttpResponseBase:
    if request.method == "DELETE":
        remove(request, get_session(user, session_id))
        return HttpResponse(status=204)
    return _session_response(user, session_id)


@endpoint("POST", "GET", "HEAD", needs=SEEING_ONE)
def session_handshake(
    request: HttpRequest, user: AbstractBaseUser, session_id: UUID
) -> HttpResponseBase:
    """By POST, what the first handshake could not say: the size."""
    if request.method == "POST":
        size = fields.size(read_json(request))
        session = sizing.declare_size(get_present_session(user, session_id), size)
        return JsonResponse(session_body(session))
    return _session_response(user, session_id)


@endpoint("GET", "HEAD", needs=SEEING_ONE)
def check(request: HttpRequest, user: AbstractBaseUser, session_id: UUID) -> HttpResponseBase:
    """Before a client goes on with an upload: what its file must have, to be that one."""
    session = get_present_session(user, session_id)
    chunks = [
        {
            "index": chunk.index,
            "offset": chunk.offset,
            "length": chunk.length,
            "blake3": chunk.fingerprint.hex(),
        }
        for chunk in comparing.chunks_to_compare(session)
    ]
    return JsonResponse({"chunks": chunks})


@endpoint("GET", "HEAD")
def session_list(request: HttpRequest, user: AbstractBaseUser) -> HttpResponseBase:
    return _list(request, user)


@endpoint("PUT", "POST")
def chunk(
    request: HttpRequest, user: AbstractBaseUser, session_id: UUID, index: int
) -> HttpResponseBase:
    session = get_session(user, session_id)
    receive = _receive_form if request.method == "POST" else _receive_raw
    receipt = receive(request, session, index)
    return JsonResponse(
        {
            "index": receipt.index,
            "duplicate": receipt.duplicate,
            "state": receipt.session.status,
            "received_chunks": receipt.session.received_count,
            "total_chunks": receipt.session.total_chunks,
            "progress": receipt.session.progress,
        }
    )


@endpoint("POST")
def complete(request: HttpRequest, user: AbstractBaseUser, session_id: UUID) -> HttpResponseBase:
    sha256 = fields.sha256(read_json(request))
    session = completing.complete(get_session(user, session_id), sha256)
    status = 200 if session.status == SessionStatus.COMPLETED else 202
    return JsonResponse(session_body(session), status=status)


@endpoint("GET", "HEAD")
def content(request: HttpRequest, user: AbstractBaseUser, session_id: UUID) -> HttpResponseBase:
    session = get_completed_session(user, session_id)
    if conf.current().download_origin:
        return redirect_to_download_host(user, session)
    return attachment(request, session)


@endpoint(*BY_METHOD, needs=dict.fromkeys(BY_METHOD, ANY))
def unknown(request: HttpRequest, user: AbstractBaseUser, *_: str) -> HttpResponseBase:
    raise NotFound(
        "No address of this API looks like that. Ids are UUIDs and chunk indices whole numbers "
        "from 0; use the `urls` that the handshake answered."
    )


def shake_hands(
    request: HttpRequest,
    user: AbstractBaseUser,
    chunk_size: str,
    body: Callable[[FileSession], dict[str, Any]],
) -> HttpResponseBase:
    """The handshake that is in the request, answered by `body` of the session that there is then.

    `chunk_size` is what the protocol calls that field.
    """
    data = read_json(request)
    ticket = fields.ticket(data)
    offer = opening.Offer(
        filename=fields.filename(data),
        size=fields.size(data),
        folder=fields.folder(data),
        sha256=fields.sha256(data),
        resume_key=fields.resume_key(data),
        mime_type=fields.mime_type(data),
        chunk_size=fields.chunk_size(data, chunk_size),
        admission=read_ticket(user, ticket) if ticket else ANYTHING,
    )
    outcome, session = opening.open_session(user, offer)
    about(request, session=session)
    status = 201 if outcome == opening.Outcome.CREATED else 200
    return JsonResponse({"status": outcome, **body(session)}, status=status)


def session_body(session: FileSession) -> dict[str, Any]:
    """The session as every answer of this protocol shows it."""
    missing = None if session.size is None else session.bitmap.missing()
    return {**_summary(session), "missing": missing}


def session_headers(session: FileSession) -> dict[str, str]:
    """How far the upload is, for those who read no JSON; its length only if it is known."""
    total = "*" if session.total_chunks is None else session.total_chunks
    headers = {
        "Upload-Offset": str(session.offset),
        "Upload-Received": str(session.received_bytes),
        "Upload-Chunks": f"{session.received_count}/{total}",
    }
    return headers if session.size is None else {**headers, "Upload-Length": str(session.size)}


def _summary(session: FileSession) -> dict[str, Any]:
    completed = session.status == SessionStatus.COMPLETED
    body: dict[str, Any] = {
        "id": str(session.pk),
        "state": session.status,
        "filename": session.filename,
        "folder": session.folder,
        "size": session.size,
        "chunk_size": session.chunk_size,
        "total_chunks": session.total_chunks,
        "received_chunks": session.received_count,
        "offset": session.offset,
        "progress": session.progress,
        "sha256": session.sha256 or None,
        "expires_at": None if completed else session.expires_at.isoformat(),
        "urls": _urls(session),
    }
    if session.status == SessionStatus.FAILED:
        body["error"] = gettext(session.error)
        if is_refusal(session.error):
            body["refused"] = True
    elif is_damaged(session):
        body["error"] = gettext(DAMAGED_ERROR)
    return body


def _urls(session: FileSession) -> dict[str, str]:
    own = reverse("uploads:session", kwargs={"session_id": session.pk})
    return {
        "self": own,
        "chunk": f"{own}/chunks/{{index}}",
        "complete": f"{own}/complete",
        "content": f"{own}/content",
    }


def remove(request: HttpRequest, session: FileSession) -> None:
    """What has ended, be it at this very moment, goes for good: that needs more than to cancel."""
    ended = removing.cancel(session)
    if ended is None:
        return
    if ended.status != SessionStatus.CANCELLED:
        check_scope(request, DELETE)
    removing.remove(ended)


def _session_response(user: AbstractBaseUser, session_id: UUID) -> HttpResponse:
    session = recover_if_stuck(get_present_session(user, session_id))
    return JsonResponse(session_body(session), headers=session_headers(session))


def _list(request: HttpRequest, user: AbstractBaseUser) -> HttpResponse:
    # With its stored file, which says whether it is damaged.
    sessions = FileSession.objects.owned_by(user).select_related("stored_file")
    sessions = sessions.order_by("-created_at", "-id")
    state = request.GET.get("state", "")
    if state:
        if state not in SessionStatus.values:
            raise InvalidRequest(
                f"`state` is one of {', '.join(SessionStatus.values)}.", field="state"
            )
        sessions = sessions.filter(status=state)
    before = request.GET.get("before", "")
    if before:
        last = FileSession.objects.owned_by(user).by_text(before)
        if last is None:
            raise InvalidRequest(
                "`before` is the id of one of your uploads, as in `next`.", field="before"
            )
        sessions = sessions.older_than(last)
    page_size = conf.current().page_size
    page = list(sessions[: page_size + 1])
    following = _next_page(request, page[page_size - 1]) if len(page) > page_size else None
    return JsonResponse({"results": [_summary(s) for s in page[:page_size]], "next": following})


def _next_page(request: HttpRequest, last: FileSession) -> str:
    query = request.GET.copy()
    query["before"] = str(last.pk)
    return f"{request.path}?{query.urlencode()}"


def _receive_raw(request: HttpRequest, session: FileSession, index: int) -> receiving.Receipt:
    receiving.check_chunk(session, index, content_length(request))
    declared.check_content_range(request, session, index, f"Chunk {index}")
    digests = declared.digests(request)
    with reader_slot():
        return receiving.receive_chunk(session, index, request, digests)


def _receive_form(request: HttpRequest, session: FileSession, index: int) -> receiving.Receipt:
    receiving.check_chunk(session, index)
    if request.content_type != "multipart/form-data":
        raise UnsupportedMedia("POST a chunk as multipart/form-data, or PUT its bytes as they are.")
    with reader_slot():
        return multipart.receive(request, session, index)
