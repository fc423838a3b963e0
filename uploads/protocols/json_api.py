"""The JSON protocol: every body is a JSON object, a chunk is base64 within one. See docs/api.md.

Nothing in such a chunk can be used before all of it is there, and JSON is parsed in memory. So it
waits for the network in a scratch file, and only a few are in memory at once, however many come.
"""

import binascii
import io
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.urls import reverse

from uploads import conf
from uploads.core.bodies import pieces
from uploads.core.digests import Digest
from uploads.core.plan import MAX_CHUNKS, MIB
from uploads.engine import completing, opening, receiving, removing
from uploads.engine.access import get_present_session, get_session
from uploads.engine.recovery import recover_if_stuck
from uploads.engine.room import check_room, prepared_store
from uploads.engine.transitions import refusal
from uploads.errors import (
    ChunksMissing,
    InvalidRequest,
    LengthMismatch,
    TooLarge,
    UploadError,
    WrongState,
)
from uploads.models import FileSession, SessionStatus
from uploads.storage import Scratch

from . import fields
from .bodies import (
    ScratchSink,
    check_is_json,
    content_length,
    decode_text,
    parse_object,
    read_json,
    reader_slot,
)
from .endpoint import endpoint
from .native import session_body
from .request_log import about
from .scopes import ENDING, SEEING_ONE
from .turns import Turns
from .waiting import wait_for_verdict

#: The largest chunk that is taken as JSON: a third more on the way, and all of it in memory.
MAX_CHUNK_BYTES = 8 * MIB
#: The largest file: its chunks don't grow beyond that.
MAX_FILE_BYTES = MAX_CHUNKS * MAX_CHUNK_BYTES
#: Four characters for three bytes, the last of them padded.
MAX_BASE64_BYTES = -(-MAX_CHUNK_BYTES // 3) * 4
#: The other fields are 200 bytes; but some programs write the / and the + of base64 as longer
#: escapes, each 32nd character on average.
MAX_OVERHEAD_BYTES = MIB
MAX_CHUNK_BODY_BYTES = MAX_BASE64_BYTES + MAX_OVERHEAD_BYTES
#: Values in the body of a chunk. It needs four; of a body full of `{},` each three bytes would
#: become sixty.
MAX_CHUNK_VALUES = 1000
#: Chunks that are in memory at once, per process. At its largest each takes twice its body: first
#: as bytes and as text, then as text and as the string in it. A chunk takes some 50 ms.
MAX_DECODING = 2

_decoding = threading.BoundedSemaphore(MAX_DECODING)
#: Of the places for decoding each person takes one at a time.
_turns = Turns()
#: All that makes something large does so in these threads. An allocator keeps for each thread a
#: part of what was freed there: of hundreds of the server's threads that would add up.
_decoders = ThreadPoolExecutor(MAX_DECODING, "uploads-decoder")

#: One character beyond ASCII makes all of Python's string two or four times as large. A chunk needs
#: none, and what stands beside it is short.
MAX_WIDE_BYTES = MIB
#: Such a character as JSON escapes it.
_WIDE_ESCAPE = re.compile(r"\\u(?!00[0-7])")

P = ParamSpec("P")
T = TypeVar("T")


@endpoint("POST")
def init(request: HttpRequest, user: AbstractBaseUser) -> HttpResponseBase:
    outcome, session = opening.open_session(user, _offer(read_json(request)))
    about(request, session=session)
    status = 201 if outcome == opening.Outcome.CREATED else 200
    return JsonResponse(_session_body(session), status=status)


@endpoint("POST")
def chunk(request: HttpRequest, user: AbstractBaseUser) -> HttpResponseBase:
    length = _announced_length(request)
    with prepared_store().scratch() as scratch, reader_slot():
        _spill(request, length, scratch)
        with _turns.of(user.pk), _decoding:
            receipt = _receive(request, user, _by_decoder(_parsed, scratch, length))
    return JsonResponse(
        {
            "upload_id": str(receipt.session.pk),
            "chunk_index": receipt.index,
            "duplicate": receipt.duplicate,
            "status": receipt.session.status,
            "progress": _progress(session_body(receipt.session)),
        }
    )


@endpoint("POST")
def complete(request: HttpRequest, user: AbstractBaseUser) -> HttpResponseBase:
    data = read_json(request)
    sha256 = fields.sha256(data, "file_hash")
    session = _session(request, user, data)
    with _missing_as_missing_chunks():
        session = completing.complete(session, sha256)
    session = wait_for_verdict(session)
    if session.status == SessionStatus.COMPLETED:
        return JsonResponse(_file_body(session))
    if session.status == SessionStatus.ASSEMBLING:
        return _still_verifying(session)
    raise _verdict(session)


@endpoint("POST", needs={"POST": ENDING})
def cancel(request: HttpRequest, user: AbstractBaseUser) -> HttpResponseBase:
    session = _session(request, user, read_json(request))
    ended = removing.cancel(session)
    if ended is None:
        return JsonResponse({"upload_id": str(session.pk), "status": SessionStatus.CANCELLED})
    if ended.status == SessionStatus.COMPLETED:
        own = reverse("uploads:session", kwargs={"session_id": ended.pk})
        raise WrongState(
            "This upload is complete already, and only an open one can be cancelled. To delete it, "
            f"send `DELETE {own}`.",
            state=ended.status,
        )
    raise refusal(ended)


@endpoint("GET", "HEAD", needs=SEEING_ONE)
def status(request: HttpRequest, user: AbstractBaseUser, upload_id: str) -> HttpResponseBase:
    session = get_present_session(user, fields.parse_session_id(upload_id))
    return JsonResponse(_session_body(recover_if_stuck(session)))


def _offer(data: dict[str, Any]) -> opening.Offer:
    size = fields.size(data, "total_size")
    chunk_size = fields.chunk_size(data, most=MAX_CHUNK_BYTES)
    config = conf.current()
    # What no protocol takes is refused by the engine, which names another limit.
    if MAX_FILE_BYTES < size <= config.max_file_size:
        raise TooLarge(
            f"This file has {size} bytes, for which chunks in JSON are too small: they have at "
            f"most {MAX_CHUNK_BYTES} bytes, a file {MAX_FILE_BYTES}. Send it in parts, beginning "
            f"with `POST {reverse('uploads:part-sessions')}`.",
            limit=MAX_FILE_BYTES,
        )
    return opening.Offer(
        filename=fields.filename(data),
        size=size,
        folder=fields.folder(data),
        sha256=fields.sha256(data, "file_hash"),
        resume_key=fields.resume_key(data),
        mime_type=fields.mime_type(data),
        chunk_size=chunk_size or min(config.chunk_size, MAX_CHUNK_BYTES),
    )


def _session(request: HttpRequest, user: AbstractBaseUser, data: dict[str, Any]) -> FileSession:
    session = get_session(user, fields.session_id(data, "upload_id"))
    about(request, session=session)
    return session


def _announced_length(request: HttpRequest) -> int:
    """The length of a chunk's body, refused before it is read if its headers tell enough."""
    length = content_length(request)
    check_is_json(request)
    if length > MAX_CHUNK_BODY_BYTES:
        raise TooLarge(
            f"This body has {length} bytes, at most {MAX_CHUNK_BODY_BYTES} are taken: a chunk of "
            f"{MAX_CHUNK_BYTES} bytes in base64, and {MAX_OVERHEAD_BYTES} bytes around it. Nothing "
            "was read: send a chunk of the `chunk_size` that was answered.",
            limit=MAX_CHUNK_BODY_BYTES,
        )
    # Twice: for a moment the bytes are in the scratch file and in staging.
    check_room(2 * length)
    return length


def _spill(request: HttpRequest, length: int, scratch: Scratch) -> None:
    sink = ScratchSink(scratch)
    for piece in pieces(request, length):
        sink.write(piece)
    if sink.length < length:
        raise LengthMismatch(
            f"The body ended after {sink.length} of {length} bytes. Nothing was changed: send it "
            "again, whole.",
            expected=length,
            actual=sink.length,
        )


def _receive(
    request: HttpRequest, user: AbstractBaseUser, data: dict[str, Any]
) -> receiving.Receipt:
    session = _session(request, user, data)
    index = fields.index(data, "chunk_index")
    declared = Digest("sha-256", bytes.fromhex(_checksum(data)))
    source = io.BytesIO(_decoded(data, session, index))
    return receiving.receive_chunk(session, index, source, [declared])


def _by_decoder(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `work` returns or raises. For who has a place of `_decoding`: so a thread is free."""
    return _decoders.submit(work, *args, **kwargs).result()


def _parsed(scratch: Scratch, length: int) -> dict[str, Any]:
    text = _text(scratch, length)
    if length > MAX_WIDE_BYTES and _WIDE_ESCAPE.search(text):
        raise _too_wide()
    # Each value but the first has a comma before it, or a bracket around it; and of brackets in
    # brackets the parser itself takes only so many.
    if text.count(",") >= MAX_CHUNK_VALUES:
        raise InvalidRequest("A chunk's body is a JSON object of a few fields; this has too many.")
    return parse_object(text)


def _text(scratch: Scratch, length: int) -> str:
    """In a function of its own, so that the bytes are freed before the text is parsed."""
    body = scratch.read_at(0, length)
    if length > MAX_WIDE_BYTES and not body.isascii():
        raise _too_wide()
    return decode_text(body)


def _too_wide() -> InvalidRequest:
    return InvalidRequest(
        f"A body of more than {MAX_WIDE_BYTES} bytes may hold ASCII characters only. Leave out "
        "what a chunk does not need."
    )


def _checksum(data: dict[str, Any]) -> str:
    checksum = fields.sha256(data, "checksum")
    if not checksum:
        raise InvalidRequest(
            "`checksum` is required: the SHA-256, in hex, of the chunk's bytes before base64.",
            field="checksum",
        )
    return checksum


def _decoded(data: dict[str, Any], session: FileSession, index: int) -> bytes:
    """The chunk's bytes. Takes their base64 out of `data`, so that it is freed.

    An index or a length that this session can't take is refused before anything is decoded.
    """
    _check_carried(session)
    text = data.pop("chunk_data", None)
    length = _decoded_length(text)
    receiving.check_chunk(session, index, length)
    try:
        # Not base64.b64decode: it would make bytes of the text first.
        decoded = _by_decoder(binascii.a2b_base64, text, strict_mode=True)
    except binascii.Error as error:
        raise _bad_base64() from error
    if len(decoded) != length:
        raise _bad_base64()  # Padding after what needed none, which the decoder drops.
    return decoded


def _check_carried(session: FileSession) -> None:
    """Raise TooLarge if its chunks, which another protocol has chosen, are too large for JSON."""
    if session.chunk_size > MAX_CHUNK_BYTES:
        raise TooLarge(
            f"This upload was begun with chunks of {session.chunk_size} bytes, and those in JSON "
            f"have at most {MAX_CHUNK_BYTES}. Send them as they are: `PUT "
            f"{session_body(session)['urls']['chunk']}`.",
            limit=MAX_CHUNK_BYTES,
        )


def _decoded_length(text: object) -> int:
    """How many bytes `text` will be, if it is base64. Raises InvalidRequest if it is none."""
    if not isinstance(text, str) or len(text) % 4 or not text.isascii():
        raise _bad_base64()
    # A line break looks like three bytes in every four: then the length would be called wrong.
    if any(space in text for space in " \r\n"):
        raise _bad_base64()
    return len(text) // 4 * 3 - text[-2:].count("=")


def _bad_base64() -> InvalidRequest:
    return InvalidRequest(
        "`chunk_data` must be a string of base64: the alphabet that has + and /, padded with =, "
        "without spaces or line breaks. Nothing was changed: encode the chunk anew.",
        field="chunk_data",
    )


@contextmanager
def _missing_as_missing_chunks() -> Iterator[None]:
    """The engine's refusal, in this protocol's word."""
    try:
        yield
    except ChunksMissing as error:
        missing = error.members["missing"]
        raise ChunksMissing(
            f"{len(missing)} chunks are missing. Send those named in `missing_chunks`, then "
            "complete again.",
            missing_chunks=missing,
        ) from error


def _verdict(session: FileSession) -> UploadError:
    """Why a session that was to be verified is not complete."""
    if session.status != SessionStatus.ACTIVE:
        return refusal(session)
    missing = session.bitmap.missing()
    return ChunksMissing(
        f"{len(missing)} chunks were found damaged on the server's disk. Send those named in "
        "`missing_chunks` once more, then complete again.",
        missing_chunks=missing,
    )


def _still_verifying(session: FileSession) -> JsonResponse:
    url = reverse("uploads:json-status", kwargs={"upload_id": str(session.pk)})
    headers = {"Location": url, "Retry-After": "1"}
    return JsonResponse({**_file_body(session), "status_url": url}, status=202, headers=headers)


def _file_body(session: FileSession) -> dict[str, Any]:
    """What `complete` answers: the file, without the way it came."""
    body = _session_body(session)
    names = ("upload_id", "status", "filename", "total_size", "file_hash", "file_path")
    return {name: body[name] for name in names}


def _session_body(session: FileSession) -> dict[str, Any]:
    """The session as `init` and `status` show it: the native answer in this protocol's words."""
    native = session_body(session)
    completed = session.status == SessionStatus.COMPLETED
    body = {
        "upload_id": native["id"],
        "status": native["state"],
        "filename": native["filename"],
        "total_size": native["size"],
        "mime_type": session.mime_type or None,
        "file_hash": native["sha256"],
        "chunk_size": native["chunk_size"],
        "total_chunks": native["total_chunks"],
        "expires_at": native["expires_at"],
        "progress": _progress(native),
        "file_path": native["urls"]["content"] if completed else None,
    }
    return {**body, "error": native["error"]} if "error" in native else body


def _progress(native: dict[str, Any]) -> dict[str, Any]:
    return {
        "received_chunks": native["received_chunks"],
        "missing_chunks": native["missing"],
        "percentage": native["progress"],
    }
