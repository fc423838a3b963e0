"""Uploads leave room for the database, or a full disk could not even be cleaned up."""

import io
import shutil
from collections import namedtuple

import pytest
from django.contrib.auth.models import User

from tests.support.bodies import cut, payload
from tests.support.sessions import TINY_CHUNK, begin, fresh, handshake, send
from uploads.engine.receiving import receive_chunk
from uploads.engine.removing import remove
from uploads.errors import StorageFull
from uploads.models import FileChunk, SessionStatus
from uploads.storage.filesystem import RESERVE_BYTES, RESERVE_PART

DATA = payload(350)
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bytes free on a huge disk, to be changed by the test."""
    free = [10**12]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**13, 0, free[0]))
    return free


def test_a_handshake_counts_what_the_database_needs_as_taken(alice: User, disk: list[int]) -> None:
    disk[0] = RESERVE_BYTES + len(DATA) - 1
    with pytest.raises(StorageFull):
        handshake(alice, DATA)
    disk[0] += 1
    handshake(alice, DATA)


def test_a_small_disk_keeps_a_small_part(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    total = 1600
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: Usage(total, 0, 350 + total // RESERVE_PART)
    )
    handshake(alice, DATA)


def test_a_chunk_without_room_reads_nothing_and_changes_nothing(
    alice: User, disk: list[int]
) -> None:
    """P10: and the upload goes on once there is room."""
    session = begin(alice, DATA)
    chunks = cut(DATA, TINY_CHUNK)
    send(session, 0, chunks[0])
    disk[0] = RESERVE_BYTES
    body = io.BytesIO(chunks[1])
    with pytest.raises(StorageFull):
        receive_chunk(fresh(session), 1, body)
    assert body.tell() == 0
    assert FileChunk.objects.count() == 1
    disk[0] = 10**12
    assert send(session, 1, chunks[1]).session.received_count == 2


def test_a_full_disk_still_lets_go_of_an_upload(alice: User, disk: list[int]) -> None:
    session = begin(alice, DATA)
    disk[0] = 0
    remove(fresh(session))
    assert fresh(session).status == SessionStatus.CANCELLED
