"""The verifier's one pass over the bytes as they were stored.

Each chunk is compared with its fingerprint while the SHA-256 of the whole is computed. One pass can
go on where another ended, so that it may trail an upload that is still arriving (`following`).
"""

import hashlib
from collections.abc import Callable, Mapping

from uploads.core.digests import fingerprint
from uploads.core.plan import MIB, ChunkPlan
from uploads.storage import StagedFile

from .reading import pieces_of

#: Large enough that system calls cost nothing, small enough to stay in the cache for two hashes.
_READ_SIZE = MIB // 2


class Pass:
    """One reading of `data` from its byte `start`, and from chunk `first` of the plan on.

    `fingerprints` has the BLAKE3 of every chunk that is read. What `sha256` was given before, other
    passes have read.
    """

    def __init__(
        self,
        data: StagedFile,
        plan: ChunkPlan,
        fingerprints: Mapping[int, bytes],
        *,
        start: int = 0,
        first: int = 0,
        sha256: "hashlib._Hash | None" = None,
    ) -> None:
        self._data = data
        self._plan = plan
        self._start = start
        self._fingerprints = fingerprints
        self._sha256 = sha256 or hashlib.sha256()
        self._buffer = memoryview(bytearray(min(_READ_SIZE, plan.chunk_size)))
        self._next = first
        #: Chunks read so far whose bytes differ from their fingerprint, ascending.
        self.damaged: list[int] = []

    def advance(self, end: int, on_chunk: Callable[[], None]) -> None:
        """Read the chunks up to `end`, exclusive, calling `on_chunk` after each."""
        while self._next < end:
            if self._read_chunk(self._next) != self._fingerprints.get(self._next):
                self.damaged.append(self._next)
            self._next += 1
            on_chunk()

    def sha256(self) -> str:
        """The SHA-256 of the whole file in hex, once all chunks are read."""
        if self._next != self._plan.total:
            raise ValueError("not all chunks are read yet")
        return self._sha256.hexdigest()

    def _read_chunk(self, index: int) -> bytes:
        offset, length = self._start + self._plan.offset(index), self._plan.length(index)
        chunk = fingerprint()
        # Of a file that is shorter than it should be, the fingerprint won't agree.
        for piece in pieces_of(self._data, offset, length, self._buffer):
            self._sha256.update(piece)
            chunk.update(piece)
        return chunk.digest()
