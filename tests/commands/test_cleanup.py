"""manage.py cleanup_expired_uploads (A6, B7)."""

import os
import re
import time
from datetime import timedelta
from io import StringIO
from pathlib import Path
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.utils import timezone

from tests.support.sessions import (
    begin,
    content_files,
    content_of,
    fresh,
    staging_of,
    upload,
)
from uploads.engine import batches, leftovers
from uploads.engine.finishing import finish
from uploads.engine.trash import UNDO, trash
from uploads.engine.usage import usage_of
from uploads.errors import StorageUnavailable
from uploads.models import FileSession, SessionStatus, StoredFile, Usage
from uploads.storage.filesystem import FilesystemStore

DATA = bytes(250)


def cleanup(*arguments: str) -> str:
    out = StringIO()
    call_command("cleanup_expired_uploads", *arguments, stdout=out)
    return out.getvalue()


def count(output: str, row: str) -> int:
    table = [line.strip() for line in output.splitlines() if line.startswith("  ")]
    [line] = [line for line in table if line.startswith(row)]
    # Spared sessions are explained in brackets, and bytes are told once more in words.
    return int(re.sub(r"\(.*?\)", "", line).split()[-1])


def old_session(owner: User, hours: float, status: str = "active") -> FileSession:
    session = begin(owner, DATA, sha256="")
    updated = timezone.now() - timedelta(hours=hours)
    FileSession.objects.filter(pk=session.pk).update(updated_at=updated, status=status)
    return session


def left() -> set[object]:
    return set(FileSession.objects.values_list("pk", flat=True))


@pytest.mark.parametrize("status", ["expired", "failed", "cancelled"])
def test_b7_what_has_ended_is_forgotten_after_48_hours(alice: User, status: str) -> None:
    gone, kept = old_session(alice, 49, status), old_session(alice, 47, status)
    (staging_of(gone) / "data").write_bytes(bytes(8192))
    output = cleanup()
    assert left() == {kept.pk}
    assert not staging_of(gone).exists()
    assert count(output, "sessions purged") == count(output, status) == 1
    assert count(output, "bytes freed") >= 8192


def test_a6_what_nobody_continued_for_48_hours_expires_with_its_bytes(alice: User) -> None:
    gone, kept = old_session(alice, 49), old_session(alice, 47)
    (staging_of(gone) / "data").write_bytes(bytes(8192))
    output = cleanup()
    assert {session.pk: session.status for session in FileSession.objects.all()} == {
        gone.pk: SessionStatus.EXPIRED,
        kept.pk: SessionStatus.ACTIVE,
    }
    assert not staging_of(gone).exists()
    assert staging_of(kept).exists()
    assert (count(output, "sessions expired"), count(output, "sessions purged")) == (1, 0)
    assert count(output, "bytes freed") >= 8192


def test_a6_it_shows_as_expired_for_as_long_again_and_then_goes(alice: User) -> None:
    session = old_session(alice, 1000)
    cleanup()
    cleanup()
    assert left() == {session.pk}, "it has to be seen first, however late the cleanup came"
    FileSession.objects.update(updated_at=timezone.now() - timedelta(hours=49))
    assert count(cleanup(), "sessions purged") == 1
    assert left() == set()


def test_a_session_whose_time_is_over_expires_whatever_the_hours(alice: User) -> None:
    """Every request for it is refused already, so its bytes are of no use."""
    session = old_session(alice, 10)
    FileSession.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
    assert count(cleanup("--hours", "1000"), "sessions expired") == 1
    assert not staging_of(session).exists()


def test_hours_override_the_lifetime(alice: User) -> None:
    gone, kept = old_session(alice, 3), old_session(alice, 1)
    assert count(cleanup("--hours", "2"), "sessions expired") == 1
    assert not staging_of(gone).exists()
    assert staging_of(kept).exists()


def test_a_dry_run_changes_nothing_and_tells_the_same(alice: User) -> None:
    session = old_session(alice, 49)
    dry = cleanup("--dry-run")
    assert FileSession.objects.get().status == SessionStatus.ACTIVE
    assert staging_of(session).exists()
    assert dry.splitlines()[1:] == cleanup().splitlines()[1:]


def test_verbose_names_each_and_the_default_none(alice: User) -> None:
    first, second = old_session(alice, 49), old_session(alice, 49)
    assert str(first.pk) not in cleanup("--dry-run")
    output = cleanup("--verbose")
    assert str(first.pk) in output
    assert str(second.pk) in output


@pytest.mark.parametrize("status", ["assembling", "completed"])
def test_what_is_or_becomes_content_is_kept(alice: User, status: str) -> None:
    session = begin(alice, b"")
    FileSession.objects.update(updated_at=timezone.now() - timedelta(days=365))
    assert session.status == SessionStatus.COMPLETED
    cleanup("--hours", "0")
    assert left() == {session.pk}


def test_a_verifying_session_is_spared(alice: User) -> None:
    session = old_session(alice, 0, "assembling")
    cleanup("--hours", "0")
    assert left() == {session.pk}
    assert staging_of(session).exists()


def test_only_orphans_older_than_an_hour_go(alice: User, upload_root: Path) -> None:
    session = begin(alice, DATA)
    young, old = (upload_root / "staging" / str(uuid4()) for _ in range(2))
    for folder in (young, old):
        folder.mkdir()
        (folder / "data").write_bytes(bytes(5000))
    long_ago = time.time() - 3700
    os.utime(old, (long_ago, long_ago))
    os.utime(staging_of(session), (long_ago, long_ago))
    output = cleanup()
    assert count(output, "orphaned staging") == 1
    assert not old.exists()
    assert young.exists()
    assert staging_of(session).exists()


def test_more_sessions_than_a_batch(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH", 2)
    for _ in range(5):
        old_session(alice, 49)
    assert count(cleanup(), "sessions expired") == 5
    FileSession.objects.update(updated_at=timezone.now() - timedelta(hours=49))
    assert count(cleanup(), "sessions purged") == 5
    assert left() == set()


@pytest.mark.parametrize("option", ["--hours", "--completed-hours"])
@pytest.mark.parametrize("hours", ["-1", "nan", "inf", "9e9"])
def test_impossible_hours_are_refused(db: None, option: str, hours: str) -> None:
    with pytest.raises(CommandError, match=option):
        cleanup(option, hours)


def test_a_session_that_is_receiving_is_spared(alice: User) -> None:
    session = old_session(alice, 100)
    (staging_of(session) / "incoming-x").touch()
    output = cleanup()
    assert FileSession.objects.get().status == SessionStatus.ACTIVE
    assert staging_of(session).exists()
    assert count(output, "sessions spared") == 1


def test_p7_what_the_disk_refuses_is_counted(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    session = old_session(alice, 49)

    def refuse(*_: object) -> int:
        raise StorageUnavailable("away")

    assert count(cleanup("--dry-run"), "refused by the disk") == 0
    monkeypatch.setattr(FilesystemStore, "discard", refuse)
    output = cleanup("--verbose")
    assert count(output, "refused by the disk") == 1
    assert f"refused staging {session.pk}" in output


def completed(owner: User, hours: float, data: bytes) -> FileSession:
    session = upload(owner, data)
    # Within a test's transaction nothing that waits for its commit is run.
    finish(session.pk)
    updated = timezone.now() - timedelta(hours=hours)
    FileSession.objects.filter(pk=session.pk).update(updated_at=updated)
    return fresh(session)


def test_b7_old_completed_files_go_only_when_asked_for(alice: User) -> None:
    old, young = completed(alice, 25, b"old"), completed(alice, 23, b"young")
    cleanup()
    assert left() == {old.pk, young.pk}
    output = cleanup("--completed-hours", "24", "--verbose")
    assert left() == {young.pk}
    assert f"purge completed {old.pk}" in output
    assert (count(output, "completed"), count(output, "bytes freed")) == (1, 3)
    assert content_of(young) == b"young"
    assert len(content_files()) == 1


def test_content_that_another_upload_shares_outlives_an_old_one(alice: User, bob: User) -> None:
    old, young = completed(alice, 25, b"same"), completed(bob, 1, b"same")
    assert count(cleanup("--completed-hours", "24"), "bytes freed") == 0
    assert left() == {young.pk}
    assert content_of(young) == b"same"
    assert not FileSession.objects.filter(pk=old.pk).exists()


@pytest.mark.parametrize("status", ["completed", "cancelled", "failed", "expired"])
def test_staging_that_a_crash_kept_after_the_end_of_its_session_goes_at_once(
    alice: User, status: str
) -> None:
    session = begin(alice, DATA)
    ended = {"stored_file": StoredFile.objects.create(sha256=session.sha256, size=len(DATA))}
    FileSession.objects.update(status=status, **(ended if status == "completed" else {}))
    assert count(cleanup(), "orphaned staging") == 1
    assert not staging_of(session).exists()
    assert left() == {session.pk}


def orphaned_content(root: Path, name: str = "") -> Path:
    path = root / "content" / ("a" * 64) / (name or str(uuid4()))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(5000))
    return path


def test_content_without_a_row_goes_once_it_is_an_hour_old(
    alice: User, upload_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = completed(alice, 1, b"kept")
    orphan = orphaned_content(upload_root)
    assert count(cleanup(), "orphaned content") == 0, "its row may be about to come"
    monkeypatch.setattr(leftovers, "ORPHAN_AGE", -timedelta(hours=1))
    output = cleanup("--verbose")
    assert count(output, "orphaned content") == 1
    assert f"orphaned content {'a' * 64}" in output
    assert not orphan.exists()
    assert not orphan.parent.exists()
    assert content_of(kept) == b"kept"


def test_files_in_content_that_are_not_ours_are_left_alone(
    alice: User, upload_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    completed(alice, 1, b"kept")
    foreign = orphaned_content(upload_root, "notes.txt")
    beside = upload_root / "content" / "lost+found"
    beside.mkdir()
    monkeypatch.setattr(leftovers, "ORPHAN_AGE", -timedelta(hours=1))
    assert count(cleanup(), "orphaned content") == 0
    assert foreign.exists()
    assert beside.exists()


def test_a_new_database_beside_a_full_store_removes_nothing(
    alice: User, upload_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator who points at the wrong database must not lose every file."""
    path = orphaned_content(upload_root)
    monkeypatch.setattr(leftovers, "ORPHAN_AGE", -timedelta(hours=1))
    err = StringIO()
    call_command("cleanup_expired_uploads", stdout=StringIO(), stderr=err)
    assert path.exists()
    assert "None was removed" in err.getvalue()


def test_what_owners_deleted_goes_for_good_and_is_counted(alice: User) -> None:
    kept, gone = completed(alice, 1, DATA), completed(alice, 1, DATA[:100])
    trash(alice, [gone.pk])
    assert count(cleanup(), "deleted by their owners") == 0
    FileSession.objects.filter(pk=gone.pk).update(trashed_at=timezone.now() - UNDO)
    assert count(cleanup("--dry-run"), "deleted by their owners") == 1
    output = cleanup()
    assert count(output, "deleted by their owners") == 1
    assert count(output, "bytes freed") == 100
    assert left() == {kept.pk}
    assert len(content_files()) == 1


def test_a_wrong_sum_is_corrected_and_counted(alice: User) -> None:
    completed(alice, 1, DATA)
    Usage.objects.update(stored_bytes=1)
    assert count(cleanup("--dry-run"), "sums of users corrected") == 1
    assert usage_of(alice).stored_bytes == 1
    assert count(cleanup(), "sums of users corrected") == 1
    assert usage_of(alice).stored_bytes == len(DATA)
