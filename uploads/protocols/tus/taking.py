"""The body of a PATCH, or of a creation with upload: where it goes, and what is checked before."""

from hmac import compare_digest

from django.http import HttpRequest

from uploads import conf
from uploads.core.bodies import ByteSource, pieces
from uploads.engine.appending import append, check_append
from uploads.engine.background import enqueue_wholes_of
from uploads.engine.completing import complete
from uploads.engine.room import check_room, prepared_store
from uploads.engine.sizing import declare_size
from uploads.engine.transitions import refusal
from uploads.errors import (
    DigestMismatch,
    LengthMismatch,
    LengthRequired,
    OffsetMismatch,
    TooLarge,
)
from uploads.models import FileSession, Role, SessionStatus
from uploads.protocols.bodies import ScratchSink, ScratchSource, content_length, reader_slot
from uploads.protocols.waiting import wait_for_verdict

from .headers import ALGORITHMS, Checksum

_ENDED_WELL = {SessionStatus.ACTIVE, SessionStatus.ASSEMBLING, SessionStatus.COMPLETED}


class Body:
    """The body of a request. Its length in bytes is None where it is sent in chunks of HTTP's."""

    def __init__(self, request: HttpRequest) -> None:
        self._chunked = "chunked" in request.headers.get("Transfer-Encoding", "").lower()
        if self._chunked and not request.META.get("wsgi.input_terminated"):
            raise LengthRequired(
                "This server cannot tell where a body without Content-Length ends. Send one."
            )
        self.length = None if self._chunked else _length(request)
        # Django takes a body without a length for an empty one.
        self.source: ByteSource = request.META["wsgi.input"] if self._chunked else request

    def at_most(self, room: int) -> int:
        """How many bytes of it are to be read where there is room for so many."""
        return room if self.length is None else self.length

    def check_ended(self, end: int, what_becomes: str) -> None:
        """Raise TooLarge if a body of unknown length goes on beyond byte `end` of the upload, where
        its room ends. `what_becomes` of the bytes before that is a sentence.
        """
        if self.length is None and self.source.read(1):
            raise TooLarge(
                f"The body goes on beyond byte {end}, which is all that this upload has room for. "
                f"{what_becomes}",
                limit=end,
            )


def _length(request: HttpRequest) -> int:
    """Without a word about it there is no body (RFC 9112, section 6.3): browsers send none with a
    PATCH that has nothing but an `Upload-Length` to tell.
    """
    return content_length(request) if request.META.get("CONTENT_LENGTH") else 0


def take(
    session: FileSession, offset: int, body: Body, size: int | None, checksum: Checksum | None
) -> FileSession:
    """Append the body at `offset`; the session afterwards, verified if that was the last of it.

    `size` is that of the whole upload where it is declared with this body. Raises what `append` and
    `declare_size` raise, and DigestMismatch, which changes nothing.
    """
    if session.status != SessionStatus.ACTIVE and _is_nothing_new(session, offset, body, size):
        return session
    _check_place(session, offset, body, size)
    if checksum is None:
        session = _streamed(session, offset, body, size)
    else:
        session = _checked(session, offset, body, size, checksum)
    return _ended(session)


def _is_nothing_new(session: FileSession, offset: int, body: Body, size: int | None) -> bool:
    """Whether an upload that is all in is told once more that there is no more to come."""
    return (
        session.status in {SessionStatus.ASSEMBLING, SessionStatus.COMPLETED}
        and offset == session.size
        and size in {None, session.size}
        and body.length == 0
    )


def _check_place(session: FileSession, offset: int, body: Body, size: int | None) -> None:
    """Before anything is read, or declared."""
    if session.status in {SessionStatus.ASSEMBLING, SessionStatus.COMPLETED}:
        if offset != session.offset:
            raise OffsetMismatch(
                f"This upload has all of its {session.offset} bytes. Nothing was changed.",
                offset=session.offset,
            )
        raise refusal(session)
    check_append(session, offset, body.length or 0)
    if size is not None and offset + (body.length or 0) > size:
        raise LengthMismatch(
            f"The file is declared to have {size} bytes, and this body would end at "
            f"{offset + (body.length or 0)}. Nothing was changed.",
            expected=size,
        )


def _streamed(session: FileSession, offset: int, body: Body, size: int | None) -> FileSession:
    if size is not None:
        session = declare_size(session, size)
    room = _room(session, offset)
    length = body.at_most(room)
    with reader_slot():
        # It has ended, if with the size it turned out to be all in.
        if session.status == SessionStatus.ACTIVE:
            session = append(session, offset, body.source, length)
        body.check_ended(offset + room, "What came before is kept.")
    _check_all_came(session, offset, body.length)
    return session


def _checked(
    session: FileSession, offset: int, body: Body, size: int | None, checksum: Checksum
) -> FileSession:
    """All of the body is here, and right, before any of it counts."""
    # Twice: for a moment the bytes are in the scratch file and in staging.
    check_room(2 * (body.length or 0))
    with prepared_store().scratch() as scratch:
        length = _spill(session, offset, body, checksum, ScratchSink(scratch))
        if size is not None:
            session = declare_size(session, size)
        if length:
            session = append(session, offset, ScratchSource(scratch, 0), length)
    return session


def _spill(
    session: FileSession, offset: int, body: Body, checksum: Checksum, sink: ScratchSink
) -> int:
    """Its length in bytes. Raises LengthMismatch, TooLarge or DigestMismatch."""
    hasher = ALGORITHMS[checksum.algorithm]()
    room = _room(session, offset)
    with reader_slot():
        for piece in pieces(body.source, body.at_most(room)):
            sink.write(piece)
            hasher.update(piece)
        body.check_ended(offset + room, "Of a body with a checksum nothing is kept.")
    if body.length is not None and sink.length < body.length:
        raise LengthMismatch(
            f"The body ended after {sink.length} of its {body.length} bytes. Of a body with a "
            "checksum nothing is kept: send it again, whole.",
            expected=body.length,
            actual=sink.length,
        )
    actual = hasher.digest()
    if not compare_digest(actual, checksum.value):
        raise DigestMismatch(
            f"The {checksum.algorithm} of the bytes that arrived is {actual.hex()}, declared was "
            f"{checksum.value.hex()}. Nothing was changed: send them again.",
            algorithm=checksum.algorithm,
            expected=checksum.value.hex(),
            actual=actual.hex(),
        )
    return sink.length


def _room(session: FileSession, offset: int) -> int:
    """Bytes that may come after `offset`."""
    if session.size is not None:
        return max(0, session.size - offset)
    return max(0, min(session.plan.size, conf.current().max_file_size) - offset)


def _check_all_came(session: FileSession, offset: int, length: int | None) -> None:
    if length is not None and session.offset < offset + length:
        raise LengthMismatch(
            f"The body ended early: {session.offset - offset} of its {length} bytes came and were "
            f"kept. The upload goes on at offset {session.offset}: send the bytes from there on.",
            expected=length,
            actual=session.offset - offset,
            offset=session.offset,
        )


def _ended(session: FileSession) -> FileSession:
    """Where all is in, what follows from that. Raises the refusal of one that fails now."""
    if session.role == Role.PART:
        if session.is_whole:
            enqueue_wholes_of(session.pk)
        return session
    if session.status == SessionStatus.ACTIVE and session.is_whole:
        # Begun over another protocol: that these were the last bytes says that they were all.
        session = complete(session)
    session = wait_for_verdict(session)
    if session.status not in _ENDED_WELL:
        raise refusal(session)
    return session
