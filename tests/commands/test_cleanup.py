"""manage.py cleanup_expired_uploads (A6, B7)."""

import os
import time
from datetime import timedelta
from io import StringIO
from pathlib import Path
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.utils import timezone

from tests.support.sessions import begin, staging_of
from uploads.engine import sweeping
from uploads.errors import StorageUnavailable
from uploads.models import FileSession, SessionStatus
from uploads.storage.filesystem import FilesystemStore

DATA = bytes(250)


def cleanup(*arguments: str) -> str:
    out = StringIO()
    call_command("cleanup_expired_uploads", *arguments, stdout=out)
    return out.getvalue()


def count(output: str, row: str) -> int:
    [line] = [line for line in output.splitlines() if line.strip().startswith(row)]
    return int(line.split()[-1])


def old_session(owner: User, hours: float, status: str = "active") -> FileSession:
    session = begin(owner, DATA, sha256="")
    updated = timezone.now() - timedelta(hours=hours)
    FileSession.objects.filter(pk=session.pk).update(updated_at=updated, status=status)
    return session


def left() -> set[object]:
    return set(FileSession.objects.values_list("pk", flat=True))


@pytest.mark.parametrize("status", ["active", "expired", "failed", "cancelled"])
def test_what_nobody_continued_for_48_hours_goes_with_its_bytes(alice: User, status: str) -> None:
    gone, kept = old_session(alice, 49, status), old_session(alice, 47, status)
    (staging_of(gone) / "data").write_bytes(bytes(8192))
    output = cleanup()
    assert left() == {kept.pk}
    assert not staging_of(gone).exists()
    assert staging_of(kept).exists()
    assert count(output, "sessions purged") == 1
    assert count(output, "bytes freed") >= 8192


def test_hours_override_the_lifetime(alice: User) -> None:
    gone, kept = old_session(alice, 3), old_session(alice, 1)
    cleanup("--hours", "2")
    assert left() == {kept.pk}
    assert not staging_of(gone).exists()


def test_a_dry_run_changes_nothing_and_tells_the_same(alice: User) -> None:
    session = old_session(alice, 49)
    dry = cleanup("--dry-run")
    assert left() == {session.pk}
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
    assert count(output, "orphaned") == 1
    assert not old.exists()
    assert young.exists()
    assert staging_of(session).exists()


def test_more_sessions_than_a_batch(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "_BATCH", 2)
    for _ in range(5):
        old_session(alice, 49)
    assert count(cleanup(), "sessions purged") == 5
    assert left() == set()


@pytest.mark.parametrize("hours", ["-1", "nan", "inf", "9e9"])
def test_impossible_hours_are_refused(db: None, hours: str) -> None:
    with pytest.raises(CommandError, match="--hours"):
        cleanup("--hours", hours)


def test_a_session_that_is_receiving_is_spared(alice: User) -> None:
    session = old_session(alice, 100)
    (staging_of(session) / "incoming-x").touch()
    output = cleanup()
    assert left() == {session.pk}
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
