"""The chunk plan: how a file of a given size is cut into numbered chunks.

Chunks are numbered from 0 and all have `chunk_size` bytes but the last, which may be shorter.
"""

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB

#: Below this, requests cost more than bytes; above it, a cut connection loses too much.
MIN_CHUNK_SIZE = 256 * KIB
MAX_CHUNK_SIZE = 64 * MIB
#: Bounds the bitmap (1,250 bytes), the rows of a session and the list of missing chunks.
MAX_CHUNKS = 10_000
#: Chunk sizes grow in these steps, so that offsets stay aligned to file system blocks.
CHUNK_SIZE_STEP = 256 * KIB


def grown_chunk_size(size: int, wanted: int) -> int:
    """The chunk size for a file of `size` bytes: `wanted`, or more where the file needs it.

    Grows in steps of `CHUNK_SIZE_STEP` (possibly past `MAX_CHUNK_SIZE`, which bounds only what a
    client may ask for) until the file has at most `MAX_CHUNKS` chunks.
    """
    needed = -(-size // MAX_CHUNKS)
    if needed <= wanted:
        return wanted
    return -(-needed // CHUNK_SIZE_STEP) * CHUNK_SIZE_STEP


@dataclass(frozen=True, slots=True)
class ChunkPlan:
    """How `size` bytes are cut. `size` >= 0 and `chunk_size` >= 1, both in bytes."""

    size: int
    chunk_size: int

    @property
    def total(self) -> int:
        return -(-self.size // self.chunk_size)

    def has(self, index: int) -> bool:
        return 0 <= index < self.total

    def offset(self, index: int) -> int:
        return index * self.chunk_size

    def length(self, index: int) -> int:
        """Bytes of chunk `index`, which must be in the plan."""
        return min(self.chunk_size, self.size - self.offset(index))

    def bytes_in(self, count: int, *, with_last: bool) -> int:
        """Bytes of `count` different chunks, of which the last chunk of the file may be one."""
        if not with_last:
            return count * self.chunk_size
        return (count - 1) * self.chunk_size + self.length(self.total - 1)
