"""Streams of known length, read in small pieces."""

from collections.abc import Iterator
from typing import Protocol

#: One read from the network. Small enough to stay in the processor's cache while it is hashed.
READ_SIZE = 64 * 1024


class ByteSource(Protocol):
    """Anything with `read(n)`, such as a WSGI input."""

    def read(self, size: int, /) -> bytes: ...


def pieces(source: ByteSource, length: int) -> Iterator[bytes]:
    """Yield what `source` gives, in reads of READ_SIZE, never more than `length` bytes.

    Ends early when the source does: a cut connection reads as a plain end, so the caller must
    compare lengths.
    """
    remaining = length
    while remaining > 0:
        piece = source.read(min(READ_SIZE, remaining))
        if not piece:
            return
        remaining -= len(piece)
        yield piece


def drain(source: ByteSource, limit: int) -> None:
    """Read and drop at most `limit` bytes, so that a refusal can reach a client still sending."""
    for _ in pieces(source, limit):
        pass
