"""What must outlive a power cut, and how it is made to."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction

from uploads import conf


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
    switch = connection.vendor == "sqlite" and not connection.in_atomic_block
    if switch:
        _set_synchronous("FULL")
    try:
        with transaction.atomic():
            yield
    finally:
        if switch:
            _set_synchronous("NORMAL")


def _set_synchronous(mode: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA synchronous={mode}")
