"""What happened when: the story of each upload, told by the transactions that make it."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.support.bodies import cut, flipped, payload
from tests.support.sessions import (
    TINY_CHUNK,
    age,
    begin,
    content_files,
    damage,
    fresh,
    handshake,
    send,
    send_all,
    upload,
)
from tests.support.tasks import run_tasks
from uploads.engine import transitions
from uploads.engine.removing import remove
from uploads.engine.rereading import damaged_content, reread_content, reread_damaged
from uploads.engine.sweeping import sweep
from uploads.engine.trash import restore, trash
from uploads.models import FileSession, SessionEvent, SessionStatus

DATA = payload(350)
CHUNKS = cut(DATA, TINY_CHUNK)


def story(session: FileSession) -> list[str]:
    return list(session.events.order_by("at", "pk").values_list("kind", flat=True))


def test_an_upload_from_its_beginning_to_its_end(alice: User) -> None:
    assert story(upload(alice, DATA)) == ["opened", "received", "completed"]


@pytest.mark.parametrize("ago", [59, 61])
def test_a_handshake_continues_what_was_quiet_for_over_a_minute(alice: User, ago: int) -> None:
    session = begin(alice, DATA)
    age(session, seconds=ago)
    handshake(alice, DATA)
    assert story(session) == ["opened"] + ["continued"] * (ago > 60)


def test_a_chunk_after_long_is_no_continuation(alice: User) -> None:
    """Its handshake is what says that somebody came back."""
    session = begin(alice, DATA)
    age(session, hours=1)
    send(session, 0, CHUNKS[0])
    assert story(session) == ["opened"]


def test_nothing_is_told_of_a_chunk_that_is_not_the_last(alice: User) -> None:
    session = begin(alice, DATA)
    with CaptureQueriesContext(connection) as queries:
        send(session, 1, CHUNKS[1])
    assert not any(SessionEvent._meta.db_table in query["sql"] for query in queries)
    assert len(queries) > 0


def test_damaged_chunks_are_counted(alice: User) -> None:
    session = begin(alice, DATA)
    for index, chunk in enumerate(CHUNKS):
        send(session, index, chunk)
    damage(session, 0)
    damage(session, 120)
    run_tasks()
    assert story(session) == ["opened", "received", "reopened"]
    assert session.events.get(kind="reopened").detail == "2"
    send_all(session, DATA)
    assert story(session)[3:] == ["received", "completed"]


def test_a_wrong_hash_and_a_cancellation_end_the_story(alice: User) -> None:
    assert story(upload(alice, DATA, sha256="f" * 64)) == ["opened", "received", "failed"]
    cancelled = begin(alice, DATA)
    remove(cancelled)
    assert story(cancelled) == ["opened", "cancelled"]


@pytest.mark.parametrize("by", [fresh, lambda _: sweep(48)], ids=["asking", "the sweep"])
def test_a_session_expires_once(alice: User, by: Callable[[FileSession], object]) -> None:
    session = begin(alice, DATA)
    FileSession.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    for _ in range(2):
        by(session)
    assert story(session) == ["opened", "expired"]


def test_the_trash_and_back(alice: User) -> None:
    session = upload(alice, DATA)
    trash(alice, [session.pk])
    restore(alice, [session.pk])
    assert story(session)[3:] == ["trashed", "restored"]


def test_rot_and_its_mending_are_told_to_everybody_who_has_the_content(
    alice: User, bob: User
) -> None:
    sessions = [upload(alice, DATA), upload(bob, DATA)]
    other = upload(alice, DATA[:200])
    _rot(sessions[0])
    again = upload(alice, DATA)
    for session in sessions:
        assert story(session)[3:] == ["damaged", "mended"]
    assert story(other) == story(again) == ["opened", "received", "completed"]


def test_content_that_an_operator_has_brought_back_is_mended_too(alice: User) -> None:
    session = upload(alice, DATA)
    _rot(session)
    [path] = content_files()
    path.write_bytes(DATA)
    list(reread_damaged(damaged_content()))
    assert story(session)[3:] == ["damaged", "mended"]


def test_a_deleted_session_leaves_no_story(alice: User) -> None:
    remove(upload(alice, DATA))
    failed = upload(alice, DATA, sha256="f" * 64)
    age(failed, hours=49)
    sweep(48)
    assert not FileSession.objects.exists()
    assert not SessionEvent.objects.exists()


def test_a_change_whose_event_cannot_be_told_does_not_happen(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = begin(alice, DATA)

    def fail(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(transitions, "record", fail)
    with pytest.raises(OSError):  # noqa: PT011 (it is this test's own)
        remove(session)
    assert fresh(session).status == SessionStatus.ACTIVE


def _rot(session: FileSession) -> None:
    """Its stored file is damaged, and found out."""
    [path] = [path for path in content_files() if path.name == str(session.stored_file_id)]
    path.write_bytes(flipped(path.read_bytes(), 7))
    list(reread_content(timezone.now()))
