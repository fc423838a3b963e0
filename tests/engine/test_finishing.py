"""Finishing: verified, adopted, and only then complete; taken up again after any crash."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from uuid import UUID

import pytest
from django.contrib.auth.models import User

from tests.support.bodies import cut, payload, sha256
from tests.support.sessions import (
    TINY_CHUNK,
    begin,
    content_files,
    content_of,
    damage,
    fresh,
    handshake,
    send,
    staging_of,
    upload,
)
from tests.support.tasks import drop_tasks, run_tasks
from tests.support.threads import at_once
from uploads.engine import finishing
from uploads.engine.completing import complete
from uploads.engine.finishing import finish
from uploads.engine.opening import Outcome
from uploads.engine.reasons import OTHER_HASH
from uploads.engine.removing import remove
from uploads.engine.transitions import ALLOWED, move
from uploads.errors import ChunksMissing, HashConflict, SessionGone, UploadError
from uploads.models import EventKind, FileSession, SessionStatus, StoredFile
from uploads.signals import upload_completed
from uploads.storage import StagedFile, get_store
from uploads.storage.filesystem import FilesystemStore

DATA = payload(350)
CHUNKS = cut(DATA, TINY_CHUNK)


class Crash(BaseException):
    """The process ends here."""


def crash(*args: object, **kwargs: object) -> None:
    raise Crash


@pytest.fixture
def assembling(alice: User) -> FileSession:
    """All chunks in, the verifier not begun."""
    session = begin(alice, DATA)
    for index, chunk in enumerate(CHUNKS):
        send(session, index, chunk)
    drop_tasks()
    assert fresh(session).status == SessionStatus.ASSEMBLING
    return fresh(session)


def test_c5_completion_is_what_the_server_computed_from_the_disk(assembling: FileSession) -> None:
    finish(assembling.pk)
    done = fresh(assembling)
    assert (done.status, done.sha256) == (SessionStatus.COMPLETED, sha256(DATA))
    assert content_of(done) == DATA
    assert not staging_of(done).exists()


def test_p1_a_wrong_declared_hash_fails_and_names_both(alice: User) -> None:
    session = upload(alice, DATA, sha256="f" * 64)
    assert session.status == SessionStatus.FAILED
    assert session.error == OTHER_HASH
    detail = session.events.get(kind=EventKind.FAILED).detail
    assert detail == f"SHA-256 {sha256(DATA)} ≠ {'f' * 64}"
    assert not StoredFile.objects.exists()
    assert not staging_of(session).exists()


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("damaged", [[0], [1, 3], [0, 1, 2, 3]], ids=str)
def test_p4_damaged_chunks_alone_are_missing_again(
    alice: User, declared: bool, damaged: list[int]
) -> None:
    session = begin(alice, DATA, sha256=sha256(DATA) if declared else "")
    for index, chunk in enumerate(CHUNKS):
        send(session, index, chunk)
    for index in damaged:
        damage(session, index * TINY_CHUNK + 7)
    if not declared:
        complete(fresh(session))
    run_tasks()
    reopened = fresh(session)
    assert (reopened.status, reopened.bitmap.missing()) == (SessionStatus.ACTIVE, damaged)
    assert reopened.received_count == 4 - len(damaged)
    for index in damaged:
        send(session, index, CHUNKS[index])
    if not declared:
        complete(fresh(session))
    run_tasks()
    assert content_of(fresh(session)) == DATA


def test_p4_a_file_cut_short_by_a_power_loss_is_repaired(assembling: FileSession) -> None:
    with (staging_of(assembling) / "data").open("r+b") as file:
        file.truncate(150)
    finish(assembling.pk)
    assert fresh(assembling).bitmap.missing() == [1, 2, 3]
    for index in (1, 2, 3):
        send(assembling, index, CHUNKS[index])
    run_tasks()
    assert content_of(fresh(assembling)) == DATA


def test_p7_several_verifiers_at_once_complete_it_once(assembling: FileSession) -> None:
    told = []

    def listen(session: FileSession, **_: object) -> None:
        told.append(session.pk)

    upload_completed.connect(listen)
    try:
        results = at_once([lambda: finish(assembling.pk)] * 4)
    finally:
        upload_completed.disconnect(listen)
    assert results == [None] * 4
    assert told == [assembling.pk]
    assert content_of(fresh(assembling)) == DATA
    assert len(content_files()) == StoredFile.objects.count() == 1


def _before_rename(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(FilesystemStore, "adopt", crash)


def _after_rename(patch: pytest.MonkeyPatch) -> None:
    whole = FilesystemStore.adopt

    def adopt(*args: object, **kwargs: object) -> None:
        whole(*args, **kwargs)  # type: ignore[arg-type]
        raise Crash

    patch.setattr(FilesystemStore, "adopt", adopt)


def _before_sync(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(finishing, "_adopt", crash)


@pytest.mark.parametrize("at", [_before_sync, _before_rename, _after_rename])
def test_p7_a_crash_at_any_step_is_finished_by_the_next_run(
    assembling: FileSession, at: Callable[[pytest.MonkeyPatch], None]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        at(patch)
        with pytest.raises(Crash):
            finish(assembling.pk)
    assert fresh(assembling).status == SessionStatus.ASSEMBLING
    assert handshake(assembling.owner, DATA)[0] == Outcome.RESUMED
    finish(assembling.pk)
    assert content_of(fresh(assembling)) == DATA
    assert [row.state for row in StoredFile.objects.all()] == ["live"]
    assert len(content_files()) == 1
    assert not staging_of(assembling).exists()


@pytest.mark.parametrize("at", [_before_rename, _after_rename])
def test_p7_a_crash_before_another_copy_went_live_leaves_one_copy(
    assembling: FileSession, bob: User, at: Callable[[pytest.MonkeyPatch], None]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        at(patch)
        with pytest.raises(Crash):
            finish(assembling.pk)
    theirs = upload(bob, DATA)
    finish(assembling.pk)
    assert fresh(assembling).stored_file == theirs.stored_file
    assert content_of(fresh(assembling)) == DATA


def test_the_signal_comes_last_when_everything_is_in_place(assembling: FileSession) -> None:
    seen = []

    def listen(session: FileSession, **_: object) -> None:
        seen.append((session.status, staging_of(session).exists(), content_of(session)))

    upload_completed.connect(listen)
    try:
        finish(assembling.pk)
        finish(assembling.pk)
    finally:
        upload_completed.disconnect(listen)
    assert seen == [(SessionStatus.COMPLETED, False, DATA)]


def test_two_users_share_one_copy_and_the_last_takes_it_away(alice: User, bob: User) -> None:
    first, second = upload(alice, DATA), upload(bob, DATA)
    assert first.stored_file == second.stored_file
    assert len(content_files()) == 1
    remove(first)
    assert content_of(fresh(second)) == DATA
    remove(second)
    assert content_files() == []
    assert not StoredFile.objects.exists()


def test_the_same_content_at_once_by_many_is_one_copy(alice: User, bob: User) -> None:
    sessions = []
    for owner in (alice, bob):
        session = begin(owner, DATA)
        for index, chunk in enumerate(CHUNKS):
            send(session, index, chunk)
        sessions.append(session)
    drop_tasks()
    results = at_once([lambda s=s: finish(s.pk) for s in sessions])  # type: ignore[misc]
    assert results == [None, None]
    assert {content_of(fresh(session)) for session in sessions} == {DATA}
    assert len(content_files()) == StoredFile.objects.count() == 1


def test_p1_complete_with_chunks_missing_is_refused(alice: User) -> None:
    """B10."""
    session = begin(alice, DATA, sha256="")
    send(session, 2, CHUNKS[2])
    with pytest.raises(ChunksMissing) as refusal:
        complete(fresh(session))
    assert refusal.value.members == {"missing": [0, 1, 3]}


def test_complete_is_idempotent_and_takes_no_other_hash(alice: User) -> None:
    session = upload(alice, DATA, sha256="")
    complete(session, sha256(DATA))
    assert complete(fresh(session)).status == SessionStatus.ASSEMBLING
    run_tasks()
    assert complete(fresh(session), sha256(DATA)).status == SessionStatus.COMPLETED
    with pytest.raises(HashConflict):
        complete(fresh(session), "f" * 64)


def test_a_hash_of_another_open_upload_is_refused_by_complete(alice: User) -> None:
    session = upload(alice, DATA, sha256="")
    begin(alice, DATA)
    with pytest.raises(HashConflict):
        complete(session, sha256(DATA))
    assert fresh(session).status == SessionStatus.ACTIVE


def test_cancelling_during_the_verification_wins(
    assembling: FileSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = finishing._verify

    def cancelled_meanwhile(session: FileSession, data: object) -> str | None:
        computed = verify(session, data)  # type: ignore[arg-type]
        remove(fresh(session))
        return computed

    monkeypatch.setattr(finishing, "_verify", cancelled_meanwhile)
    finish(assembling.pk)
    assert fresh(assembling).status == SessionStatus.CANCELLED
    assert not StoredFile.objects.exists()
    assert content_files() == []
    assert not staging_of(assembling).exists()


@pytest.mark.parametrize("status", ["active", "assembling"])
def test_cancelling_an_open_upload_removes_its_bytes(assembling: FileSession, status: str) -> None:
    FileSession.objects.filter(pk=assembling.pk).update(status=status)
    remove(fresh(assembling))
    assert fresh(assembling).status == SessionStatus.CANCELLED
    assert not staging_of(assembling).exists()
    with pytest.raises(SessionGone):
        remove(fresh(assembling))


def test_deleting_a_failed_upload_forgets_it(alice: User) -> None:
    session = upload(alice, DATA, sha256="f" * 64)
    remove(session)
    assert not FileSession.objects.exists()


@pytest.mark.parametrize("source", list(SessionStatus))
@pytest.mark.parametrize("target", list(SessionStatus))
def test_every_allowed_move_works_and_every_other_is_an_error(
    assembling: FileSession, source: SessionStatus, target: SessionStatus
) -> None:
    stored = StoredFile.objects.create(sha256=sha256(DATA), size=350)
    FileSession.objects.filter(pk=assembling.pk).update(status=source, stored_file=stored)
    if target not in ALLOWED[source]:
        with pytest.raises(ValueError, match="never goes"):
            move(assembling.pk, source, target)
        return
    assert move(assembling.pk, source, target)
    assert not move(assembling.pk, source, target), "a lost race is told by False"


def test_a_session_that_is_not_assembling_is_left_alone(alice: User) -> None:
    session = begin(alice, DATA)
    finish(session.pk)
    assert fresh(session).status == SessionStatus.ACTIVE


def test_a_full_disk_leaves_the_session_assembling(
    assembling: FileSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    from uploads.errors import StorageFull

    def full(*args: object) -> None:
        raise StorageFull("full")

    with monkeypatch.context() as patch:
        patch.setattr(FilesystemStore, "adopt", full)
        with pytest.raises(UploadError):
            finish(assembling.pk)
    assert fresh(assembling).status == SessionStatus.ASSEMBLING
    finish(assembling.pk)
    assert content_of(fresh(assembling)) == DATA


def _other_verifier_crashes(session_id: UUID) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            finishing, "_commit_completion", lambda _, __, pending: crash() if pending else None
        )
        with pytest.raises(Crash):
            finish(session_id)


@pytest.mark.parametrize("other", [_other_verifier_crashes, finish], ids=["crashes", "completes"])
def test_p1_p7_a_verifier_that_looked_before_another_renamed_loses_nothing(
    assembling: FileSession, monkeypatch: pytest.MonkeyPatch, other: Callable[[UUID], None]
) -> None:
    """The staged file was there at its look and is content at its open: that is no loss."""
    whole = FilesystemStore.open

    def opened(self: FilesystemStore, session_id: UUID) -> AbstractContextManager[StagedFile]:
        monkeypatch.setattr(FilesystemStore, "open", whole)
        other(session_id)
        return whole(self, session_id)

    monkeypatch.setattr(FilesystemStore, "open", opened)
    finish(assembling.pk)
    assert fresh(assembling).status == SessionStatus.COMPLETED, fresh(assembling).error
    assert content_of(fresh(assembling)) == DATA
    assert [row.state for row in StoredFile.objects.all()] == ["live"]
    assert len(content_files()) == 1


def test_bytes_lost_from_staging_fail_the_session_saying_so(assembling: FileSession) -> None:
    get_store().discard(assembling.pk)
    finish(assembling.pk)
    failed = fresh(assembling)
    assert failed.status == SessionStatus.FAILED
    assert "missing on the server" in failed.error
    assert not StoredFile.objects.exists()


def test_bytes_lost_after_the_rename_fail_the_session_and_leave_no_row(
    assembling: FileSession,
) -> None:
    _other_verifier_crashes(assembling.pk)
    [path] = content_files()
    path.unlink()
    finish(assembling.pk)
    failed = fresh(assembling)
    assert failed.status == SessionStatus.FAILED
    assert "missing on the server" in failed.error
    assert not StoredFile.objects.exists()


def test_p1_bytes_beyond_the_declared_size_are_never_part_of_the_content(
    assembling: FileSession,
) -> None:
    with (staging_of(assembling) / "data").open("ab") as file:
        file.write(b"extra")
    finish(assembling.pk)
    assert fresh(assembling).status == SessionStatus.COMPLETED
    assert content_of(fresh(assembling)) == DATA
