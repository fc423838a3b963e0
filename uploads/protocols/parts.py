"""The parts protocol, made for curl: parts numbered from 1, raw bodies of any content type.

A part is a chunk; only here it is counted from 1. See docs/api.md.
"""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.urls import reverse

from uploads.core.bitmap import Bitmap
from uploads.engine import appending, receiving
from uploads.engine.access import get_present_session, get_session
from uploads.engine.recovery import recover_if_stuck
from uploads.errors import (
    ChunkConflict,
    ChunkNotFound,
    DigestMismatch,
    InvalidRequest,
    LengthMismatch,
    NotFound,
    Unavailable,
    UploadError,
)
from uploads.models import FileSession

from . import declared, native
from .bodies import content_length, reader_slot
from .endpoint import endpoint
from .scopes import ANY, BY_METHOD, SEEING_ONE

#: Characters of the header that says what is in. Proxies and clients bound all headers together,
#: some to 4 KiB.
MAX_MAP_LENGTH = 1024

#: What the engine refuses, in terms of parts.
_OF_PART: dict[type[UploadError], str] = {
    ChunkNotFound: "There is no part {part}: this upload has {total_chunks} parts, numbered from "
    "1.",
    LengthMismatch: "Part {part} has {expected} bytes, the body {actual}. Nothing was changed: "
    "send the part again, whole.",
    DigestMismatch: "The {algorithm} of the bytes that arrived for part {part} is {actual}, "
    "declared was {expected}. Nothing was changed: send the part again.",
    ChunkConflict: "Part {part} was received before with other bytes, which are kept. If the file "
    "has changed, cancel this upload and begin a new one.",
    Unavailable: "Part {part} was found damaged on the server meanwhile. Send it once more.",
}

#: The session's fields that have another name in this protocol.
_NAMES = {
    "chunk_size": "part_size",
    "total_chunks": "total_parts",
    "received_chunks": "received_parts",
    "missing": "missing_parts",
}


@endpoint("POST")
def sessions(request: HttpRequest, user: AbstractBaseUser) -> HttpResponseBase:
    return native.shake_hands(request, user, "part_size", _session_body)


@endpoint("GET", "HEAD", needs=SEEING_ONE)
def session(request: HttpRequest, user: AbstractBaseUser, session_id: UUID) -> HttpResponseBase:
    return JsonResponse(_session_body(_present(user, session_id)))


@endpoint("PUT")
def part(
    request: HttpRequest, user: AbstractBaseUser, session_id: UUID, number: int
) -> HttpResponseBase:
    receipt = _receive(request, get_session(user, session_id), number)
    session = receipt.session
    return JsonResponse(
        {
            "part": number,
            "duplicate": receipt.duplicate,
            "state": session.status,
            "received_parts": session.received_count,
            "total_parts": session.total_chunks,
            "progress": session.progress,
        }
    )


@endpoint("GET", "HEAD", "PUT", needs=SEEING_ONE)
def upload(request: HttpRequest, user: AbstractBaseUser, session_id: UUID) -> HttpResponseBase:
    if request.method == "PUT":
        session = _append(request, get_session(user, session_id))
        return JsonResponse(
            {"offset": session.offset, "state": session.status, "size": session.size}
        )
    session = _present(user, session_id)
    return JsonResponse(_session_body(session), headers=_upload_headers(session))


@endpoint(*BY_METHOD, needs=dict.fromkeys(BY_METHOD, ANY))
def unknown(request: HttpRequest, user: AbstractBaseUser, *_: str) -> HttpResponseBase:
    raise NotFound(
        "No address of an upload looks like that. Ids are UUIDs and part numbers whole numbers "
        "from 1; use the `urls` that `POST /uploads/sessions` answered."
    )


def _present(user: AbstractBaseUser, session_id: UUID) -> FileSession:
    return recover_if_stuck(get_present_session(user, session_id))


def _receive(request: HttpRequest, session: FileSession, number: int) -> receiving.Receipt:
    index = number - 1
    with _told_of_part(number):
        receiving.check_chunk(session, index, content_length(request))
    called = f"Part {number}"
    declared.check_content_range(request, session, index, called)
    declared.check_upload_offset(request, session, index, called)
    digests = declared.digests(request)
    with reader_slot(), _told_of_part(number):
        return receiving.receive_chunk(session, index, request, digests)


def _append(request: HttpRequest, session: FileSession) -> FileSession:
    if "Content-Digest" in request.headers:
        raise InvalidRequest(
            "A stream is stored while it arrives, so that its Content-Digest could not be checked "
            "before. Leave it out, or send parts: of those it is checked."
        )
    length = content_length(request)
    offset = declared.body_offset(request, session, length)
    appending.check_append(session, offset, length)
    try:
        with reader_slot():
            session = appending.append(session, offset, request, length)
    except (ChunkConflict, Unavailable) as error:
        if "index" not in error.members:
            raise
        raise _of_part(error, error.members["index"] + 1) from error
    if session.offset < offset + length:
        raise _ended_early(session, offset, length)
    return session


def _ended_early(session: FileSession, offset: int, length: int) -> LengthMismatch:
    came = session.offset - offset
    return LengthMismatch(
        f"The body ended early: {came} of its {length} bytes came and were kept. The upload goes "
        f"on at offset {session.offset}: send the bytes from there on.",
        expected=length,
        actual=came,
        offset=session.offset,
    )


@contextmanager
def _told_of_part(number: int) -> Iterator[None]:
    """Have the engine's refusals name part `number` where they name its chunk."""
    try:
        yield
    except UploadError as error:
        # Of this very class: those below it say something else.
        if type(error) not in _OF_PART:
            raise
        raise _of_part(error, number) from error


def _of_part(error: UploadError, number: int) -> UploadError:
    members = {**error.members, "part": number}
    return type(error)(_OF_PART[type(error)].format(**members), **members)


def _session_body(session: FileSession) -> dict[str, Any]:
    """The session as every answer of this protocol shows it: the native one's, counted from 1."""
    native_body = native.session_body(session)
    body = {_NAMES.get(name, name): value for name, value in native_body.items()}
    if body["missing_parts"] is not None:
        body["missing_parts"] = [index + 1 for index in body["missing_parts"]]
    body["urls"] = _urls(session, native_body["urls"])
    return body


def _urls(session: FileSession, of_native: dict[str, str]) -> dict[str, str]:
    given = {"session_id": session.pk}
    own = reverse("uploads:part-session", kwargs=given)
    return {
        "self": own,
        "part": f"{own}/parts/{{number}}",
        "upload": reverse("uploads:upload-stream", kwargs=given),
        "complete": of_native["complete"],
        "content": of_native["content"],
    }


def _upload_headers(session: FileSession) -> dict[str, str]:
    """How far the upload is, for those who read no JSON (C4). What is unknown is left out."""
    headers = {
        **native.session_headers(session),
        "Upload-Chunk-Size": str(session.chunk_size),
        "Upload-State": session.status,
    }
    return headers if session.size is None else {**headers, **_map_header(session.bitmap)}


def _map_header(bitmap: Bitmap) -> dict[str, str]:
    """Which chunks are in, or of very many those that are missing first."""
    encoded = base64.b64encode(bitmap.to_bytes()).decode("ascii")
    if len(encoded) <= MAX_MAP_LENGTH:
        return {"Upload-Bitmap": encoded}
    return {"Upload-Missing": _missing_ranges(bitmap)}


def _missing_ranges(bitmap: Bitmap) -> str:
    """As in `0-4,7,9-2000`: indices from 0, both ends inclusive, as many as MAX_MAP_LENGTH lets."""
    ranges = (
        str(start) if end - start == 1 else f"{start}-{end - 1}"
        for start, end, present in bitmap.runs()
        if not present
    )
    text = ",".join(ranges)
    if len(text) <= MAX_MAP_LENGTH:
        return text
    return text[: text.rindex(",", 0, MAX_MAP_LENGTH + 1)]
