"""Things that are to happen a little later, in a thread of their own: faults that end again."""

import heapq
import threading
import time
from collections.abc import Callable
from itertools import count
from types import TracebackType
from typing import Self

Action = Callable[[], object]


class Later:
    """`with Later() as later: later.after(2, action)`. What is left at the end happens then."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Action]] = []
        self._numbers = count()
        self._changed = threading.Condition()
        self._over = False
        self._thread = threading.Thread(target=self._run, name="later")
        self.errors: list[Exception] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._changed:
            self._over = True
            self._changed.notify()
        self._thread.join()

    def after(self, seconds: float, action: Action) -> None:
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + seconds, next(self._numbers), action))
            self._changed.notify()

    def _run(self) -> None:
        while action := self._next():
            try:
                action()
            except Exception as error:  # the others must still be undone
                self.errors.append(error)

    def _next(self) -> Action | None:
        """Wait for the next action that is due; None when all are done and no more will come."""
        with self._changed:
            while True:
                now = time.monotonic()
                if self._due and (self._over or self._due[0][0] <= now):
                    return heapq.heappop(self._due)[2]
                if self._over:
                    return None
                self._changed.wait(self._due[0][0] - now if self._due else None)
