"""The tail of an upload: what a stream has brought of the first missing chunk.

It lies in a file of its own in staging, which the session's row names with its length and its
BLAKE3. A file that the row has named, and then names no more, is never named again: so whoever has
the row name another may remove it.
"""

import logging
from hmac import compare_digest

from uploads.core.bodies import READ_SIZE
from uploads.core.digests import fingerprint
from uploads.errors import StorageFull, StorageUnavailable
from uploads.models import FileSession
from uploads.storage import StagingMissing, get_store

from .reading import pieces_of

logger = logging.getLogger("uploads.engine")


def is_tail_sound(session: FileSession) -> bool:
    """Whether the tail that the row names is there, byte for byte; True without one."""
    if not session.tail_length:
        return True
    digest = fingerprint()
    buffer = memoryview(bytearray(READ_SIZE))
    try:
        with get_store().open_tail(session.pk, session.tail_name) as tail:
            for piece in pieces_of(tail, 0, session.tail_length, buffer):
                digest.update(piece)
    except StagingMissing:
        return False
    return compare_digest(digest.digest(), bytes(session.tail_fingerprint))


def remove_tail_in_passing(session: FileSession, name: str) -> None:
    """Remove a tail that nothing names; where the disk refuses, it goes when the upload ends.

    What is committed is done, and no refusal of the disk may look as if it were not.
    """
    if not name:
        return
    try:
        get_store().remove_tail(session.pk, name)
    except (StorageFull, StorageUnavailable):
        logger.exception("A tail of session %s could not be removed", session.pk)
