"""What is synced, and when: `UPLOADS["DURABILITY"]`, and disks that fail to sync."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from pytest_django import Settings

from tests.support.bodies import cut, payload
from tests.support.crashes import hooked, traced
from tests.support.sessions import (
    TINY_CHUNK,
    age,
    begin,
    content_of,
    damage,
    fresh,
    send,
    send_all,
    snapshot,
    staging_of,
)
from tests.support.tasks import drop_tasks, run_tasks
from uploads import conf
from uploads.engine.durability import synced_transaction
from uploads.engine.finishing import finish
from uploads.engine.recovery import recover_all
from uploads.engine.sweeping import sweep
from uploads.errors import StorageUnavailable
from uploads.failpoints import Failpoint
from uploads.models import FileSession, SessionStatus
from uploads.signals import upload_completed

DATA = payload(350)
CHUNKS = cut(DATA, TINY_CHUNK)


@pytest.fixture
def each_chunk(settings: Settings, upload_root: Path) -> None:
    settings.UPLOADS = {"ROOT": upload_root, "DURABILITY": "chunk"}


@contextmanager
def failing_once(point: Failpoint) -> Iterator[Callable[[], bool]]:
    """The disk refuses one step; whether it has."""
    failed: list[Failpoint] = []

    def hook(reached: Failpoint) -> None:
        if reached == point and not failed:
            failed.append(point)
            raise OSError(errno.EIO, "Input/output error")

    with hooked(hook):
        yield lambda: bool(failed)


@contextmanager
def statements() -> Iterator[list[str]]:
    seen: list[str] = []

    def note(run: Any, sql: str, *args: Any) -> Any:
        seen.append(sql)
        return run(sql, *args)

    with connection.execute_wrapper(note):
        yield seen


def kinds(events: list[Any]) -> list[str]:
    return [event.split()[0] for event in events if not isinstance(event, Failpoint)]


def test_by_default_a_chunk_is_not_synced_before_it_is_acknowledged(
    alice: User, upload_root: Path
) -> None:
    session = begin(alice, DATA)
    with traced(upload_root) as trace, statements() as seen:
        send(session, 0, CHUNKS[0])
    assert kinds(trace.events) == ["create", "pwrite", "commit", "unlink"]
    assert not any("synchronous" in sql for sql in seen)


def test_with_durability_chunk_bytes_and_row_are_on_the_disk_before_the_answer(
    alice: User, upload_root: Path, each_chunk: None
) -> None:
    session = begin(alice, DATA)
    with traced(upload_root) as trace, statements() as seen:
        send(session, 0, CHUNKS[0])
    assert kinds(trace.events) == ["create", "pwrite", "fsync", "commit", "unlink"]
    if connection.vendor == "sqlite":
        assert [sql for sql in seen if "synchronous=" in sql] == [
            "PRAGMA synchronous=2",
            "PRAGMA synchronous=1",
        ]


@pytest.mark.parametrize("before", [0, 1, 2, 3])
def test_a_synced_transaction_leaves_the_database_as_careful_as_it_was(before: int) -> None:
    """It may be a host project's, which has asked for more than we do."""
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA synchronous={before}")
        with synced_transaction():
            assert cursor.execute("PRAGMA synchronous").fetchone() == (max(before, 2),)
        assert cursor.execute("PRAGMA synchronous").fetchone() == (before,)
        cursor.execute("PRAGMA synchronous=1")


def test_with_durability_chunk_a_session_is_on_the_disk_before_it_is_told(
    alice: User, upload_root: Path, each_chunk: None
) -> None:
    """Else its chunks, synced one by one, could be in a folder that a power cut takes back."""
    with traced(upload_root) as trace:
        begin(alice, DATA)
    assert kinds(trace.events)[-5:] == ["fsync"] * 4 + ["commit"]


def test_a_chunk_that_cannot_be_synced_is_not_acknowledged(alice: User, each_chunk: None) -> None:
    session = begin(alice, DATA)
    before = snapshot(session)
    with failing_once(Failpoint.DATA_SYNC), pytest.raises(StorageUnavailable):
        send(session, 0, CHUNKS[0])
    after = snapshot(session)
    assert (after.rows, after.count, after.files) == (before.rows, before.count, before.files)
    assert content_of(send_all(session, DATA)) == DATA


def test_p4_a_sync_that_fails_forgets_what_only_the_cache_holds(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel says once that a write failed; the next sync would succeed without the bytes."""
    session = begin(alice, DATA)
    for index, chunk in enumerate(CHUNKS):
        send(session, index, chunk)
    drop_tasks()
    forgotten: list[int] = []

    def forget(fd: int, offset: int, length: int, advice: int) -> None:
        if advice == os.POSIX_FADV_DONTNEED:
            forgotten.append(fd)
            # What the disk holds where the write failed.
            damage(session, 120)

    monkeypatch.setattr(os, "posix_fadvise", forget)
    with failing_once(Failpoint.DATA_SYNC), pytest.raises(StorageUnavailable):
        finish(session.pk)
    assert len(forgotten) == 1
    assert FileSession.objects.get().status == SessionStatus.ASSEMBLING
    age(session, seconds=61)
    recover_all()
    run_tasks()
    reopened = fresh(session)
    assert (reopened.status, reopened.bitmap.missing()) == (SessionStatus.ACTIVE, [1])
    send(session, 1, CHUNKS[1])
    run_tasks()
    assert content_of(fresh(session)) == DATA


@pytest.mark.parametrize(
    "point",
    [
        Failpoint.DATA_SYNC,
        Failpoint.FOLDER_SYNC,
        Failpoint.CONTENT_FOLDER,
        Failpoint.CONTENT_RENAME,
    ],
)
def test_p7_a_disk_that_refuses_a_step_of_finishing_only_delays_it(
    alice: User, point: Failpoint
) -> None:
    session = begin(alice, DATA)
    for index, chunk in enumerate(CHUNKS):
        send(session, index, chunk)
    drop_tasks()
    with failing_once(point) as failed, pytest.raises(StorageUnavailable):
        finish(session.pk)
    assert failed()
    recover_all()
    run_tasks()
    assert content_of(fresh(session)) == DATA


def test_a_disk_that_keeps_staging_keeps_nobody_from_hearing_of_the_completion(
    alice: User,
) -> None:
    told: list[FileSession] = []

    def listen(session: FileSession, **_: object) -> None:
        told.append(session)

    upload_completed.connect(listen)
    with failing_once(Failpoint.STAGING_REMOVE_FOLDER) as failed:
        session = send_all(begin(alice, DATA), DATA)
    upload_completed.disconnect(listen)
    assert failed()
    assert told == [session]
    assert content_of(session) == DATA
    sweep(48)
    assert not staging_of(session).exists()


@pytest.mark.parametrize("value", ["always", "", None, True, 1])
def test_an_unknown_durability_is_refused_with_those_there_are(value: object) -> None:
    with pytest.raises(ImproperlyConfigured, match="'file', 'chunk'"):
        conf.parse({"ROOT": "/unused", "DURABILITY": value})


@pytest.mark.parametrize(
    "point", [Failpoint.STAGING_FOLDER, Failpoint.STAGING_DATA, Failpoint.STAGING_SIZE]
)
def test_a_session_that_the_disk_refuses_leaves_nothing(
    alice: User, upload_root: Path, point: Failpoint
) -> None:
    with failing_once(point), pytest.raises(StorageUnavailable):
        begin(alice, DATA)
    staging = upload_root / "staging"
    assert not staging.exists() or not list(staging.iterdir())
    assert not FileSession.objects.exists()
