"""Request bodies: bounded before they are read, streamed, and never all threads at once."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from django.http import HttpRequest
from django.http.request import UnreadablePostError

from uploads import conf
from uploads.core.bodies import drain
from uploads.core.plan import MIB
from uploads.engine.database import let_go_of_databases, let_go_unless_few
from uploads.engine.room import check_room
from uploads.errors import (
    InvalidRequest,
    LengthMismatch,
    LengthRequired,
    TooLarge,
    Unavailable,
    UnsupportedMedia,
)
from uploads.storage import Scratch

#: A handshake is a few hundred bytes; nothing that fits here can hurt.
MAX_JSON_BYTES = 64 * 1024
#: How much of an unread body is taken in before a refusal, so that the client reads the answer
#: instead of an error on its own send.
MAX_DRAIN_BYTES = 8 * MIB
#: Threads that may be kept by clients that were refused and send on, or stall.
MAX_DRAINS = 8

#: The disk is asked for room again after so many bytes.
_LOOK_BYTES = 8 * MIB
_NOT_JSON = "The body is not valid JSON in UTF-8."

_drains = threading.BoundedSemaphore(MAX_DRAINS)


@cache
def _slots(count: int) -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(count)


def _reader_slots() -> threading.BoundedSemaphore:
    return _slots(conf.current().max_readers)


@contextmanager
def reader_slot() -> Iterator[None]:
    """One of the bounded number of threads that may wait for bodies. Raises Unavailable.

    Who waits for the network holds nothing that others need (P5).
    """
    slots = _reader_slots()
    if not slots.acquire(blocking=False):
        raise Unavailable(
            "The server is taking in as many bodies as it can. Nothing was read: send the same "
            "request again shortly."
        )
    try:
        let_go_unless_few()
        yield
    finally:
        slots.release()


def content_length(request: HttpRequest) -> int:
    """The declared length of the body in bytes. Raises LengthRequired or InvalidRequest."""
    declared = request.META.get("CONTENT_LENGTH") or ""
    if not declared:
        raise LengthRequired(
            "Send a Content-Length: the length is checked before the body is read."
        )
    if not (declared.isascii() and declared.isdigit() and len(declared) <= 18):
        raise InvalidRequest("Content-Length must be a number of bytes.")
    return int(declared)


class ScratchSink:
    """Takes bytes to the end of `scratch`, and looks for room on its disk as they come.

    One look beforehand is not enough: others fill the disk meanwhile, as much as each was granted.
    """

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch
        self._looked = 0
        #: Bytes taken.
        self.length = 0

    def write(self, piece: bytes) -> None:
        """Raises StorageFull or StorageUnavailable."""
        if self.length - self._looked >= _LOOK_BYTES:
            check_room(len(piece))
            self._looked = self.length
        self._scratch.write(piece)
        self.length += len(piece)


class ScratchSource:
    """A source of the bytes of `scratch` from `offset`."""

    def __init__(self, scratch: Scratch, offset: int) -> None:
        self._scratch = scratch
        self._offset = offset

    def read(self, size: int, /) -> bytes:
        piece = self._scratch.read_at(self._offset, size)
        self._offset += len(piece)
        return piece


class WholeForm:
    """A form of `length` bytes as a parser reads it.

    A cut connection reads as a plain end, which to a parser is the end of whatever it is reading.
    Here it raises LengthMismatch.
    """

    def __init__(self, request: HttpRequest, length: int) -> None:
        self._request = request
        self._length = length
        self._count = 0

    def read(self, size: int, /) -> bytes:
        piece = self._request.read(size)
        self._count += len(piece)
        if size and not piece and self._count < self._length:
            raise LengthMismatch(
                f"The form ended after {self._count} of {self._length} bytes. Nothing was changed: "
                "send it again, whole.",
                expected=self._length,
                actual=self._count,
            )
        return piece


def drain_unread(request: HttpRequest) -> None:
    """Take in what a refused client is still sending, within bounds of bytes and of threads."""
    if "100-continue" in request.headers.get("Expect", "") and not _is_begun(request):
        # It waits to be asked for the body (RFC 9110, section 10.1.1), and to read is to ask.
        return
    if not _drains.acquire(blocking=False):
        return
    try:
        # A body of unknown length (chunked) is one that Django takes for empty.
        chunked = "chunked" in request.headers.get("Transfer-Encoding", "").lower()
        terminated = request.META.get("wsgi.input_terminated")
        source = request.META["wsgi.input"] if chunked and terminated else request
        let_go_of_databases()
        drain(source, MAX_DRAIN_BYTES)
    except (OSError, UnreadablePostError):
        pass  # The client has gone: there is nobody to answer.
    finally:
        _drains.release()


def _is_begun(request: HttpRequest) -> bool:
    """Whether anything of the body was read."""
    return bool(getattr(request, "_read_started", False))


def read_json(request: HttpRequest) -> dict[str, Any]:
    """The JSON object in the body; an absent body is an empty one.

    Raises UnsupportedMedia, TooLarge or InvalidRequest.
    """
    if not request.META.get("CONTENT_LENGTH") and "Transfer-Encoding" not in request.headers:
        return {}
    length = content_length(request)
    if length == 0:
        return {}
    check_is_json(request)
    return parse_object(decode_text(read_body(request, MAX_JSON_BYTES)))


def read_body(request: HttpRequest, limit: int) -> bytes:
    """A small body as a whole, refused before it is read if it has more than `limit` bytes.

    Raises LengthRequired, TooLarge, or InvalidRequest for one that was cut short.
    """
    length = content_length(request)
    if length > limit:
        raise TooLarge(f"This body may have {limit} bytes.", limit=limit)
    with reader_slot():
        body = request.read(length)
    if len(body) < length:
        raise InvalidRequest(f"The body ended after {len(body)} of {length} bytes.")
    return body


def check_is_json(request: HttpRequest) -> None:
    """Raise UnsupportedMedia unless the body is said to be JSON."""
    if request.content_type != "application/json":
        raise UnsupportedMedia("Send JSON, with `Content-Type: application/json`.")


def decode_text(body: bytes) -> str:
    """The text of a JSON body. Raises InvalidRequest."""
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidRequest(_NOT_JSON) from error


def parse_object(text: str) -> dict[str, Any]:
    """The JSON object that `text` is. Raises InvalidRequest, also for a key that comes twice."""
    try:
        value = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_no_key_twice)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(_NOT_JSON) from error
    if not isinstance(value, dict):
        raise InvalidRequest("The body must be a JSON object.")
    return value


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Which of two values counts differs from parser to parser: what is meant is not known."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise InvalidRequest("The body is refused: an object in it has a key twice.")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
