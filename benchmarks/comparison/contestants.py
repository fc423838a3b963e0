"""Who takes part: everyone who can take a file in, and what the server does with it then."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .payload import Payload
from .verdicts import NotHere

HOLDFAST, LIMIT, OTHER = "Holdfast", "bare limit", "other"


@dataclass(frozen=True)
class Contestant:
    """`send` takes a file in, and returns the seconds that counted; it leaves nothing behind."""

    key: str
    name: str
    group: str
    checks: str
    send: Callable[[Payload], float]


@dataclass
class Field:
    """All that can be measured here, and whom there is not, with the reason."""

    contestants: dict[str, Contestant] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def add(
        self, key: str, name: str, group: str, checks: str, send: Callable[[Payload], float]
    ) -> None:
        self.contestants[key] = Contestant(key, name, group, checks, send)

    def require(self, *keys: str) -> list[Contestant]:
        """Raises NotHere."""
        for key in keys:
            if key in self.absent:
                raise NotHere(self.absent[key])
        return [self.contestants[key] for key in keys]


def remove(path: Path, size: int) -> None:
    """See that all of it was kept, and remove it."""
    assert path.stat().st_size == size, f"{path} has {path.stat().st_size} bytes, not {size}"
    path.unlink()
