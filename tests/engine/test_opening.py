"""The handshake: a new session, the same again, or content that is there already (A2)."""

import shutil
from collections import namedtuple
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from pytest_django import Settings

from tests.support.bodies import cut, payload, sha256
from tests.support.sessions import (
    TINY_CHUNK,
    begin,
    content_files,
    content_of,
    fresh,
    handshake,
    send,
    send_all,
    staged,
    staging_of,
    upload,
)
from tests.support.threads import at_once
from uploads.core.plan import MIB, MIN_CHUNK_SIZE
from uploads.engine import opening
from uploads.engine.opening import Offer, Outcome, open_session
from uploads.engine.removing import remove
from uploads.errors import (
    DigestMismatch,
    StorageFull,
    StorageUnavailable,
    TooLarge,
    WrongState,
)
from uploads.failpoints import Failpoint, set_hook
from uploads.models import FileSession, SessionStatus
from uploads.signals import upload_completed
from uploads.storage import get_store
from uploads.storage.filesystem import FilesystemStore

DATA = payload(350)
OTHER = payload(350, seed=1)


def test_a_new_file_gets_a_session_with_sparse_staging(alice: User) -> None:
    outcome, session = handshake(alice, DATA, mime_type="text/plain")
    assert outcome == Outcome.CREATED
    assert (session.size, session.plan.total, session.mime_type) == (350, 4, "text/plain")
    assert session.bitmap.missing() == [0, 1, 2, 3]
    assert staged(session) == bytes(350)


def test_the_default_chunk_size_is_five_mebibytes(alice: User) -> None:
    session = begin(alice, DATA, chunk_size=None)
    assert session.chunk_size == 5 * MIB


def test_the_chunk_size_grows_with_the_file(alice: User) -> None:
    offer = Offer("big", 10_000 * MIN_CHUNK_SIZE + 1, chunk_size=MIN_CHUNK_SIZE)
    _, session = open_session(alice, offer)
    assert session.chunk_size > MIN_CHUNK_SIZE
    assert session.plan.total <= 10_000


def test_the_same_handshake_again_resumes_by_hash(alice: User) -> None:
    first = begin(alice, DATA)
    send(first, 2, cut(DATA, TINY_CHUNK)[2])
    outcome, second = handshake(alice, DATA)
    assert (outcome, second.pk) == (Outcome.RESUMED, first.pk)
    assert second.bitmap.missing() == [0, 1, 3]


def test_a_resume_keeps_the_grid_of_the_first_handshake(alice: User) -> None:
    first = begin(alice, DATA)
    outcome, second = handshake(alice, DATA, chunk_size=50)
    assert (outcome, second.chunk_size) == (Outcome.RESUMED, first.chunk_size)


def test_a_resume_lets_the_session_live_on(alice: User) -> None:
    session = begin(alice, DATA)
    soon = timezone.now() + timedelta(minutes=5)
    FileSession.objects.filter(pk=session.pk).update(expires_at=soon)
    handshake(alice, DATA)
    assert fresh(session).expires_at > soon + timedelta(hours=40)


def test_a_key_finds_the_session_before_the_hash_is_known(alice: User) -> None:
    first = begin(alice, DATA, sha256="", resume_key="key")
    outcome, second = handshake(alice, DATA, sha256="", resume_key="key")
    assert (outcome, second.pk) == (Outcome.RESUMED, first.pk)


def test_without_hash_and_key_nothing_is_found_again(alice: User) -> None:
    begin(alice, DATA, sha256="")
    assert handshake(alice, DATA, sha256="")[0] == Outcome.CREATED


def test_a_file_of_another_size_is_another_file(alice: User) -> None:
    begin(alice, DATA, resume_key="key")
    assert handshake(alice, DATA[:-1], sha256=sha256(DATA))[0] == Outcome.CREATED
    assert handshake(alice, DATA[:-2], sha256="", resume_key="key")[0] == Outcome.CREATED


def test_a_resume_by_key_declares_the_hash(alice: User) -> None:
    first = begin(alice, DATA, sha256="", resume_key="key")
    outcome, second = handshake(alice, DATA, resume_key="key")
    assert (outcome, second.pk, second.sha256) == (Outcome.RESUMED, first.pk, sha256(DATA))
    assert fresh(first).sha256 == sha256(DATA)


def test_declaring_the_hash_of_a_whole_file_verifies_it(alice: User) -> None:
    session = upload(alice, DATA, sha256="", resume_key="key")
    assert session.status == SessionStatus.ACTIVE
    handshake(alice, DATA, resume_key="key")
    assert fresh(session).status == SessionStatus.COMPLETED


def test_declaring_a_wrong_hash_of_a_whole_file_fails_it(alice: User) -> None:
    """P1."""
    session = upload(alice, DATA, sha256="", resume_key="key")
    handshake(alice, DATA, resume_key="key", sha256=sha256(OTHER))
    assert fresh(session).status == SessionStatus.FAILED


def test_another_file_takes_the_key_over_and_the_first_stays_resumable(alice: User) -> None:
    first = begin(alice, DATA, resume_key="key")
    outcome, second = handshake(alice, OTHER, resume_key="key")
    assert outcome == Outcome.CREATED
    assert handshake(alice, OTHER, sha256="", resume_key="key")[1].pk == second.pk
    assert handshake(alice, DATA)[1].pk == first.pk


def test_complete_content_of_one_s_own_is_not_sent_again(alice: User) -> None:
    first = upload(alice, DATA)
    outcome, second = handshake(alice, DATA)
    assert (outcome, second.pk) == (Outcome.FILE_EXISTS, first.pk)
    assert second.bitmap.missing() == []


@pytest.mark.parametrize("called", [{"filename": "other.bin"}, {"folder": "photos/2026"}], ids=str)
def test_complete_content_is_had_under_another_name_without_being_sent(
    alice: User, called: dict[str, str]
) -> None:
    first = upload(alice, DATA)
    outcome, second = handshake(alice, DATA, **called)
    assert (outcome, second.status) == (Outcome.FILE_EXISTS, SessionStatus.COMPLETED)
    assert second.pk != first.pk
    assert (second.filename, second.folder) == (
        called.get("filename", "file.bin"),
        called.get("folder", ""),
    )
    assert second == fresh(second)
    assert (second.stored_file_id, second.sha256) == (first.stored_file_id, first.sha256)
    assert (second.bitmap.missing(), second.progress) == ([], 100.0)
    assert [event.kind for event in second.events.order_by("pk")] == ["opened", "completed"]
    # Each is found by its own name from now on.
    assert handshake(alice, DATA)[1].pk == first.pk
    assert handshake(alice, DATA, **called)[1].pk == second.pk
    assert FileSession.objects.count() == 2


def test_a_copy_of_an_empty_file(alice: User) -> None:
    begin(alice, b"")
    outcome, second = handshake(alice, b"", filename="other.bin")
    assert (outcome, second.received_count, content_of(second)) == (Outcome.FILE_EXISTS, 0, b"")


def test_whoever_waits_for_completed_uploads_hears_of_a_copy(alice: User) -> None:
    upload(alice, DATA)
    heard: list[FileSession] = []

    def hear(session: FileSession, **_: object) -> None:
        heard.append(session)

    upload_completed.connect(hear)
    try:
        session = begin(alice, DATA, folder="copies")
        begin(alice, DATA, folder="copies")
    finally:
        upload_completed.disconnect(hear)
    assert heard == [session]


def test_a_chunk_for_a_copy_is_refused_for_good(alice: User) -> None:
    """It has no fingerprints to compare with, and asking to send it again would never end."""
    upload(alice, DATA)
    session = begin(alice, DATA, folder="copies")
    with pytest.raises(WrongState, match="complete already"):
        send(session, 0, DATA[:TINY_CHUNK])
    assert content_of(fresh(session)) == DATA


def test_a_copy_outlives_what_it_was_made_of(alice: User) -> None:
    first = upload(alice, DATA)
    second = begin(alice, DATA, folder="copies")
    remove(first)
    assert content_of(fresh(second)) == DATA
    remove(fresh(second))
    assert not content_files()


def test_the_same_copies_at_once_are_one(alice: User) -> None:
    upload(alice, DATA)
    results = at_once([lambda: handshake(alice, DATA, folder="copies")] * 6)
    ids = {result[1].pk for result in results if not isinstance(result, Exception)}
    assert len(ids) == 1, results
    assert FileSession.objects.count() == 2


def test_content_that_goes_during_the_handshake_is_sent_again(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = upload(alice, DATA)

    def removed_meanwhile(owner: User, offer: Offer) -> FileSession:
        if FileSession.objects.filter(pk=first.pk).exists():
            remove(first)
        return new_session(owner, offer)

    new_session = opening._new_session
    monkeypatch.setattr(opening, "_new_session", removed_meanwhile)
    outcome, session = handshake(alice, DATA, folder="copies")
    assert (outcome, session.bitmap.missing()) == (Outcome.CREATED, [0, 1, 2, 3])


def test_a_key_is_never_a_proof_of_existing_content(alice: User) -> None:
    upload(alice, DATA, resume_key="key")
    assert handshake(alice, DATA, sha256="", resume_key="key")[0] == Outcome.CREATED


def test_p9_another_user_s_content_does_not_exist_for_the_asker(alice: User, bob: User) -> None:
    upload(alice, DATA)
    outcome, session = handshake(bob, DATA)
    assert outcome == Outcome.CREATED
    assert session.bitmap.missing() == [0, 1, 2, 3]


def test_p9_another_user_s_open_session_is_not_resumed(alice: User, bob: User) -> None:
    first = begin(alice, DATA, resume_key="key")
    outcome, second = handshake(bob, DATA, resume_key="key")
    assert outcome == Outcome.CREATED
    assert second.pk != first.pk


def test_deleted_content_has_to_be_sent_again(alice: User) -> None:
    remove(upload(alice, DATA))
    assert handshake(alice, DATA)[0] == Outcome.CREATED


@pytest.mark.parametrize("status", ["failed", "cancelled", "expired"])
@pytest.mark.parametrize("by_key", [False, True])
def test_an_ended_session_is_never_resumed(alice: User, status: str, by_key: bool) -> None:
    given = {"sha256": "", "resume_key": "key"} if by_key else {}
    first = begin(alice, DATA, **given)
    FileSession.objects.filter(pk=first.pk).update(status=status)
    outcome, second = handshake(alice, DATA, **given)
    assert outcome == Outcome.CREATED
    assert second.pk != first.pk


@pytest.mark.parametrize("by_key", [False, True])
def test_b10_a_session_past_its_time_is_expired_and_begun_anew(alice: User, by_key: bool) -> None:
    given = {"sha256": "", "resume_key": "key"} if by_key else {}
    first = begin(alice, DATA, **given)
    FileSession.objects.filter(pk=first.pk).update(expires_at=timezone.now())
    outcome, second = handshake(alice, DATA, **given)
    assert outcome == Outcome.CREATED
    assert second.pk != first.pk
    first.refresh_from_db()
    assert first.status == SessionStatus.EXPIRED


@pytest.mark.parametrize("declared", ["", sha256(b"")])
def test_an_empty_file_completes_at_once(alice: User, declared: str) -> None:
    outcome, session = handshake(alice, b"", sha256=declared)
    assert (outcome, session.status) == (Outcome.CREATED, SessionStatus.COMPLETED)
    assert session.sha256 == sha256(b"")
    assert content_of(session) == b""
    assert not staging_of(session).exists()


def test_an_empty_file_exists_the_second_time(alice: User) -> None:
    begin(alice, b"")
    assert handshake(alice, b"")[0] == Outcome.FILE_EXISTS


def test_an_empty_file_with_another_hash_is_refused_at_once(alice: User) -> None:
    with pytest.raises(DigestMismatch) as refusal:
        handshake(alice, b"", sha256=sha256(DATA))
    assert refusal.value.members == {"expected": sha256(DATA), "actual": sha256(b"")}
    assert not FileSession.objects.exists()


def test_a_file_over_the_limit_is_refused_before_anything_is_made(
    alice: User, settings: Settings, upload_root: Path
) -> None:
    settings.UPLOADS = {"ROOT": upload_root, "MAX_FILE_SIZE": 349}
    with pytest.raises(TooLarge) as refusal:
        handshake(alice, DATA)
    assert refusal.value.members == {"limit": 349}
    assert handshake(alice, DATA[:-1])[0] == Outcome.CREATED
    assert FileSession.objects.count() == 1


def test_a_file_that_has_no_room_is_refused_before_anything_is_sent(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1000, 651, 349))
    with pytest.raises(StorageFull):
        handshake(alice, DATA)
    assert not FileSession.objects.exists()


@pytest.mark.parametrize("given", [{}, {"sha256": "", "resume_key": "key"}], ids=["hash", "key"])
def test_handshakes_at_the_same_moment_share_one_session(
    alice: User, given: dict[str, str], upload_root: Path
) -> None:
    """B4."""
    results = at_once([lambda: handshake(alice, DATA, **given)] * 6)
    outcomes = [result[0] for result in results if not isinstance(result, Exception)]
    assert sorted(outcomes) == ["created", *["resumed"] * 5]
    assert FileSession.objects.count() == 1
    assert len(list((upload_root / "staging").iterdir())) == 1


def test_a_session_without_its_staging_never_appears(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Staging comes before the row: a chunk may follow the handshake at once."""

    def saved(self: FileSession, **kwargs: object) -> None:
        assert staging_of(self).exists()
        raise KeyboardInterrupt

    monkeypatch.setattr(FileSession, "save", saved)
    with pytest.raises(KeyboardInterrupt):
        handshake(alice, DATA)
    assert not FileSession.objects.exists()


def test_a_refused_handshake_takes_no_key_from_an_older_session(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no room for the new file, so the old one must stay resumable by its key."""
    first = begin(alice, DATA, resume_key="key")
    usage = namedtuple("usage", "total used free")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage(1000, 651, 349))
        with pytest.raises(StorageFull):
            handshake(alice, OTHER, resume_key="key")
    assert handshake(alice, DATA, sha256="", resume_key="key") == (Outcome.RESUMED, first)


def test_a_handshake_whose_staging_cannot_be_made_takes_no_key_either(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = begin(alice, DATA, resume_key="key")

    def refuse(*_: object, **__: object) -> None:
        raise StorageUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(FilesystemStore, "create", refuse)
        with pytest.raises(StorageUnavailable):
            handshake(alice, OTHER, resume_key="key")
    assert handshake(alice, DATA, sha256="", resume_key="key") == (Outcome.RESUMED, first)


def test_a_file_that_completes_during_its_handshake_is_not_begun_anew(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by chaos: open when complete ones are looked for, complete when open ones are."""
    session = begin(alice, DATA)
    look = opening._open_by_hash

    def completed_meanwhile(owner: User, offer: Offer) -> FileSession | None:
        send_all(session, DATA)
        return look(owner, offer)

    with monkeypatch.context() as patch:
        patch.setattr(opening, "_open_by_hash", completed_meanwhile)
        assert handshake(alice, DATA) == (Outcome.FILE_EXISTS, session)
    assert FileSession.objects.count() == 1
    assert not any(get_store().staging_folders())


def test_p3_no_handshake_makes_a_disk_that_is_not_mounted_look_empty(
    alice: User, upload_root: Path
) -> None:
    """Its folders, made anew, would say that everything received has been lost."""
    session = begin(alice, DATA)
    send(session, 0, DATA[:TINY_CHUNK])
    away = upload_root.with_name("away")
    upload_root.rename(away)
    with pytest.raises(StorageUnavailable):
        begin(alice, OTHER)
    with pytest.raises(StorageUnavailable):
        send(session, 1, DATA[TINY_CHUNK : 2 * TINY_CHUNK])
    assert not upload_root.exists()
    away.rename(upload_root)
    assert fresh(session).bitmap.missing() == [1, 2, 3]
    assert content_of(send_all(session, DATA)) == DATA


def test_a_handshake_that_waited_for_the_database_makes_no_session_older(alice: User) -> None:
    session = begin(alice, DATA)

    def wait(point: Failpoint) -> None:
        """Another request says that the session lives, after this one has looked at the clock."""
        if point == Failpoint.SESSION_TOUCH:
            FileSession.objects.update(updated_at=later, expires_at=later + timedelta(days=2))

    later = timezone.now() + timedelta(seconds=5)
    before = set_hook(wait)
    try:
        handshake(alice, DATA)
    finally:
        set_hook(before)
    current = fresh(session)
    assert (current.updated_at, current.expires_at) == (later, later + timedelta(days=2))
