"""Files that are made up as they are sent: neither memory nor disk holds them."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from random import Random

from uploads.core.plan import ChunkPlan


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

    @cached_property
    def sha256(self) -> str:
        digest = hashlib.sha256()
        for index in range(self.plan.total):
            digest.update(self.chunk(index))
        return digest.hexdigest()
