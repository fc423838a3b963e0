"""Deleting with a moment to think again: trash, restore, and the purge that comes later."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from tests.support.bodies import payload
from tests.support.scenarios import assert_sums
from tests.support.sessions import begin, content_files, content_of, fresh, handshake, upload
from tests.support.threads import at_once
from uploads.engine import recovery, trash
from uploads.engine.opening import Outcome
from uploads.engine.removing import remove
from uploads.engine.sweeping import sweep
from uploads.errors import SessionNotFound
from uploads.models import FileSession, SessionStatus

DATA = payload(350)


def trashed(owner: User, data: bytes = DATA, ago: timedelta = timedelta()) -> FileSession:
    session = upload(owner, data)
    trash.trash(owner, [session.pk])
    FileSession.objects.filter(pk=session.pk).update(trashed_at=timezone.now() - ago)
    return session


def test_what_is_trashed_is_gone_for_everybody(alice: User) -> None:
    session = upload(alice, DATA)
    assert trash.trash(alice, [session.pk]) == [session]
    with pytest.raises(SessionNotFound):
        fresh(session)
    assert handshake(alice, DATA)[0] == Outcome.CREATED
    assert_sums()


def test_what_is_restored_is_as_it_was(alice: User) -> None:
    session = upload(alice, DATA)
    trash.trash(alice, [session.pk])
    assert trash.restore(alice, [session.pk]) == [session]
    again = fresh(session)
    assert content_of(again) == DATA
    assert (again.updated_at, again.trashed_at) == (session.updated_at, None)
    assert_sums()


def test_only_what_is_completed_goes_to_the_trash(alice: User) -> None:
    session = begin(alice, DATA)
    assert trash.trash(alice, [session.pk]) == []
    assert fresh(session).status == SessionStatus.ACTIVE


def test_p9_nobody_trashes_or_restores_what_is_another_s(alice: User, bob: User) -> None:
    session = upload(alice, DATA)
    assert trash.trash(bob, [session.pk]) == []
    assert content_of(fresh(session)) == DATA
    trash.trash(alice, [session.pk])
    assert trash.restore(bob, [session.pk]) == trash.restorable(bob) == []
    assert_sums()


def test_twice_is_once(alice: User) -> None:
    session = upload(alice, DATA)
    results = at_once([lambda: trash.trash(alice, [session.pk])] * 4)
    assert (results.count([session]), results.count([])) == (1, 3)
    results = at_once([lambda: trash.restore(alice, [session.pk])] * 4)
    assert (results.count([session]), results.count([])) == (1, 3)
    assert_sums()


def test_several_at_once_name_those_that_went(alice: User) -> None:
    first, second = upload(alice, DATA), upload(alice, DATA[:200])
    unfinished = begin(alice, DATA[:150])
    gone = trash.trash(alice, [unfinished.pk, second.pk, first.pk])
    assert {session.pk for session in gone} == {first.pk, second.pk}
    assert {session.pk for session in trash.restorable(alice)} == {first.pk, second.pk}


def test_the_latest_comes_first_and_only_for_a_moment(alice: User) -> None:
    trashed(alice, DATA[:100], ago=trash.UNDO)
    older = trashed(alice, DATA[:200], ago=timedelta(seconds=5))
    newer = trashed(alice, DATA[:300])
    assert trash.restorable(alice) == [newer, older]


def test_no_more_than_a_hundred_are_offered(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    assert trash.MAX_RESTORABLE == 100
    monkeypatch.setattr(trash, "MAX_RESTORABLE", 1)
    trashed(alice, DATA[:200])
    newer = trashed(alice)
    assert trash.restorable(alice) == [newer]


def test_the_purge_takes_what_is_old_and_leaves_the_rest(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trash, "BATCH", 2)
    for size in (100, 110, 120):
        trashed(alice, DATA[:size], ago=trash.UNDO)
    young, kept = trashed(alice, DATA[:200]), upload(alice, DATA)
    assert trash.purge_trash() == 3
    assert set(FileSession.objects.all()) == {young, kept}
    assert len(content_files()) == 2
    assert_sums()


def test_content_that_others_have_outlives_the_purge(alice: User, bob: User) -> None:
    theirs = upload(bob, DATA)
    trashed(alice, ago=trash.UNDO)
    assert trash.purge_trash() == 1
    assert content_of(fresh(theirs)) == DATA


def test_content_in_the_trash_outlives_the_deletion_by_another(alice: User, bob: User) -> None:
    theirs, session = upload(bob, DATA), trashed(alice)
    remove(theirs)
    trash.restore(alice, [session.pk])
    assert content_of(fresh(session)) == DATA


def test_a_purge_that_comes_after_a_restore_takes_nothing(alice: User) -> None:
    """It had found the session before that."""
    session = trashed(alice, ago=trash.UNDO)
    now = timezone.now()
    [found] = trash.purgeable(now)
    trash.restore(alice, [session.pk])
    assert trash.purge(found, now) is None
    assert content_of(fresh(session)) == DATA
    assert_sums()


def test_of_a_restore_and_a_purge_at_once_one_wins_wholly(alice: User) -> None:
    for _ in range(8):
        session = trashed(alice, ago=trash.UNDO)
        jobs = [lambda s=session: len(trash.restore(alice, [s.pk])), trash.purge_trash]
        restored, purged = at_once(jobs)
        assert (restored, purged) in [(1, 0), (0, 1)]
        if restored:
            assert content_of(fresh(session)) == DATA
            remove(fresh(session))
        assert not content_files()
        assert_sums()


def test_the_recovery_thread_empties_the_trash(alice: User) -> None:
    trashed(alice, ago=trash.UNDO)
    recovery._look()
    assert not FileSession.objects.exists()


def test_the_sweep_empties_the_trash_and_says_so(alice: User) -> None:
    trashed(alice, ago=trash.UNDO)
    lines: list[str] = []
    would = sweep(48, dry_run=True)
    assert (would.trash, FileSession.objects.count()) == (1, 1)
    done = sweep(48, say=lines.append)
    assert (done.trash, done.bytes_freed, done.recounted) == (1, 350, 0)
    assert any(line.startswith("purge trashed") for line in lines)
    assert not FileSession.objects.exists()
