"""Bytes to send, and sources that give them the way a network would."""

import base64
import hashlib
import io
import random
import threading
from collections.abc import Callable

from blake3 import blake3

from uploads.core.plan import KIB

#: The smallest chunk that the protocol lets a client ask for.
SMALL_CHUNK = 256 * KIB
#: For what comes at once, but on a busy machine later.
WAIT_SECONDS = 100.0


def payload(size: int, seed: int = 0) -> bytes:
    """The same bytes for the same arguments, and other bytes for another seed."""
    return random.Random(seed).randbytes(size)


def cut(data: bytes, chunk_size: int) -> list[bytes]:
    return [data[start : start + chunk_size] for start in range(0, len(data), chunk_size)]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def content_digest(data: bytes, algorithm: str = "sha-256") -> str:
    """The value of a Content-Digest header (RFC 9530)."""
    value = hashlib.sha256(data).digest() if algorithm == "sha-256" else blake3(data).digest()
    return f"{algorithm}=:{base64.b64encode(value).decode()}:"


def flipped(data: bytes, position: int = 0) -> bytes:
    """`data` with one byte changed."""
    return data[:position] + bytes([data[position] ^ 0xFF]) + data[position + 1 :]


class InPieces:
    """Gives at most `size` bytes at a time, as a slow network does."""

    def __init__(self, data: bytes, size: int) -> None:
        self._body = io.BytesIO(data)
        self._size = size

    def read(self, size: int, /) -> bytes:
        return self._body.read(min(size, self._size))


class StalledSource:
    """Gives half of its bytes, then nothing until `release` is set; `stalled` says it waits."""

    def __init__(self, data: bytes) -> None:
        self._body = io.BytesIO(data)
        self._half = len(data) // 2
        self.stalled = threading.Event()
        self.release = threading.Event()

    def read(self, size: int, /) -> bytes:
        before = self._half - self._body.tell()
        if before > 0:
            return self._body.read(min(size, before))
        self.stalled.set()
        if not self.release.wait(WAIT_SECONDS):
            raise TimeoutError("nobody released the stalled body")
        return self._body.read(size)


class InterruptedSource:
    """Calls `action` once between its first half and its second."""

    def __init__(self, data: bytes, action: Callable[[], object]) -> None:
        self._body = io.BytesIO(data)
        self._half = len(data) // 2
        self._action: Callable[[], object] | None = action

    def read(self, size: int, /) -> bytes:
        before = self._half - self._body.tell()
        if before > 0:
            return self._body.read(min(size, before))
        if self._action:
            action, self._action = self._action, None
            action()
        return self._body.read(size)
