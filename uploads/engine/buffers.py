"""The memory of bodies: one pool per process, reused, with staging behind it (P8).

Fresh memory for each chunk costs a page fault for every 4 KiB; a reused buffer costs nothing.
"""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Protocol

from uploads import conf
from uploads.errors import StorageUnavailable
from uploads.storage import Incoming, StagedFile

#: Outside the pool, for as long as a spilled chunk is copied.
_COPY_SIZE = 128 * 1024


class BufferPool:
    """At most `count` buffers of `size` bytes, made when first needed and kept."""

    def __init__(self, size: int, count: int) -> None:
        self.size = size
        self._left = count
        self._free: list[bytearray] = []
        self._lock = threading.Lock()

    def take(self) -> bytearray | None:
        """A buffer, or None when all are in use. Never waits."""
        with self._lock:
            if self._free:
                return self._free.pop()
            if not self._left:
                return None
            self._left -= 1
        return bytearray(self.size)

    def give_back(self, buffer: bytearray) -> None:
        with self._lock:
            self._free.append(buffer)


@cache
def _pool(size: int, count: int) -> BufferPool:
    return BufferPool(size, count)


def get_pool() -> BufferPool:
    """This process's pool: buffers of the default chunk size, as many as the memory allows."""
    config = conf.current()
    return _pool(config.chunk_size, config.memory_pool // config.chunk_size)


class Body(Protocol):
    """All bytes of one chunk, before they touch the staged file (P2)."""

    def write(self, piece: bytes) -> None:
        """Append; the caller bounds the sum by the length it asked for."""

    def copy_to(self, data: StagedFile, offset: int) -> None:
        """Write all of it into the staged file."""


class _PooledBody:
    def __init__(self, buffer: bytearray, incoming: Incoming) -> None:
        self._view = memoryview(buffer)
        self._incoming = incoming
        self._length = 0

    def write(self, piece: bytes) -> None:
        end = self._length + len(piece)
        self._view[self._length : end] = piece
        self._length = end
        self._incoming.touch()

    def copy_to(self, data: StagedFile, offset: int) -> None:
        data.write_at(offset, self._view[: self._length])


class _SpilledBody:
    def __init__(self, incoming: Incoming) -> None:
        self._incoming = incoming
        self._length = 0

    def write(self, piece: bytes) -> None:
        self._incoming.write(piece)
        self._length += len(piece)

    def copy_to(self, data: StagedFile, offset: int) -> None:
        buffer = memoryview(bytearray(min(_COPY_SIZE, self._length)))
        done = 0
        while done < self._length:
            count = self._incoming.read_into(done, buffer[: self._length - done])
            if not count:
                raise StorageUnavailable("The spilled chunk was cut short. Send it again.")
            data.write_at(offset + done, buffer[:count])
            done += count


@contextmanager
def open_body(incoming: Incoming, length: int) -> Iterator[Body]:
    """Room for a chunk of `length` bytes: a buffer of the pool, or the file `incoming`."""
    pool = get_pool()
    with ExitStack() as stack:
        buffer = pool.take() if length <= pool.size else None
        if buffer is None:
            yield _SpilledBody(incoming)
            return
        stack.callback(pool.give_back, buffer)
        yield _PooledBody(buffer, incoming)
