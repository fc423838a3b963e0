"""P7: cleanup goes on whatever one item does, and recovers what is stuck when it made room."""

import contextlib
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from tests.support.bodies import cut, payload
from tests.support.sessions import TINY_CHUNK, age, begin, content_of, fresh, send, staging_of
from tests.support.tasks import drop_tasks
from uploads.engine import leftovers, sweeping
from uploads.engine.finishing import finish
from uploads.engine.sweep_report import Sweep
from uploads.engine.sweeping import sweep
from uploads.errors import StorageFull, StorageUnavailable
from uploads.models import FileSession, SessionStatus
from uploads.storage.filesystem import FilesystemStore

DATA = payload(350)


def swept() -> tuple[Sweep, list[str]]:
    said: list[str] = []
    return sweep(48, say=said.append), said


@pytest.fixture
def old(alice: User) -> list[FileSession]:
    """Three that nobody has continued, in the order in which a sweep comes to them."""
    sessions = [begin(alice, payload(10, seed), sha256="") for seed in range(3)]
    for session in sessions:
        age(session, hours=100)
    return sorted(sessions, key=lambda session: session.pk)


@pytest.fixture
def stuck(alice: User) -> FileSession:
    session = begin(alice, DATA)
    for index, chunk in enumerate(cut(DATA, TINY_CHUNK)):
        send(session, index, chunk)
    drop_tasks()
    age(session, hours=100)
    return session


@contextlib.contextmanager
def refusing(name: str) -> Iterator[None]:
    """The disk refuses to remove this one folder of staging."""
    whole = FilesystemStore.discard_folder

    def discard(self: FilesystemStore, folder: str) -> int:
        if folder == name:
            raise StorageUnavailable("away")
        return whole(self, folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FilesystemStore, "discard_folder", discard)
        yield


def test_p7_staging_that_the_disk_refuses_to_remove_keeps_nothing_else(
    old: list[FileSession], stuck: FileSession
) -> None:
    with refusing(str(old[0].pk)):
        result, said = swept()
    # Twice: when the session expired, and as staging that no session needs.
    assert (result.refused, result.expired, result.recovered) == (2, 3, 1)
    assert any(line.startswith(f"refused staging {old[0].pk}") for line in said)
    assert [staging_of(session).exists() for session in old] == [True, False, False]
    assert content_of(fresh(stuck)) == DATA


def test_p7_an_orphaned_folder_that_the_disk_refuses_keeps_nothing_else(
    old: list[FileSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(old[0].owner, DATA, sha256="")
    FileSession.objects.filter(pk__in=[session.pk for session in old]).delete()
    monkeypatch.setattr(leftovers, "ORPHAN_AGE", -timedelta(hours=1))
    with refusing(str(old[1].pk)):
        result, _ = swept()
    assert (result.refused, result.orphaned_folders) == (1, 3)
    assert [staging_of(session).exists() for session in old] == [False, True, False]
    again, _ = swept()
    assert (again.refused, again.orphaned_folders) == (0, 1)
    assert not staging_of(old[1]).exists()


def test_p7_a_disk_too_full_to_finish_one_upload_still_lets_the_others_go(
    old: list[FileSession], stuck: FileSession
) -> None:
    def full(*_: object) -> None:
        raise StorageFull("full")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FilesystemStore, "adopt", full)
        result, _ = swept()
    assert (result.refused, result.expired) == (1, 3)
    assert not any(staging_of(session).exists() for session in old)
    assert fresh(stuck).status == SessionStatus.ASSEMBLING
    age(stuck, seconds=61)
    assert swept()[0].refused == 0
    assert content_of(fresh(stuck)) == DATA


def test_p7_what_is_stuck_comes_last_when_the_others_have_made_room(
    old: list[FileSession], stuck: FileSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = []

    def finishing(session_id: object) -> None:
        left.append([staging_of(session).exists() for session in old])
        finish(stuck.pk)

    monkeypatch.setattr(sweeping, "finish", finishing)
    swept()
    assert left == [[False, False, False]]
    assert content_of(fresh(stuck)) == DATA


def test_a6_an_expired_session_is_purged_from_its_expiry_on_so_that_it_is_seen(
    alice: User,
) -> None:
    session = begin(alice, DATA, sha256="")
    age(session, hours=49)
    FileSession.objects.update(expires_at=timezone.now() - timedelta(hours=1))
    assert fresh(session).status == SessionStatus.EXPIRED
    assert FileSession.objects.get().status == SessionStatus.EXPIRED
    swept()
    assert FileSession.objects.exists()
    assert not staging_of(session).exists()
    age(session, hours=49)
    assert swept()[0].purged["expired"] == 1
    assert not FileSession.objects.exists()


def test_p7_a_folder_that_the_disk_refuses_to_list_keeps_nothing_else(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    olds = [begin(alice, payload(10, seed), sha256="") for seed in range(3)]
    for old in olds:
        age(old, hours=100)
    bad, scandir = str(olds[1].pk), os.scandir

    def refused(path: str = ".") -> Any:
        if str(path).endswith(bad):
            raise OSError(5, "Input/output error")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    result = sweep(48, say=lambda _: None)
    assert result.refused == 1
    assert not staging_of(olds[0]).exists()
    assert not staging_of(olds[2]).exists()
