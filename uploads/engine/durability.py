"""What must outlive a power cut, and how it is made to."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction

from uploads import conf

#: SQLite's number for `PRAGMA synchronous=FULL`.
_FULL = 2


def each_chunk_is_synced() -> bool:
    """Whether a chunk must be on the disk before it is acknowledged (`UPLOADS["DURABILITY"]`)."""
    return conf.current().durability == "chunk"


@contextmanager
def acknowledging_transaction() -> Iterator[None]:
    """A transaction whose commit a client will be told of: a session opened, a chunk received."""
    with synced_transaction() if each_chunk_is_synced() else transaction.atomic():
        yield


@contextmanager
def synced_transaction() -> Iterator[None]:
    """A transaction whose commit is on the disk when it returns.

    SQLite in WAL mode syncs at checkpoints only, which is enough for a killed process (P3) but
    not where a file is called complete; other databases sync each commit by default.
    """
    with _full_synchronous(), transaction.atomic():
        yield


@contextmanager
def _full_synchronous() -> Iterator[None]:
    """SQLite's `synchronous` at FULL or above, and afterwards what it was."""
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        yield
        return
    with connection.cursor() as cursor:
        [before] = cursor.execute("PRAGMA synchronous").fetchone()
        cursor.execute(f"PRAGMA synchronous={max(before, _FULL)}")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA synchronous={before}")
