"""Content that rotted on the disk comes back when anybody sends the same content again."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from tests.support.bodies import flipped, payload
from tests.support.sessions import (
    begin,
    content_files,
    content_of,
    fresh,
    handshake,
    staging_of,
    upload,
)
from uploads.engine.opening import Outcome
from uploads.engine.removing import remove
from uploads.engine.rereading import reread_content
from uploads.engine.sweeping import sweep
from uploads.errors import StorageUnavailable
from uploads.models import FileSession, StoredFile
from uploads.signals import upload_completed
from uploads.storage.filesystem import FilesystemStore

DATA = payload(350)


def rot() -> Path:
    """The only content there is is damaged, and found out."""
    [path] = content_files()
    path.write_bytes(flipped(path.read_bytes(), 7))
    list(reread_content(timezone.now()))
    assert StoredFile.objects.get().state == StoredFile.State.DAMAGED
    return path


@pytest.mark.parametrize("by", ["alice", "bob"])
def test_sending_it_again_mends_it_for_everybody(alice: User, bob: User, by: str) -> None:
    theirs = [upload(owner, DATA) for owner in (alice, bob)]
    damaged = rot()
    again = upload(alice if by == "alice" else bob, DATA)
    assert {session.stored_file_id for session in FileSession.objects.all()} == {
        fresh(again).stored_file_id
    }
    for session in theirs:
        assert content_of(fresh(session)) == DATA
    assert not damaged.exists()
    assert len(content_files()) == StoredFile.objects.count() == 1


def test_damaged_content_is_not_what_a_handshake_finds(alice: User) -> None:
    upload(alice, DATA)
    rot()
    outcome, session = handshake(alice, DATA)
    assert (outcome, session.bitmap.missing()) == (Outcome.CREATED, [0, 1, 2, 3])


def test_a_mended_session_that_is_deleted_takes_the_new_copy_with_it(alice: User) -> None:
    """A request that read the session before it was mended must not forget the new content."""
    before = upload(alice, DATA)
    rot()
    again = upload(alice, DATA)
    remove(fresh(again))
    assert len(content_files()) == 1
    remove(before)
    assert content_files() == []
    assert not StoredFile.objects.exists()


def test_damaged_content_that_nobody_refers_to_is_swept(alice: User) -> None:
    session = upload(alice, DATA)
    damaged = rot()
    FileSession.objects.filter(pk=session.pk).delete()
    assert sweep(48).abandoned_content == 1
    assert not damaged.exists()
    assert not StoredFile.objects.exists()


def test_a_deleted_session_takes_its_damaged_content_with_it(alice: User) -> None:
    session = upload(alice, DATA)
    damaged = rot()
    remove(fresh(session))
    assert not damaged.exists()
    assert not StoredFile.objects.exists()


def test_a_damaged_copy_that_the_disk_keeps_does_not_keep_the_new_one(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that rots may well refuse to delete, too."""
    told: list[FileSession] = []

    def listen(session: FileSession, **_: object) -> None:
        told.append(session)

    def refuse(*_: object) -> None:
        raise StorageUnavailable("Input/output error")

    upload(alice, DATA)
    damaged = rot()
    upload_completed.connect(listen)
    with monkeypatch.context() as patch:
        patch.setattr(FilesystemStore, "delete", refuse)
        again = upload(alice, DATA)
    upload_completed.disconnect(listen)
    assert content_of(fresh(again)) == DATA
    assert told == [again]
    assert not staging_of(again).exists()
    assert sweep(48).abandoned_content == 1
    assert not damaged.exists()


def test_what_the_disk_refuses_to_remove_is_deleted_all_the_same(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row is gone: to say that nothing was changed would be wrong."""
    done, open_one = upload(alice, DATA), begin(alice, payload(350, seed=1))

    def refuse(*_: object) -> None:
        raise StorageUnavailable("Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(FilesystemStore, "delete", refuse)
        patch.setattr(FilesystemStore, "discard", refuse)
        remove(done)
        remove(open_one)
    assert not FileSession.objects.filter(pk=done.pk).exists()
    assert staging_of(open_one).exists()
    sweep(48)
    assert content_files() == []
    assert not staging_of(open_one).exists()
