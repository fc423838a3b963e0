"""Looking at what is in of an upload that is not whole: what a disk has damaged is missing again.

The verifier finds damage once all is in. This is for a client who has a check of its own before
that, and must be told whose fault it is that it fails.
"""

import logging

from django.db import transaction

from uploads.core.bodies import READ_SIZE
from uploads.core.digests import fingerprint
from uploads.failpoints import Failpoint, reach
from uploads.models import EventKind, FileChunk, FileSession, SessionStatus
from uploads.storage import StagedFile, StagingMissing, get_store

from .bits import drop_tail, write_bitmap
from .events import record
from .reading import pieces_of
from .tails import is_tail_sound, remove_tail_in_passing

logger = logging.getLogger("uploads.engine")


def drop_damaged(session: FileSession) -> bool:
    """Have every chunk of an active session missing again whose bytes differ from its fingerprint,
    and its tail as well (P4); whether there were any.

    Reads all that is in. Raises StorageUnavailable.
    """
    damaged = _damaged_chunks(session)
    tail_lost = not is_tail_sound(session) and _drop_tail(session)
    return bool(damaged and _drop_chunks(session, damaged)) or tail_lost


def _damaged_chunks(session: FileSession) -> list[int]:
    rows = FileChunk.objects.filter(session=session).order_by("index")
    fingerprints = [(row.index, bytes(row.fingerprint)) for row in rows]
    buffer = memoryview(bytearray(READ_SIZE))
    try:
        with get_store().open(session.pk) as data:
            return [
                index
                for index, expected in fingerprints
                if _digest(session, data, index, buffer) != expected
            ]
    except StagingMissing:
        return []  # It has ended meanwhile, or what there is to be told the next chunk will tell.


def _digest(session: FileSession, data: StagedFile, index: int, buffer: memoryview) -> bytes:
    digest = fingerprint()
    plan = session.plan
    for piece in pieces_of(data, plan.offset(index), plan.length(index), buffer):
        digest.update(piece)
    return digest.digest()


def _drop_tail(session: FileSession) -> bool:
    reach(Failpoint.TAIL_DROP)
    dropped = drop_tail(session)
    if dropped:
        remove_tail_in_passing(session, session.tail_name)
    return dropped


def _drop_chunks(found: FileSession, damaged: list[int]) -> bool:
    reach(Failpoint.CHUNKS_DROP)
    with transaction.atomic():
        session = FileSession.objects.select_for_update().filter(pk=found.pk).first()
        if session is None or session.status != SessionStatus.ACTIVE:
            return False
        tail, told = session.tail_name, session.offset
        bitmap = session.bitmap
        for index in damaged:
            bitmap.discard(index)
        FileChunk.objects.filter(session=session, index__in=damaged).delete()
        write_bitmap(session, bitmap)
        FileSession.objects.filter(pk=session.pk, least_size__lt=told).update(least_size=told)
        record(session.pk, EventKind.REOPENED, str(len(damaged)))
    if not session.tail_name:
        remove_tail_in_passing(session, tail)
    logger.warning("Session %s: damaged chunks are missing again: %s", session.pk, damaged)
    return True
