"""Reading stored content again, to find what has rotted on the disk before anybody needs it.

Each verdict is committed before the next file is begun, so a run that ends early, however it ends,
is gone on with by the next one: what was verified lately is not due, and the longest unverified
comes first.
"""

import hashlib
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import BinaryIO
from uuid import UUID

from django.db import IntegrityError
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_noop

from uploads.core.plan import MIB
from uploads.failpoints import Failpoint, reach
from uploads.models import EventKind, FileSession, SessionStatus, StoredFile
from uploads.storage import StagingMissing, forget_cached, get_store

from .durability import synced_transaction
from .events import record_each

#: What owners are told of a completed session whose content is damaged.
DAMAGED_ERROR = gettext_noop(
    "The stored file was damaged on the server's disk and is not served. Choose the file again to "
    "mend it."
)
#: Large enough that system calls cost nothing; all the memory that a file of any size takes.
_READ_SIZE = MIB // 2
#: Rows fetched at once. Each is looked at again before its file is read.
_BATCH = 200


class Verdict(StrEnum):
    SOUND = "sound"
    #: Found damaged earlier, and whole now: its bytes were brought back from elsewhere.
    RESTORED = "restored"
    DAMAGED = "damaged"
    #: The disk refused to read it. That may be a cable, so nothing is concluded from it.
    UNREADABLE = "unreadable"
    #: Deleted while it was read, or found damaged by another run at the same time.
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Finding:
    stored: StoredFile
    verdict: Verdict
    #: For people: why it is damaged or unreadable; else empty.
    wrong: str = ""


def is_damaged(session: FileSession) -> bool:
    """Whether it completed, and its content was found damaged since.

    Needs `stored_file`: lists select it with their sessions.
    """
    if session.status != SessionStatus.COMPLETED:
        return False
    try:
        stored = session.stored_file
    except StoredFile.DoesNotExist:
        # Deleted at this moment, session and all.
        return False
    return stored is not None and stored.state == StoredFile.State.DAMAGED


def live_content() -> QuerySet[StoredFile]:
    return StoredFile.objects.filter(state=StoredFile.State.LIVE)


def due_content(before: datetime) -> QuerySet[StoredFile]:
    """Live content that was last found sound before that moment, or never; those first."""
    due = live_content().filter(Q(verified_at=None) | Q(verified_at__lt=before))
    return due.order_by(F("verified_at").asc(nulls_first=True), "pk")


def damaged_content() -> QuerySet[StoredFile]:
    """What was found damaged and is missed by somebody still: not mended, not deleted."""
    referred = FileSession.objects.filter(stored_file__state=StoredFile.State.DAMAGED)
    return StoredFile.objects.filter(pk__in=referred.values("stored_file"))


def reread_content(
    before: datetime,
    *,
    limit: int | None = None,
    seconds: float = math.inf,
    on_bytes: Callable[[int], object] = lambda _: None,
) -> Iterator[Finding]:
    """Read what is due, the longest unverified first, and say of each file what was found.

    At most `limit` files, none begun after `seconds`; `on_bytes` is told of the bytes just read.
    What a finding says is committed when it comes. Raises StorageUnavailable when the storage is
    not there at all, so that a disk that is not mounted makes nothing damaged.
    """
    end = time.monotonic() + seconds
    for stored in islice(_in_order(before), limit):
        if time.monotonic() >= end:
            return
        yield _reread(stored, before, on_bytes)


def reread_damaged(
    damaged: Iterable[StoredFile],
    *,
    limit: int | None = None,
    seconds: float = math.inf,
    on_bytes: Callable[[int], object] = lambda _: None,
) -> Iterator[Finding]:
    """Read once more what `damaged_content` named; what an operator has brought back is live again.

    What is beyond the bounds, which are those of `reread_content`, is named without being read.
    Raises as that does.
    """
    end = time.monotonic() + seconds
    for number, stored in enumerate(damaged):
        within = (limit is None or number < limit) and time.monotonic() < end
        yield _reread_damaged(stored, on_bytes) if within else _damaged_earlier(stored, "")


def _reread_damaged(stored: StoredFile, on_bytes: Callable[[int], object]) -> Finding:
    wrong, unreadable = _compared(stored, on_bytes)
    if wrong or unreadable:
        return _damaged_earlier(stored, wrong or unreadable)
    restored = _mark_restored(stored)
    return Finding(stored, Verdict.RESTORED if restored else Verdict.GONE)


def _damaged_earlier(stored: StoredFile, wrong: str) -> Finding:
    """It may have been mended or deleted since it was listed, and its file with it."""
    if not damaged_content().filter(pk=stored.pk).exists():
        return Finding(stored, Verdict.GONE)
    return Finding(stored, Verdict.DAMAGED, wrong or "as was found earlier")


def _in_order(before: datetime) -> Iterator[StoredFile]:
    """`due_content`, each once: an unreadable file stays due, but its turn is over.

    In two walks, each along an index, since rows leave what is due while it is walked through.
    """
    yield from _still_due(
        live_content().filter(verified_at=None).order_by("pk"),
        lambda last: Q(pk__gt=last.pk),
    )
    yield from _still_due(
        live_content().filter(verified_at__lt=before).order_by("verified_at", "pk"),
        lambda last: (
            Q(verified_at__gt=last.verified_at) | Q(verified_at=last.verified_at, pk__gt=last.pk)
        ),
    )


def _still_due(
    ordered: QuerySet[StoredFile], after: Callable[[StoredFile], Q]
) -> Iterator[StoredFile]:
    """In batches, without what was deleted, or verified by another run, since its batch came."""
    batch = list(ordered[:_BATCH])
    while batch:
        for stored in batch:
            if live_content().filter(pk=stored.pk, verified_at=stored.verified_at).exists():
                yield stored
        batch = list(ordered.filter(after(batch[-1]))[:_BATCH])


def _reread(stored: StoredFile, before: datetime, on_bytes: Callable[[int], object]) -> Finding:
    wrong, unreadable = _compared(stored, on_bytes)
    if unreadable:
        return Finding(stored, Verdict.UNREADABLE, unreadable)
    if wrong:
        marked, verdict = mark_damaged(stored), Verdict.DAMAGED
    else:
        marked, verdict = _mark_sound(stored, before), Verdict.SOUND
    return Finding(stored, verdict, wrong) if marked else Finding(stored, Verdict.GONE)


def _compared(stored: StoredFile, on_bytes: Callable[[int], object]) -> tuple[str, str]:
    """What is wrong with its bytes, and why they could not be read; both empty if it is sound."""
    try:
        return _difference(stored, on_bytes), ""
    except FileNotFoundError as error:
        return ("its file is missing", "") if _is_missing(stored) else ("", str(error))
    except OSError as error:
        return "", str(error)


def _difference(stored: StoredFile, on_bytes: Callable[[int], object]) -> str:
    """How the bytes on the disk differ from those that were stored; empty if they don't.

    Raises OSError when they cannot be read.
    """
    with get_store().read(stored.sha256, stored.pk) as file:
        size = file.seek(0, os.SEEK_END)
        if size != stored.size:
            return f"its file has {size} bytes"
        file.seek(0)
        sha256 = _sha256_from_disk(file, on_bytes)
    return "" if sha256 == stored.sha256 else f"its bytes have the SHA-256 {sha256}"


def _sha256_from_disk(file: BinaryIO, on_bytes: Callable[[int], object]) -> str:
    # What the kernel keeps in memory may be sound long after the disk has lost it.
    forget_cached(file)
    sha256 = hashlib.sha256()
    while piece := file.read(_READ_SIZE):
        sha256.update(piece)
        on_bytes(len(piece))
    # What was read for this alone shall not push out of memory what people download.
    forget_cached(file)
    return sha256.hexdigest()


def _is_missing(stored: StoredFile) -> bool:
    """Raises StorageUnavailable when it is not the file but the whole storage that is missing."""
    try:
        with get_store().open_adopted(stored.sha256, stored.pk):
            return False
    except StagingMissing:
        return True


def _mark_sound(stored: StoredFile, before: datetime) -> bool:
    # A clock set back meanwhile must not make it due again in this very run.
    now = max(timezone.now(), before)
    reach(Failpoint.CONTENT_VERIFIED)
    return bool(live_content().filter(pk=stored.pk).update(verified_at=now))


def mark_damaged(stored: StoredFile) -> bool:
    """Never serve it again, until it is mended; whether it was marked.

    Not when it is live no more: a row says `deleting` before its bytes go.
    """
    reach(Failpoint.CONTENT_DAMAGED)
    with synced_transaction():
        owning = _lock_sessions(stored)
        marked = live_content().filter(pk=stored.pk).update(state=StoredFile.State.DAMAGED)
        if marked:
            record_each(owning, EventKind.DAMAGED)
    return bool(marked)


def _lock_sessions(stored: StoredFile) -> list[UUID]:
    """Those that completed with this content. Before its own row: so does who deletes one."""
    completed = stored.sessions.filter(status=SessionStatus.COMPLETED)
    return list(completed.select_for_update().order_by("pk").values_list("pk", flat=True))


def _mark_restored(stored: StoredFile) -> bool:
    """False when it was mended or deleted meanwhile."""
    damaged = StoredFile.objects.filter(pk=stored.pk, state=StoredFile.State.DAMAGED)
    reach(Failpoint.CONTENT_VERIFIED)
    try:
        with synced_transaction():
            live = {"state": StoredFile.State.LIVE, "verified_at": timezone.now()}
            owning = _lock_sessions(stored)
            restored = damaged.update(**live)
            if restored:
                record_each(owning, EventKind.MENDED)
    except IntegrityError:
        # The same content has come in again, and that copy is the live one.
        return False
    return bool(restored)
