"""A database that is busy, away or without room: which refusal that is."""

from django.db import InterfaceError, OperationalError

from uploads.errors import StorageFull, Unavailable, UploadError

#: What is raised when the fault is neither the request's nor ours.
DATABASE_ERRORS = (OperationalError, InterfaceError)

#: What SQLite says when its disk has no room, or fails, which on a full disk it may do as well.
_FULL = ("disk is full", "disk I/O error")


def database_refusal(error: Exception) -> UploadError:
    """The database is busy or away, which passes, or its disk is full, which somebody must mend."""
    if any(words in str(error) for words in _FULL):
        return StorageFull(
            "The server's disk is full. Nothing was lost: what was received stays, and the upload "
            "can go on once there is room."
        )
    return Unavailable(
        "The server's database did not answer in time. Nothing was lost: send the same request "
        "again in a few seconds."
    )
