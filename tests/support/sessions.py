"""Uploads made by the engine itself, with chunks small enough to send thousands."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.utils import timezone

from uploads import conf
from uploads.core.digests import Digest
from uploads.engine.access import get_session
from uploads.engine.opening import Offer, Outcome, open_session
from uploads.engine.receiving import Receipt, receive_chunk
from uploads.models import FileChunk, FileSession
from uploads.storage import get_store

from .bodies import cut, sha256
from .tasks import run_tasks

#: The engine leaves the lower bound of chunk sizes to the protocols.
TINY_CHUNK = 100


def handshake(owner: AbstractBaseUser, data: bytes, **given: Any) -> tuple[Outcome, FileSession]:
    """A handshake for `data`, hash declared unless `sha256` says otherwise."""
    offer = {"filename": "file.bin", "sha256": sha256(data), "chunk_size": TINY_CHUNK, **given}
    result = open_session(owner, Offer(size=len(data), **offer))
    run_tasks()
    return result


def begin(owner: AbstractBaseUser, data: bytes, **given: Any) -> FileSession:
    return handshake(owner, data, **given)[1]


def fresh(session: FileSession) -> FileSession:
    return get_session(session.owner, session.pk)


def send(
    session: FileSession, index: int, chunk: bytes, declared: Sequence[Digest] = ()
) -> Receipt:
    """Send one chunk, as a request would: with the session as it is now."""
    return receive_chunk(fresh(session), index, io.BytesIO(chunk), declared)


def send_all(session: FileSession, data: bytes) -> FileSession:
    """Send every chunk and let the verifier run; the session as it is afterwards."""
    for index, chunk in enumerate(cut(data, session.chunk_size)):
        send(session, index, chunk)
    run_tasks()
    return fresh(session)


def upload(owner: AbstractBaseUser, data: bytes, **given: Any) -> FileSession:
    """A handshake and all chunks; the session as it is afterwards."""
    return send_all(begin(owner, data, **given), data)


def age(session: FileSession, **ago: float) -> None:
    """Let the last news of the session be so long ago; `ago` as for a timedelta."""
    FileSession.objects.filter(pk=session.pk).update(updated_at=timezone.now() - timedelta(**ago))


def staging_of(session: FileSession) -> Path:
    return conf.current().root / "staging" / str(session.pk)


def staged(session: FileSession) -> bytes:
    return (staging_of(session) / "data").read_bytes()


def damage(session: FileSession, position: int) -> None:
    """Flip one byte of the staged file, as a disk might after power loss."""
    with (staging_of(session) / "data").open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 0xFF]))


def content_of(session: FileSession) -> bytes:
    stored = session.stored_file
    assert stored is not None
    with get_store().read(stored.sha256, stored.pk) as file:
        return file.read()


def content_files() -> list[Path]:
    """Every file of complete content in the store."""
    return [path for path in (conf.current().root / "content").rglob("*") if path.is_file()]


@dataclass(frozen=True)
class Snapshot:
    """Everything that a refused chunk must leave as it was."""

    data: bytes
    files: frozenset[str]
    rows: frozenset[tuple[int, bytes]]
    bitmap: bytes
    count: int
    status: str


def snapshot(session: FileSession) -> Snapshot:
    row = FileSession.objects.get(pk=session.pk)
    return Snapshot(
        data=staged(session),
        files=frozenset(path.name for path in staging_of(session).iterdir()),
        rows=frozenset(
            (chunk.index, bytes(chunk.fingerprint))
            for chunk in FileChunk.objects.filter(session=session)
        ),
        bitmap=bytes(row.received),
        count=row.received_count,
        status=row.status,
    )
