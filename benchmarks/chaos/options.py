"""What a run is asked to do."""

from dataclasses import dataclass
from pathlib import Path

from uploads.core.plan import MIB


@dataclass(frozen=True, slots=True)
class Options:
    """Bytes and seconds. The defaults are those of `make chaos`."""

    seed: int
    seconds: float = 600.0
    #: Uploads that are being sent at one moment.
    clients: int = 5
    faults_per_second: float = 0.9
    largest: int = 200 * MIB
    #: Files are smaller by this, the largest aside.
    size_divisor: int = 1
    #: What all clients together send. Slow enough that an upload meets faults, and bounds the run.
    bytes_per_second: int = 24 * MIB
    #: Where it can be mounted: small enough to be filled, large enough for a few of the largest.
    disk_bytes: int = 1024 * MIB
    #: Completed files that stay on the server at one moment, to be read again after later faults.
    kept_bytes: int = 256 * MIB
    #: How long the database waits for a lock; the product's own time is 20 s.
    busy_seconds: float = 20.0
    #: The longest that another process holds the database: longer than anybody waits for it.
    longest_lock: float = 25.0
    #: A request without an answer for so long is given up.
    answer_seconds: float = 30.0
    #: No process ends within this time before the last fault, so that a leak has time to show.
    tail_seconds: float = 20.0
    #: After the last fault everything must complete within this time.
    settle_seconds: float = 120.0
    #: Verifications that a fault cut off are taken up after a minute, or by a restart. A run that
    #: cannot wait a minute restarts after this time; None waits.
    restart_after: float | None = None
    #: Where the server's log stays; None removes it after a good run.
    keep: Path | None = None

    @classmethod
    def short(cls, seed: int) -> "Options":
        """Everything once or more, in less than a minute: for `make test`."""
        return cls(
            seed=seed,
            seconds=20.0,
            clients=4,
            faults_per_second=1.1,
            largest=24 * MIB,
            size_divisor=4,
            bytes_per_second=10 * MIB,
            disk_bytes=256 * MIB,
            kept_bytes=48 * MIB,
            busy_seconds=2.0,
            longest_lock=3.0,
            answer_seconds=10.0,
            tail_seconds=3.0,
            settle_seconds=40.0,
            restart_after=2.5,
        )
