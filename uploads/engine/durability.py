"""Commits that must outlive a power cut."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction


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
