"""Not holding what others need while somebody else's bytes are awaited."""

from django.db import connections


def let_go_of_databases() -> None:
    """Close this thread's connections, outside of transactions. The next query opens them again.

    Before waiting for a client: a database takes only so many connections, and SQLite three
    descriptors for each.
    """
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()
