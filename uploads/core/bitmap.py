"""Which chunks are in: one bit a chunk, chunk 0 in the lowest bit of the first byte."""

from collections.abc import Iterator
from typing import Self


class Bitmap:
    """A set of chunk indices below `total`, kept as bytes.

    `data` may be shorter than `total` needs (missing bytes are zeros) but must have no bit set
    at or above `total`; ValueError otherwise.
    """

    __slots__ = ("_bits", "total")

    def __init__(self, data: bytes, total: int) -> None:
        self._bits = int.from_bytes(data, "little")
        self.total = total
        if self._bits >> total:
            raise ValueError(f"the bitmap has bits at or above its {total} chunks")

    @classmethod
    def full(cls, total: int) -> Self:
        return cls(((1 << total) - 1).to_bytes(-(-total // 8), "little"), total)

    def __contains__(self, index: int) -> bool:
        return bool(self._bits >> index & 1)

    def __len__(self) -> int:
        return self._bits.bit_count()

    @property
    def end(self) -> int:
        """One more than the highest index that is in; 0 when none is."""
        return self._bits.bit_length()

    def add(self, index: int) -> None:
        self._check(index)
        self._bits |= 1 << index

    def discard(self, index: int) -> None:
        self._check(index)
        self._bits &= ~(1 << index)

    def first_missing(self) -> int:
        """The lowest index that is not in; `total` when none is missing."""
        return min((~self._bits & (self._bits + 1)).bit_length() - 1, self.total)

    def missing(self) -> list[int]:
        """The indices that are not in, ascending."""
        return [i for start, end, present in self.runs() if not present for i in range(start, end)]

    def runs(self) -> Iterator[tuple[int, int, bool]]:
        """Yield `(start, end, present)` for each longest run of equal bits, end exclusive."""
        if not self.total:
            return
        # One character a chunk: groups are found at the speed of str.find.
        text = format(self._bits, f"0{self.total}b")[::-1]
        start = 0
        while start < self.total:
            bit = text[start]
            end = text.find("0" if bit == "1" else "1", start)
            end = self.total if end < 0 else end
            yield start, end, bit == "1"
            start = end

    def to_bytes(self) -> bytes:
        return self._bits.to_bytes(-(-self.total // 8), "little")

    def _check(self, index: int) -> None:
        if not 0 <= index < self.total:
            raise IndexError(f"chunk {index} is not in 0..{self.total - 1}")
