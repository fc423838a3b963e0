"""Running things at once."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connection

from .bodies import WAIT_SECONDS

T = TypeVar("T")


def at_once(jobs: Sequence[Callable[[], T]]) -> list[T | Exception]:
    """Start all jobs at the same moment, each in a thread; their results or exceptions."""
    barrier = threading.Barrier(len(jobs))

    def run(job: Callable[[], T]) -> T | Exception:
        barrier.wait(WAIT_SECONDS)
        try:
            return job()
        except Exception as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


class Running(threading.Thread):
    """One job in the background; `result()` waits and raises what it raised."""

    def __init__(self, job: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._job = job
        self._value: object = None
        self._error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self._value = self._job()
        except Exception as error:
            self._error = error
        finally:
            connection.close()

    def result(self) -> object:
        self.join(WAIT_SECONDS)
        assert not self.is_alive()
        if self._error:
            raise self._error
        return self._value
