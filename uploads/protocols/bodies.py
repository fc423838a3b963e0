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
from uploads.engine.database import let_go_of_databases
from uploads.errors import (
    InvalidRequest,
    LengthMismatch,
    LengthRequired,
    TooLarge,
    Unavailable,
    UnsupportedMedia,
)

#: A handshake is a few hundred bytes; nothing that fits here can hurt.
MAX_JSON_BYTES = 64 * 1024
#: How much of an unread body is taken in before a refusal, so that the client reads the answer
#: instead of an error on its own send.
MAX_DRAIN_BYTES = 8 * MIB
#: Threads that may be kept by clients that were refused and send on, or stall.
MAX_DRAINS = 8

_drains = threading.BoundedSemaphore(MAX_DRAINS)


@cache
def _slots(count: int) -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(count)


def _reader_slots() -> threading.BoundedSemaphore:
    return _slots(conf.current().max_readers)


@contextmanager
def reader_slot() -> Iterator[None]:
    """One of the bounded number of threads that may wait for bodies. Raises Unavailable.

    The database is let go of first: who waits for the network holds nothing that others need (P5).
    """
    slots = _reader_slots()
    if not slots.acquire(blocking=False):
        raise Unavailable(
            "The server is taking in as many bodies as it can. Nothing was read: send the same "
            "request again shortly."
        )
    try:
        let_go_of_databases()
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


def read_json(request: HttpRequest) -> dict[str, Any]:
    """The JSON object in the body; an absent body is an empty one.

    Raises UnsupportedMedia, TooLarge or InvalidRequest.
    """
    if not request.META.get("CONTENT_LENGTH") and "Transfer-Encoding" not in request.headers:
        return {}
    length = content_length(request)
    if length == 0:
        return {}
    if request.content_type != "application/json":
        raise UnsupportedMedia("Send JSON, with `Content-Type: application/json`.")
    if length > MAX_JSON_BYTES:
        raise TooLarge(f"The JSON body may have {MAX_JSON_BYTES} bytes.", limit=MAX_JSON_BYTES)
    with reader_slot():
        body = request.read(length)
    if len(body) < length:
        raise InvalidRequest(f"The body ended after {len(body)} of {length} bytes.")
    return parse_object(body)


def parse_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("The body is not valid JSON in UTF-8.") from error
    if not isinstance(value, dict):
        raise InvalidRequest("The body must be a JSON object.")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
