"""Whether there is a place for bytes, asked before they are taken rather than found out later."""

import logging

from uploads.errors import StorageFull, StorageUnavailable
from uploads.models import FileSession, StoredFile
from uploads.storage import Store, get_store

logger = logging.getLogger("uploads.engine")


def check_room(length: int) -> None:
    """Raise StorageFull unless `length` more bytes fit, with what the database needs to spare."""
    if length > get_store().free_bytes():
        raise StorageFull(
            f"The server has no room for {length} more bytes. Nothing was lost: what was received "
            "stays, and the upload can go on once there is room."
        )


def prepared_store() -> Store:
    """The store, its folders made if it is new. If they are missing though there are uploads, its
    disk is not mounted: made anew, they would look as if all those uploads were lost.
    """
    store = get_store()
    if store.is_there():
        return store
    used = FileSession.objects.exists() or StoredFile.objects.exists()
    if not used:
        store.prepare()
    # Asked again: the very first handshake may have made them meanwhile, before its row.
    elif not store.is_there():
        logger.error("The folders of the upload store are not there. Is its disk mounted?")
        raise StorageUnavailable(
            "The server's storage folder is not there. Nothing was changed: try again later."
        )
    return store
