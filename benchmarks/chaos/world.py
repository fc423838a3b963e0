"""What all threads of a run share."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from .ledger import Ledger
from .options import Options
from .traffic import Link, Pace


class NeverCompleted(Exception):
    """The time for completing without faults is over."""


@dataclass
class World:
    options: Options
    #: One for each user. Files go to them in turn.
    links: list[Link]
    ledger: Ledger = field(default_factory=Ledger)
    #: Set when no further file is begun.
    over: threading.Event = field(default_factory=threading.Event)
    #: When whatever is still open has failed to complete; unknown while there are faults.
    deadline: float | None = None

    def __post_init__(self) -> None:
        self.pace = Pace(self.options.bytes_per_second)
        self._slots = threading.BoundedSemaphore(self.options.clients)
        #: Files above a quarter of the disk come one at a time, or they would wait for each other.
        self._large = threading.Lock()

    def check_time(self) -> None:
        """Raises NeverCompleted."""
        if self.deadline is not None and time.time() > self.deadline:
            raise NeverCompleted

    def rest(self, seconds: float) -> None:
        """A client waits; once time is up, it hears of it. Raises NeverCompleted."""
        time.sleep(seconds)
        self.check_time()

    @contextmanager
    def slot(self) -> Iterator[None]:
        """One of the uploads that are being sent at this moment."""
        with self._slots:
            yield

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Let another upload be sent while this one waits for the server."""
        self._slots.release()
        try:
            yield
        finally:
            self._slots.acquire()

    @contextmanager
    def room_for(self, size: int) -> Iterator[None]:
        if size <= self.options.largest // 4:
            yield
            return
        with self._large:
            yield
