"""The file that is sent: as long as one likes, in the memory of one chunk.

Every chunk is the same block of random bytes behind a stamp of its own, so no two chunks and no two
files are alike, and what stands of them in memory is little. All digests are of the real bytes, and
computed before anything is timed.
"""

import base64
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from blake3 import blake3

from .figures import MIB

CHUNK = 5 * MIB
STAMP = 16
#: Longer than any chunk.
_BLOCK = memoryview(os.urandom(8 * MIB))

Parts = tuple[bytes | memoryview, ...]


@dataclass(frozen=True)
class Chunk:
    index: int
    offset: int
    parts: Parts

    @property
    def length(self) -> int:
        return sum(len(part) for part in self.parts)

    def joined(self) -> bytes:
        return b"".join(self.parts)


class Payload:
    """A file of `size` bytes in chunks of `chunk_size` (at most 8 MiB)."""

    def __init__(self, size: int, chunk_size: int = CHUNK) -> None:
        self.size = size
        self.chunk_size = chunk_size
        self.name = f"payload-{os.urandom(4).hex()}.bin"
        self._stamp = os.urandom(STAMP - 8)
        self.chunks = [self._chunk(index) for index in range(-(-size // chunk_size))]

    def _chunk(self, index: int) -> Chunk:
        offset = index * self.chunk_size
        length = min(self.chunk_size, self.size - offset)
        stamp = (index.to_bytes(8, "big") + self._stamp)[:length]
        return Chunk(index, offset, (stamp, _BLOCK[: length - len(stamp)]))

    def parts(self) -> Iterator[bytes | memoryview]:
        for chunk in self.chunks:
            yield from chunk.parts

    @cached_property
    def sha256(self) -> str:
        digest = hashlib.sha256()
        for part in self.parts():
            digest.update(part)
        return digest.hexdigest()

    @cached_property
    def md5(self) -> str:
        digest = hashlib.md5(usedforsecurity=False)
        for part in self.parts():
            digest.update(part)
        return digest.hexdigest()

    @cached_property
    def sha256_of_chunks(self) -> list[bytes]:
        return [hashlib.sha256(chunk.joined()).digest() for chunk in self.chunks]

    @cached_property
    def blake3_of_chunks(self) -> list[bytes]:
        return [blake3(chunk.joined()).digest() for chunk in self.chunks]

    @cached_property
    def base64_of_chunks(self) -> list[bytes]:
        return [base64.b64encode(chunk.joined()) for chunk in self.chunks]

    def write_to(self, path: Path) -> Path:
        with path.open("wb") as file:
            for part in self.parts():
                file.write(part)
        return path
