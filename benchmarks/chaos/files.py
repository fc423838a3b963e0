"""Files that are made up as they are sent: neither memory nor disk holds them."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from random import Random

from uploads.core.plan import ChunkPlan

#: Bytes of a stream that a client sends at a time.
PIECE = 64 * 1024


@dataclass(frozen=True)
class MadeUpFile:
    """Random bytes that the same `seed` gives again, cut into chunks."""

    seed: str
    size: int
    chunk_size: int

    @property
    def plan(self) -> ChunkPlan:
        return ChunkPlan(self.size, self.chunk_size)

    def chunk(self, index: int) -> bytes:
        return Random(f"{self.seed}/{index}").randbytes(self.plan.length(index))

    def slice(self, first: int, end: int) -> bytes:
        """The bytes from `first` up to `end`, exclusive."""
        indices = range(first // self.chunk_size, -(-end // self.chunk_size))
        whole = b"".join(self.chunk(index) for index in indices)
        start = first - indices.start * self.chunk_size
        return whole[start : start + end - first]

    def pieces(self, first: int, end: int) -> Iterator[bytes]:
        """The same as `slice`, a little at a time."""
        for index in range(first // self.chunk_size, -(-end // self.chunk_size)):
            begin = index * self.chunk_size
            chunk = self.chunk(index)[max(0, first - begin) : end - begin]
            for start in range(0, len(chunk), PIECE):
                yield chunk[start : start + PIECE]

    @cached_property
    def sha256(self) -> str:
        return self._digest("sha256")

    @cached_property
    def md5(self) -> str:
        return self._digest("md5")

    def _digest(self, algorithm: str) -> str:
        digest = hashlib.new(algorithm, usedforsecurity=False)
        for index in range(self.plan.total):
            digest.update(self.chunk(index))
        return digest.hexdigest()
