"""Whether the disk has room, asked before bytes are taken rather than found out in the middle."""

from uploads.errors import StorageFull
from uploads.storage import get_store


def check_room(length: int) -> None:
    """Raise StorageFull unless `length` more bytes fit, with what the database needs to spare."""
    if length > get_store().free_bytes():
        raise StorageFull(
            f"The server has no room for {length} more bytes. Nothing was lost: what was received "
            "stays, and the upload can go on once there is room."
        )
