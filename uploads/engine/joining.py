"""Joining: a whole, whose bytes are those of other uploads, its parts, one after the other.

It is assembling from the beginning, and takes no bytes of its own. Once all its parts are in, its
verifier copies them to where they belong and reads the whole, as it reads every file: each piece
against the fingerprint of the part's own chunk. What a disk has damaged is missing again in the
part then. A crash in between leaves an assembling session, which recovery takes up as it takes up
all of them, and whose parts are copied once more.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser

from uploads import conf
from uploads.core.bitmap import Bitmap
from uploads.core.plan import MIB, grown_chunk_size
from uploads.errors import QuotaExceeded
from uploads.failpoints import Failpoint, reach
from uploads.models import FileChunk, FileSession, JoinedPart, Role, SessionStatus
from uploads.storage import StagedFile, StagingMissing, get_store

from .durability import synced_transaction
from .quotas import check_quota
from .reasons import NO_ROOM, PART_GONE, WHOLE_TOO_LARGE
from .rechecking import drop_damaged
from .removing import cancel
from .room import check_room
from .verifying import Pass

#: Bytes copied between two signs of life. A multiple of every file system's blocks, so that blocks
#: can be shared.
COPY_SIZE = 64 * MIB


class CannotJoin(Exception):
    """It never will be joined; the message is one of the engine's reasons."""


def part_ids_of(whole: FileSession) -> list[UUID]:
    """In their order."""
    rows = JoinedPart.objects.filter(whole=whole).order_by("position")
    return list(rows.values_list("part_id", flat=True))


def was_joined(part: FileSession) -> bool:
    """Whether a complete file has its bytes. Its own may be gone then."""
    return JoinedPart.objects.filter(
        part_id=part.pk, whole__status=SessionStatus.COMPLETED
    ).exists()


def find_whole(
    owner: AbstractBaseUser, part_ids: Sequence[UUID], client_metadata: str
) -> FileSession | None:
    """The owner's whole of these parts in this order, of which the same was said; the newest."""
    wholes = (
        FileSession.objects.owned_by(owner)
        .filter(
            role=Role.WHOLE,
            status__in=[SessionStatus.ASSEMBLING, SessionStatus.COMPLETED],
            client_metadata=client_metadata,
            joined_parts__position=0,
            joined_parts__part_id=part_ids[0],
        )
        .order_by("-created_at")
    )
    return next((whole for whole in wholes if part_ids_of(whole) == list(part_ids)), None)


def is_ready(session: FileSession) -> bool:
    """Whether a verifier can begin: of a whole, whether each part is in. Raises CannotJoin."""
    # With a row of content, it was joined and verified before a crash.
    if session.role != Role.WHOLE or session.stored_file_id:
        return True
    ids = part_ids_of(session)
    parts = _active(ids)
    if len(parts) < len(set(ids)):
        raise CannotJoin(PART_GONE)
    if sum(parts[part_id].size or 0 for part_id in ids) > conf.current().max_file_size:
        raise CannotJoin(WHOLE_TOO_LARGE)
    return all(part.is_whole for part in parts.values())


def join(whole: FileSession, data: StagedFile, beat: Callable[[], None]) -> str | None:
    """Fill `data`, which is locked, with the bytes of the parts; their SHA-256 together.

    None when something of a part was damaged. The whole has its size then, and all its chunks.
    `beat` is called often. Raises CannotJoin, StagingMissing when a part is there no more,
    StorageFull, StorageUnavailable.
    """
    parts = _parts(whole)
    size = sum(part.plan.size for part in parts)
    data.set_size(size)
    _copy_all(parts, data, beat)
    sha256 = hashlib.sha256()
    offset = 0
    damaged = []
    for part in parts:
        reading = Pass(data, part.plan, _fingerprints(part), start=offset, sha256=sha256)
        reading.advance(part.plan.total, beat)
        damaged += [part] if reading.damaged else []
        offset += part.plan.size
    for part in damaged:
        drop_damaged(part)
    if damaged:
        return None
    _record(whole, size)
    return sha256.hexdigest()


def let_go_of_parts(whole: FileSession) -> None:
    """Remove the parts of a whole that is complete, but for those that another is to be joined of.

    Robust: what is left, because of a crash, goes with what nobody continues.
    """
    if whole.role != Role.WHOLE:
        return
    ids = part_ids_of(whole)
    wanted = JoinedPart.objects.filter(part_id__in=ids, whole__status=SessionStatus.ASSEMBLING)
    still = set(wanted.values_list("part_id", flat=True))
    for part_id, part in _active(ids).items():
        if part_id not in still:
            cancel(part)


def _active(ids: Sequence[UUID]) -> dict[UUID, FileSession]:
    return FileSession.objects.filter(role=Role.PART, status=SessionStatus.ACTIVE).in_bulk(set(ids))


def _parts(whole: FileSession) -> list[FileSession]:
    """Each with all its bytes. Raises StagingMissing."""
    ids = part_ids_of(whole)
    found = _active(ids)
    parts = [found[part_id] for part_id in ids if part_id in found and found[part_id].is_whole]
    if len(parts) < len(ids):
        raise StagingMissing(str(whole.pk))
    return parts


def _copy_all(parts: Sequence[FileSession], data: StagedFile, beat: Callable[[], None]) -> None:
    start = 0
    for part in parts:
        with get_store().open(part.pk) as source:
            for offset in range(0, part.plan.size, COPY_SIZE):
                length = min(COPY_SIZE, part.plan.size - offset)
                check_room(length)
                data.copy_from(source, offset, length, start + offset)
                beat()
        start += part.plan.size


def _fingerprints(part: FileSession) -> dict[int, bytes]:
    rows = FileChunk.objects.filter(session=part).values_list("index", "fingerprint")
    return {index: bytes(value) for index, value in rows.iterator()}


def _record(whole: FileSession, size: int) -> None:
    """Its size, and that all is in: no chunk of its own has a fingerprint. Raises CannotJoin."""
    chunk_size = grown_chunk_size(size, whole.chunk_size)
    total = -(-size // chunk_size)
    changes: dict[str, Any] = {
        "size": size,
        "chunk_size": chunk_size,
        "received": Bitmap.full(total).to_bytes(),
        "received_count": total,
    }
    reach(Failpoint.JOIN_RECORD)
    try:
        with synced_transaction():
            own = FileSession.objects.filter(pk=whole.pk, status=SessionStatus.ASSEMBLING)
            own.update(**changes)
            # Its parts have been counted until now; but another may be joined of them too.
            check_quota(whole.owner)
    except QuotaExceeded as error:
        raise CannotJoin(NO_ROOM) from error
    for name, value in changes.items():
        setattr(whole, name, value)
