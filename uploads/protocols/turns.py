"""One thing at a time for each person, so that who asks for many waits behind themselves only."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Turns:
    """`with turns.of(key):` is held by one thread at a time for each key. Forgets idle keys."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: The lock of each key, and how many hold it or wait for it.
        self._turns: dict[Any, tuple[threading.Lock, int]] = {}

    @contextmanager
    def of(self, key: Any) -> Iterator[None]:
        turn = self._join(key)
        try:
            with turn:
                yield
        finally:
            self._leave(key)

    def _join(self, key: Any) -> threading.Lock:
        with self._lock:
            turn, count = self._turns.get(key) or (threading.Lock(), 0)
            self._turns[key] = (turn, count + 1)
        return turn

    def _leave(self, key: Any) -> None:
        with self._lock:
            turn, count = self._turns[key]
            if count > 1:
                self._turns[key] = (turn, count - 1)
            else:
                del self._turns[key]
