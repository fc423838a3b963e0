"""The native protocol: JSON around, raw bytes for chunks. See docs/api.md."""

import re
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.urls import reverse

from uploads import conf
from uploads.core.digests import Digest, parse_content_digest
from uploads.core.plan import ChunkPlan
from uploads.engine import completing, opening, receiving, removing
from uploads.engine.access import get_present_session, get_session
from uploads.engine.recovery import recover_if_stuck
from uploads.engine.rereading import DAMAGED_ERROR, is_damaged
from uploads.engine.transitions import refusal
from uploads.errors import (
    ContentNotReady,
    InvalidRequest,
    NotFound,
    RangeMismatch,
    UnsupportedMedia,
)
from uploads.models import FileSession, SessionStatus

from . import fields, multipart
from .bodies import content_length, read_json, reader_slot
from .downloads import attachment
from .endpoint import endpoint


@endpoint("POST", "GET")
def handshake(request: HttpRequest, user: AbstractBaseUser) -> HttpResponseBase:
    if request.method == "GET":
        return _list(request, user)
    data = read_json(request)
    offer = opening.Offer(
        filename=fields.filename(data),
        size=fields.size(data),
        folder=fields.folder(data),
        sha256=fields.sha256(data),
        resume_key=fields.resume_key(data),
        mime_type=fields.mime_type(data),
        chunk_size=fields.chunk_size(data),
    )
    outcome, session = opening.open_session(user, offer)
    status = 201 if outcome == opening.Outcome.CREATED else 200
    return JsonResponse({"status": outcome, **session_body(session)}, status=status)


@endpoint("GET", "HEAD", "DELETE")
def session(request: HttpRequest, user: AbstractBaseUser, session_id: UUID) -> HttpResponseBase:
    if request.method == "DELETE":
        removing.remove(get_session(user, session_id))
        return HttpResponse(status=204)
    return _session_response(user, session_id)


@endpoint("GET", "HEAD")
def session_handshake(
    request: HttpRequest, user: AbstractBaseUser, session_id: UUID
) -> HttpResponseBase:
    return _session_response(user, session_id)


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
            "total_chunks": receipt.session.plan.total,
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
    session = get_present_session(user, session_id)
    if session.status == SessionStatus.FAILED:
        raise refusal(session)
    if session.status != SessionStatus.COMPLETED:
        raise ContentNotReady(
            f"This upload is {session.status}; its content is served once it is completed.",
            state=session.status,
        )
    return attachment(request, session)


@endpoint("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
def unknown(request: HttpRequest, user: AbstractBaseUser, *_: str) -> HttpResponseBase:
    raise NotFound(
        "No address of this API looks like that. Ids are UUIDs and chunk indices whole numbers "
        "from 0; use the `urls` that the handshake answered."
    )


def session_body(session: FileSession) -> dict[str, Any]:
    """The session as every answer of this protocol shows it."""
    return {**_summary(session), "missing": session.bitmap.missing()}


def _summary(session: FileSession) -> dict[str, Any]:
    completed = session.status == SessionStatus.COMPLETED
    body: dict[str, Any] = {
        "id": str(session.pk),
        "state": session.status,
        "filename": session.filename,
        "folder": session.folder,
        "size": session.size,
        "chunk_size": session.chunk_size,
        "total_chunks": session.plan.total,
        "received_chunks": session.received_count,
        "progress": session.progress,
        "sha256": session.sha256 or None,
        "expires_at": None if completed else session.expires_at.isoformat(),
        "urls": _urls(session),
    }
    if session.status == SessionStatus.FAILED:
        body["error"] = session.error
    elif is_damaged(session):
        body["error"] = DAMAGED_ERROR
    return body


def _urls(session: FileSession) -> dict[str, str]:
    own = reverse("uploads:session", kwargs={"session_id": session.pk})
    return {
        "self": own,
        "chunk": f"{own}/chunks/{{index}}",
        "complete": f"{own}/complete",
        "content": f"{own}/content",
    }


def _session_response(user: AbstractBaseUser, session_id: UUID) -> HttpResponse:
    session = recover_if_stuck(get_present_session(user, session_id))
    response = JsonResponse(session_body(session))
    response["Upload-Length"] = str(session.size)
    response["Upload-Received"] = str(session.received_bytes)
    response["Upload-Chunks"] = f"{session.received_count}/{session.plan.total}"
    return response


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
    _check_content_range(request, session.plan, index)
    declared = _declared_digests(request)
    with reader_slot():
        return receiving.receive_chunk(session, index, request, declared)


def _receive_form(request: HttpRequest, session: FileSession, index: int) -> receiving.Receipt:
    receiving.check_chunk(session, index)
    if request.content_type != "multipart/form-data":
        raise UnsupportedMedia("POST a chunk as multipart/form-data, or PUT its bytes as they are.")
    with reader_slot():
        return multipart.receive(request, session, index)


def _declared_digests(request: HttpRequest) -> list[Digest]:
    header = request.headers.get("Content-Digest")
    if header is None:
        return []
    try:
        return parse_content_digest(header)
    except ValueError as reason:
        raise InvalidRequest(f"Content-Digest is refused: {reason}.") from reason


_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")


def _check_content_range(request: HttpRequest, plan: ChunkPlan, index: int) -> None:
    """RFC 9110, section 14.4: `bytes first-last/complete`, both ends inclusive."""
    header = request.headers.get("Content-Range", "")
    if not header:
        return
    first = plan.offset(index)
    last = first + plan.length(index) - 1
    match = _CONTENT_RANGE.fullmatch(header.strip())
    given = match and (int(match[1]), int(match[2]), match[3])
    if given not in [(first, last, str(plan.size)), (first, last, "*")]:
        raise RangeMismatch(
            f"Chunk {index} is `bytes {first}-{last}/{plan.size}`, declared was `{header}`. "
            "Nothing was read: correct the range, the index or the offset.",
            expected=f"bytes {first}-{last}/{plan.size}",
        )
