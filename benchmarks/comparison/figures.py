"""Medians and spread of what was measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

MIB = 1024 * 1024
GIB = 1024 * MIB


@dataclass(frozen=True)
class Spread:
    """Of one thing, measured several times; in the unit of its samples."""

    samples: tuple[float, ...]

    @classmethod
    def of(cls, samples: Sequence[float]) -> "Spread":
        """Raises ValueError without a sample."""
        if not samples:
            raise ValueError("nothing was measured")
        return cls(tuple(samples))

    @property
    def median(self) -> float:
        return median(self.samples)

    @property
    def low(self) -> float:
        return min(self.samples)

    @property
    def high(self) -> float:
        return max(self.samples)


def rate(size: int, seconds: float) -> float:
    """MiB/s of `size` bytes."""
    return size / MIB / seconds
