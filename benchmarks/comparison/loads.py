"""How a file is sent: requests side by side, or one after another. Connections are open before.

What is timed is from the first byte of the first request to the last answer. All the requests, with
their digests, are there before.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Lock

from .wire import Answer, Connection, Request

#: Chunks on their way at once, as the browser module has it.
IN_FLIGHT = 3


@dataclass(frozen=True)
class Times:
    """Moments of `perf_counter`, in seconds."""

    begun: float
    #: When the last byte had gone to the system.
    sent: float
    answered: float

    @property
    def seconds(self) -> float:
        return self.answered - self.begun


class Pace:
    """Lets bytes go no faster than `rate` a second; without one, as fast as they can."""

    def __init__(self, rate: float | None = None) -> None:
        self._rate = rate
        self._lock = Lock()
        self._due = 0.0

    def wait(self, length: int) -> None:
        """Until the next `length` bytes may go."""
        if self._rate is None:
            return
        with self._lock:
            due = max(self._due, time.perf_counter())
            self._due = due + length / self._rate
        time.sleep(max(0.0, due - time.perf_counter()))


def send(
    port: int, requests: Sequence[Request], at_once: int = 1, pace: Pace | None = None
) -> Times:
    """All of them, over `at_once` connections. Raises what `Connection.ask` raises."""
    pace = pace or Pace()
    waiting = iter(requests)
    lock = Lock()

    def taken() -> Iterator[Request]:
        while True:
            with lock:
                request = next(waiting, None)
            if request is None:
                return
            yield request

    def work(connection: Connection) -> list[Answer]:
        answers = []
        for request in taken():
            pace.wait(sum(len(part) for part in request.parts))
            answers.append(connection.ask(request))
        return answers

    with ExitStack() as stack:
        connections = [stack.enter_context(Connection(port)) for _ in range(at_once)]
        pool = stack.enter_context(ThreadPoolExecutor(at_once))
        begun = time.perf_counter()
        answers = [answer for each in pool.map(work, connections) for answer in each]
        answered = time.perf_counter()
    return Times(begun, max(answer.sent for answer in answers), answered)
