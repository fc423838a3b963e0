"""The memory of bodies: one pool per process, reused, with staging behind it (P8).

The workers of one server have equal shares of its memory.

Fresh memory for each chunk costs a page fault for every 4 KiB; a reused buffer costs nothing. A
stalled body gives its buffer up to one that arrives.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

from uploads import conf
from uploads.errors import StorageFull, StorageUnavailable
from uploads.storage import Incoming, StagedFile, Tail

#: A body without a new byte for this long gives its buffer up to another that wants one.
STALLED_SECONDS = 10.0
#: Outside the pool, for as long as a spilled chunk is copied.
_COPY_SIZE = 128 * 1024


class Body:
    """All bytes of one chunk, before they touch the staged file (P2): in a buffer, or spilled.

    The lock is held while bytes are moved, never while they are awaited from the network (P5):
    another thread may have the buffer spilled meanwhile.
    """

    def __init__(self, incoming: Incoming, buffer: bytearray | None) -> None:
        self._incoming = incoming
        self._buffer = buffer
        self._length = 0
        self._was_asked = False
        self._lock = threading.Lock()
        #: When the last bytes came, on the monotonic clock.
        self.news = time.monotonic()

    def write(self, piece: bytes) -> None:
        """Append; the caller bounds the sum by the length it asked for."""
        with self._lock:
            end = self._length + len(piece)
            if self._buffer is None:
                self._incoming.write(piece)
            else:
                memoryview(self._buffer)[self._length : end] = piece
                self._incoming.touch()
            self._length = end
            self.news = time.monotonic()

    def copy_to(self, target: StagedFile | Tail, offset: int, start: int = 0) -> None:
        """Write what has come, from its byte `start` on, into a file at `offset`."""

        def write(part: memoryview) -> None:
            nonlocal offset
            target.write_at(offset, part)
            offset += len(part)

        self.feed(write, start)

    def feed(self, take: Callable[[memoryview], object], start: int = 0) -> None:
        """Give what has come, from its byte `start` on, to `take`, in parts not to be kept."""
        with self._lock:
            if self._buffer is None:
                self._feed_spilled(take, start)
            elif start < self._length:
                take(memoryview(self._buffer)[start : self._length])

    def give_up(self) -> bytearray | None:
        """For another thread: the buffer, once its bytes are spilled; None to leave it alone."""
        if not self._lock.acquire(blocking=False):
            return None  # Its bytes are being moved: it has not stalled.
        try:
            stalled = time.monotonic() - self.news >= STALLED_SECONDS
            return self._spilled() if stalled and not self._was_asked else None
        finally:
            self._lock.release()

    def end(self) -> bytearray | None:
        """The buffer, if it still has one; nothing is done with its bytes any more."""
        with self._lock:
            buffer, self._buffer = self._buffer, None
            return buffer

    def _spilled(self) -> bytearray | None:
        if self._buffer is None:
            return None
        # Once only: a write that failed may have left a part in the file, and the next would append
        # to it. Then the buffer goes on to be what counts.
        self._was_asked = True
        try:
            self._incoming.write(memoryview(self._buffer)[: self._length])
        except (StorageFull, StorageUnavailable):
            return None
        buffer, self._buffer = self._buffer, None
        return buffer

    def _feed_spilled(self, take: Callable[[memoryview], object], start: int) -> None:
        buffer = memoryview(bytearray(min(_COPY_SIZE, self._length - start)))
        while start < self._length:
            count = self._incoming.read_into(start, buffer[: self._length - start])
            if not count:
                raise StorageUnavailable("The spilled chunk was cut short. Send it again.")
            take(buffer[:count])
            start += count


class BufferPool:
    """At most `count` buffers of `size` bytes, made when first needed and kept."""

    def __init__(self, size: int, count: int) -> None:
        self.size = size
        self._left = count
        self._free: list[bytearray] = []
        self._bodies: set[Body] = set()
        self._lock = threading.Lock()

    def take(self) -> bytearray | None:
        """A buffer, unused or of a stalled body; None when all are in use. Never awaits bytes."""
        buffer = self._unused()
        return self._given_up() if buffer is None else buffer

    def give_back(self, buffer: bytearray) -> None:
        with self._lock:
            self._free.append(buffer)

    def join(self, body: Body) -> None:
        """From now on `body` may be asked for its buffer."""
        with self._lock:
            self._bodies.add(body)

    def leave(self, body: Body) -> None:
        """Take the buffer of `body` back, if it still has one."""
        with self._lock:
            self._bodies.discard(body)
        buffer = body.end()
        if buffer is not None:
            self.give_back(buffer)

    def _unused(self) -> bytearray | None:
        with self._lock:
            if self._free:
                return self._free.pop()
            if not self._left:
                return None
            self._left -= 1
        return bytearray(self.size)

    def _given_up(self) -> bytearray | None:
        with self._lock:
            bodies = sorted(self._bodies, key=lambda body: body.news)
        # Not under the pool's lock: a spill takes as long as the disk does.
        for body in bodies:
            buffer = body.give_up()
            if buffer is not None:
                return buffer
        return None


_sharers = 1


def share_memory(processes: int) -> None:
    """So many have the memory together. For a server's start, before the first body."""
    global _sharers  # noqa: PLW0603 (of the process, as the pool is)
    _sharers = processes


@cache
def _pool(size: int, count: int) -> BufferPool:
    return BufferPool(size, count)


def get_pool() -> BufferPool:
    """This process's pool: buffers of the default chunk size, as many as its memory allows."""
    config = conf.current()
    share = config.memory_pool // _sharers
    return _pool(config.chunk_size, max(1, share // config.chunk_size))


@contextmanager
def open_body(incoming: Incoming, length: int) -> Iterator[Body]:
    """Room for a chunk of `length` bytes: a buffer of the pool, or the file `incoming`."""
    pool = get_pool()
    buffer = pool.take() if length <= pool.size else None
    body = Body(incoming, buffer)
    if buffer is not None:
        pool.join(body)
    try:
        yield body
    finally:
        pool.leave(body)
