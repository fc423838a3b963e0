"""What the database itself refuses, whatever the code above it believes."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from uploads.models import (
    ALL_SCOPES,
    AccessToken,
    FileChunk,
    FileSession,
    SessionStatus,
    StoredFile,
    Usage,
)

SHA = "a" * 64
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
OPEN = [SessionStatus.ACTIVE, SessionStatus.ASSEMBLING]
ENDED = [SessionStatus.FAILED, SessionStatus.CANCELLED, SessionStatus.EXPIRED]


def make(owner: User, **given: Any) -> FileSession:
    values = {
        "filename": "f",
        "size": 10,
        "chunk_size": 5,
        "expires_at": timezone.now() + timedelta(hours=1),
        **given,
    }
    return FileSession.objects.create(owner=owner, **values)


def stored(**given: Any) -> StoredFile:
    return StoredFile.objects.create(**{"sha256": SHA, "size": 10, "state": "live", **given})


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "nonsense"},
        {"status": ""},
        {"size": -1},
        {"chunk_size": 0},
        {"chunk_size": -5},
        {"received_count": -1},
        {"status": "completed"},
        {"status": "completed", "sha256": SHA},
        {"trashed_at": LONG_AGO},
        {"status": "failed", "trashed_at": LONG_AGO},
    ],
    ids=str,
)
def test_an_impossible_session_is_refused(alice: User, wrong: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        make(alice, **wrong)


@pytest.mark.parametrize("lacking", [{"sha256": ""}, {"size": None}, {"stored_file": None}])
def test_p1_a_completed_session_has_content_size_and_hash(
    alice: User, lacking: dict[str, Any]
) -> None:
    whole = {"status": "completed", "sha256": SHA, "stored_file": stored()}
    make(alice, **whole)
    with pytest.raises(IntegrityError), transaction.atomic():
        make(alice, **{**whole, **lacking})


@pytest.mark.parametrize("first", OPEN)
@pytest.mark.parametrize("second", OPEN)
@pytest.mark.parametrize("by", [{"sha256": SHA}, {"resume_key": "key"}], ids=str)
def test_one_open_session_for_each_hash_and_each_key(
    alice: User, first: str, second: str, by: dict[str, str]
) -> None:
    make(alice, status=first, **by)
    with pytest.raises(IntegrityError), transaction.atomic():
        make(alice, status=second, **by)


@pytest.mark.parametrize("ended", ENDED)
@pytest.mark.parametrize("by", [{"sha256": SHA}, {"resume_key": "key"}], ids=str)
def test_an_ended_session_makes_room_for_another(
    alice: User, ended: str, by: dict[str, str]
) -> None:
    make(alice, status=ended, **by)
    make(alice, **by)
    assert FileSession.objects.open().count() == 1


@pytest.mark.parametrize("by", [{"sha256": SHA}, {"resume_key": "key"}], ids=str)
def test_sessions_of_other_owners_or_sizes_do_not_collide(
    alice: User, bob: User, by: dict[str, str]
) -> None:
    make(alice, **by)
    make(bob, **by)
    make(alice, size=11, **by)
    assert FileSession.objects.open().count() == 3


def test_sessions_without_hash_and_key_never_collide(alice: User) -> None:
    make(alice)
    make(alice)
    assert FileSession.objects.open().count() == 2


@pytest.mark.parametrize("wrong", [{"size": -1}, {"state": "gone"}, {"state": ""}], ids=str)
def test_impossible_content_is_refused(db: None, wrong: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        stored(**wrong)


def test_one_live_copy_of_each_content(db: None) -> None:
    stored()
    with pytest.raises(IntegrityError), transaction.atomic():
        stored()
    for state in ("pending", "deleting"):
        stored(state=state)
        stored(state=state)
    assert StoredFile.objects.count() == 5


def test_a_chunk_has_one_row(alice: User) -> None:
    """P6."""
    session = make(alice)
    FileChunk.objects.create(session=session, index=0, fingerprint=b"x" * 32)
    with pytest.raises(IntegrityError), transaction.atomic():
        FileChunk.objects.create(session=session, index=0, fingerprint=b"y" * 32)
    FileChunk.objects.create(session=make(alice), index=0, fingerprint=b"x" * 32)


def test_a_negative_chunk_is_refused(alice: User) -> None:
    session = make(alice)
    with pytest.raises(IntegrityError), transaction.atomic():
        FileChunk.objects.create(session=session, index=-1, fingerprint=b"x" * 32)


def test_content_in_use_cannot_be_deleted(alice: User) -> None:
    content = stored()
    make(alice, status="completed", sha256=SHA, stored_file=content)
    with pytest.raises(ProtectedError):
        content.delete()


@pytest.mark.parametrize("name", ["stored_bytes", "stored_files"])
def test_nobody_stores_less_than_nothing(alice: User, name: str) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Usage.objects.create(owner=alice, **{name: -1})


def test_a_user_with_uploads_cannot_be_deleted_under_them(alice: User) -> None:
    """The bytes would be left without anybody to answer for them."""
    make(alice)
    with pytest.raises(ProtectedError):
        alice.delete()


def test_a_token_digest_is_unique_and_expires_after_it_was_made(alice: User) -> None:
    now = timezone.now()
    AccessToken.objects.create(owner=alice, name="n", digest="d", created_at=now)
    with pytest.raises(IntegrityError), transaction.atomic():
        AccessToken.objects.create(owner=alice, name="n", digest="d")
    with pytest.raises(IntegrityError), transaction.atomic():
        AccessToken.objects.create(
            owner=alice, name="n", digest="e", created_at=now, expires_at=now
        )


def test_a_token_that_may_nothing_is_refused_and_one_of_before_may_all(alice: User) -> None:
    given = {"owner": alice, "name": "n"}
    nothing = {"may_read": False, "may_upload": False, "may_delete": False}
    with pytest.raises(IntegrityError), transaction.atomic():
        AccessToken.objects.create(digest="d", **given, **nothing)
    assert AccessToken.objects.create(digest="d", **given).scopes == ALL_SCOPES


def test_every_id_is_a_random_uuid(alice: User) -> None:
    assert {make(alice).pk.version, uuid.UUID(str(stored().pk)).version} == {4}


def test_the_migrations_are_up_to_date(db: None) -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
