"""Not holding what others need while somebody else's bytes are awaited."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections

#: Of those who await bytes at one moment, so many keep their connection, in each process. To open
#: it anew costs what several queries do.
KEPT = 8

_places = threading.BoundedSemaphore(KEPT)
_thread = threading.local()


def let_go_of_databases() -> None:
    """Close this thread's connections, outside of transactions. The next query opens them again.

    Before waiting for a client: a database takes only so many connections, and SQLite three
    descriptors for each.
    """
    if getattr(_thread, "keeps", False):
        return
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()


@contextmanager
def awaiting_bytes() -> Iterator[None]:
    """While a body is read: the connections are let go of, unless only few others wait."""
    keeps = _thread.keeps = _places.acquire(blocking=False)
    try:
        let_go_of_databases()
        yield
    finally:
        _thread.keeps = False
        if keeps:
            _places.release()
