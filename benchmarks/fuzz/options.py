"""What a run is asked to do."""

from dataclasses import dataclass
from pathlib import Path

from uploads.core.plan import MIB


@dataclass(frozen=True, slots=True)
class Options:
    """The defaults are those of `make fuzz`."""

    seed: int
    #: Those that are sent again included.
    requests: int = 100_000
    #: Clients at once, each with a connection that it keeps.
    clients: int = 6
    #: Requests between two looks at what has changed.
    batch: int = 500
    #: How many of a hundred requests schemathesis makes.
    schema_percent: int = 5
    #: Connections whose bodies hardly move, all the time.
    slow: int = 6
    #: How much more memory the worker may have at the end than after the first fifth: its pool for
    #: bodies, which is not filled by then, since that takes many large ones at one moment.
    growth: int = 48 * MIB
    #: The one request to send, by its number.
    only: int | None = None
    #: Where the server's log stays; None removes it.
    keep: Path | None = None

    @classmethod
    def short(cls, seed: int) -> "Options":
        """For `make test`."""
        return cls(seed=seed, requests=1200, clients=3, batch=350, slow=3)
