"""Not holding what others need while somebody else's bytes are awaited.

To open a database anew costs what several queries do, so a few threads of each process keep it
open; all others let go of it whenever they wait for a client, and between requests.
"""

import threading

from django.core.signals import request_finished
from django.db import connections

#: Threads that keep their connections, in each process.
KEPT = 8

_places = threading.BoundedSemaphore(KEPT)
_thread = threading.local()


class _Place:
    """One of KEPT, taken. Whoever forgets it, as a thread does that ends, gives it back."""

    def __init__(self) -> None:
        # At the end of the process a module's own names are gone before this is.
        self._give_back = _places.release

    def __del__(self) -> None:
        self._give_back()


def let_go_of_databases() -> None:
    """Close this thread's connections, outside of transactions. The next query opens them again.

    Before waiting for long: a database takes only so many connections, and SQLite three descriptors
    for each.
    """
    _thread.place = None
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()


def let_go_unless_few() -> None:
    """As `let_go_of_databases`, unless this thread is one of the few that keep theirs."""
    if not _is_one_of_few():
        let_go_of_databases()


def keep_few() -> None:
    """Have the few keep SQLite open between requests, too. For a server's start.

    Django closes it with each request, or not at all: then each of hundreds of threads has one.
    Other databases have pools for this.
    """
    for alias in connections:
        if connections[alias].vendor == "sqlite":
            connections.settings[alias]["CONN_MAX_AGE"] = None
    request_finished.connect(_at_the_end, dispatch_uid="uploads.database")


def _at_the_end(**_: object) -> None:
    let_go_unless_few()


def _is_one_of_few() -> bool:
    if getattr(_thread, "place", None) is None:
        _thread.place = _Place() if _places.acquire(blocking=False) else None
    return _thread.place is not None
