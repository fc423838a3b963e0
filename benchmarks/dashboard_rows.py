"""Sessions of many files, in bulk: spread over two years, of every kind, size and state."""

import random
from datetime import timedelta
from itertools import islice
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from uploads.core.bitmap import Bitmap
from uploads.core.plan import KIB, MIB
from uploads.engine.usage import recount
from uploads.models import EventKind, FileSession, SessionEvent, SessionStatus, StoredFile

OTHER_STATES = [status for status in SessionStatus if status != SessionStatus.COMPLETED]
#: Nearly all files are images in a folder that begins with this.
FOLDER = "photos"
#: So many are sound, and the name of one of them has this in it. They are the oldest, so that the
#: usual order comes to them last.
RARE = 3
NEEDLE = "needle"
SPREAD = timedelta(days=700)
BATCH = 2_000


def fill(user: User, size: int, each: int, dice: random.Random) -> None:
    """Give the user `size` sessions, among them `each` of every state but completed."""
    made = (_session(user, index, size, each, dice) for index in range(size))
    while batch := list(islice(made, BATCH)):
        with transaction.atomic():
            StoredFile.objects.bulk_create(s.stored_file for s in batch if s.stored_file)
            FileSession.objects.bulk_create(batch)
            SessionEvent.objects.bulk_create(e for session in batch for e in _events(session))
    recount(user.pk)


def _session(user: User, index: int, size: int, each: int, dice: random.Random) -> FileSession:
    """The one of that number, the latest first."""
    now = timezone.now()
    begun = now - SPREAD * ((index + dice.random()) / size) - timedelta(hours=1)
    session = FileSession(
        id=_uuid(dice),
        owner=user,
        size=int(KIB * 4 ** dice.uniform(0, 10)),
        chunk_size=5 * MIB,
        sha256=f"{dice.getrandbits(256):064x}",
        status=_status(index, size, each),
        created_at=begun,
        updated_at=begun + timedelta(minutes=10),
        expires_at=now + timedelta(hours=48),
    )
    _give_name(session, index, size)
    _give_chunks(session)
    if session.status == SessionStatus.ASSEMBLING:
        # As if a verifier were at work for as long as this runs.
        session.updated_at = now + timedelta(days=1)
    if session.status == SessionStatus.COMPLETED:
        session.stored_file = _stored(session, dice)
    return session


def _status(index: int, size: int, each: int) -> SessionStatus:
    """Other states than completed turn up all the time, not only of late."""
    others = len(OTHER_STATES) * each
    every = size // others
    turn, rest = divmod(index, every)
    return (
        SessionStatus.COMPLETED
        if rest or turn >= others
        else OTHER_STATES[turn % len(OTHER_STATES)]
    )


def _give_name(session: FileSession, index: int, size: int) -> None:
    if index >= size - RARE:
        session.set_name(f"{NEEDLE if index == size - 1 else 'song'} {index:06}.flac", "sound")
    elif index % 11:
        session.set_name(f"IMG {index:06}.jpg", f"{FOLDER}/{session.created_at:%Y/%m}")
    else:
        session.set_name(f"report {index:06}.pdf", "")


def _give_chunks(session: FileSession) -> None:
    total = session.plan.total
    has_all = session.status in {SessionStatus.COMPLETED, SessionStatus.ASSEMBLING}
    session.received_count = total if has_all else total // 2
    session.received = Bitmap.full(session.received_count).to_bytes()


def _stored(session: FileSession, dice: random.Random) -> StoredFile:
    return StoredFile(
        id=_uuid(dice),
        sha256=session.sha256,
        size=session.plan.size,
        state=StoredFile.State.LIVE,
        created_at=session.updated_at,
        verified_at=session.updated_at,
    )


def _events(session: FileSession) -> list[SessionEvent]:
    opened = SessionEvent(session=session, at=session.created_at, kind=EventKind.OPENED)
    if session.status != SessionStatus.COMPLETED:
        return [opened]
    ended = (EventKind.RECEIVED, EventKind.COMPLETED)
    at = session.updated_at
    return [opened, *(SessionEvent(session=session, at=at, kind=kind) for kind in ended)]


def _uuid(dice: random.Random) -> UUID:
    return UUID(int=dice.getrandbits(128), version=4)
