"""Followers: what they read is never more than what is in, and never changes what comes of it."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from tests.support.bodies import WAIT_SECONDS, InPieces, cut, flipped, payload, sha256
from tests.support.crashes import hooked
from tests.support.following import ByHand, follow_all, forget_followed, reads
from tests.support.sessions import (
    TINY_CHUNK,
    begin,
    content_of,
    damage,
    fresh,
    send,
)
from tests.support.tasks import run_tasks
from tests.support.threads import Running
from tests.support.waiting import wait_until
from uploads import conf
from uploads.engine import following, trails
from uploads.engine.appending import append
from uploads.engine.background import finish_here
from uploads.engine.completing import complete
from uploads.engine.following import Followers
from uploads.engine.opening import Offer, open_session
from uploads.engine.rechecking import drop_damaged
from uploads.engine.removing import remove
from uploads.errors import StorageUnavailable
from uploads.failpoints import Failpoint
from uploads.models import FileSession, Role, SessionStatus
from uploads.storage.filesystem import FilesystemStagedFile, FilesystemStore

DATA = payload(350)
CHUNKS = cut(DATA, TINY_CHUNK)


@pytest.fixture(autouse=True)
def followers(monkeypatch: pytest.MonkeyPatch) -> Iterator[ByHand]:
    """Every upload is followed, when the test says so."""
    followers = ByHand()
    monkeypatch.setattr(following, "FOLLOW_FROM", 0)
    monkeypatch.setattr(following, "followers", followers)
    yield followers
    forget_followed(followers)


def send_and_follow(session: FileSession, *indices: int) -> None:
    for index in indices:
        send(session, index, CHUNKS[index])
        follow_all()


def descriptors(root: Path) -> int:
    """How many files and folders of the store this process has open, removed ones too."""
    links = [os.path.realpath(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")]
    return sum(link.startswith(str(root)) for link in links)


def failing_reads(*_: object) -> int:
    raise StorageUnavailable("the disk refuses to read")


def test_a_follower_reads_what_is_committed_without_a_gap_and_nothing_else(alice: User) -> None:
    session = begin(alice, DATA)
    with reads() as offsets:
        send_and_follow(session, 2)
        assert offsets == []
        send_and_follow(session, 0)
        assert offsets == [0]
        send_and_follow(session, 1)
    assert offsets == [0, 100, 200]


def test_p3_bytes_whose_row_was_not_committed_are_not_followed(alice: User) -> None:
    session = begin(alice, DATA)
    send_and_follow(session, 0)

    def refuse(point: Failpoint) -> None:
        if point == Failpoint.CHUNK_RECORD:
            raise StorageUnavailable("the database's disk is full")

    with hooked(refuse), pytest.raises(StorageUnavailable):
        send(session, 1, CHUNKS[1])
    with reads() as offsets:
        follow_all()
        send_and_follow(session, 3)
    assert offsets == []


def test_the_verifier_reads_only_what_was_not_followed(alice: User) -> None:
    session = begin(alice, DATA)
    send_and_follow(session, 0, 1, 2)
    with reads() as offsets:
        send(session, 3, CHUNKS[3])
        run_tasks()
    assert offsets == [300]
    done = fresh(session)
    assert (done.status, done.sha256) == (SessionStatus.COMPLETED, sha256(DATA))
    assert content_of(done) == DATA


def test_a_file_without_a_hash_is_read_to_its_end_before_it_is_completed(alice: User) -> None:
    session = begin(alice, DATA, sha256="")
    send_and_follow(session, 0, 1, 2, 3)
    with reads() as offsets:
        complete(fresh(session))
        run_tasks()
    assert offsets == []
    assert fresh(session).sha256 == sha256(DATA)
    assert content_of(fresh(session)) == DATA


def test_p1_a_wrong_declared_hash_fails_all_the_same(alice: User) -> None:
    session = begin(alice, DATA, sha256="f" * 64)
    send_and_follow(session, 0, 1, 2)
    send(session, 3, CHUNKS[3])
    run_tasks()
    assert fresh(session).status == SessionStatus.FAILED


def test_streams_are_followed_too_and_a_size_declared_late_gives_the_last_chunk_its_length(
    alice: User,
) -> None:
    session = open_session(alice, Offer("file.bin", None, chunk_size=TINY_CHUNK))[1]
    append(session, 0, InPieces(DATA, 60), len(DATA))
    follow_all()
    with reads() as offsets:
        complete(fresh(session))
        run_tasks()
    assert offsets == [300]
    assert content_of(fresh(session)) == DATA


@pytest.mark.parametrize("damaged", [0, 2])
def test_p4_damage_that_a_follower_sees_is_the_verifier_s_to_judge(
    alice: User, damaged: int
) -> None:
    session = begin(alice, DATA)
    for index in (0, 1, 2):
        send(session, index, CHUNKS[index])
    damage(session, damaged * TINY_CHUNK)
    follow_all()
    assert fresh(session).status == SessionStatus.ACTIVE
    send_and_follow(session, 3)
    run_tasks()
    assert fresh(session).bitmap.missing() == [damaged]
    send_and_follow(session, damaged)
    run_tasks()
    assert content_of(fresh(session)) == DATA


@pytest.mark.parametrize("sent", [CHUNKS[1], flipped(CHUNKS[1])], ids=["same", "other"])
def test_p1_a_chunk_that_was_sent_anew_after_it_was_followed_is_read_anew(
    alice: User, sent: bytes
) -> None:
    """Without its row nothing keeps a client whose file has changed from sending other bytes."""
    session = begin(alice, DATA, sha256="")
    send_and_follow(session, 0, 1, 2)
    damage(session, TINY_CHUNK)
    assert drop_damaged(fresh(session))
    send(session, 1, sent)
    send_and_follow(session, 3)
    with reads() as offsets:
        complete(fresh(session))
        run_tasks()
    assert offsets == [0, 100, 200, 300]
    expected = DATA[:100] + sent + DATA[200:]
    assert fresh(session).sha256 == sha256(expected)
    assert content_of(fresh(session)) == expected


def test_p4_after_a_power_cut_all_is_read(alice: User) -> None:
    """What was followed is gone with the process."""
    session = begin(alice, DATA)
    send_and_follow(session, 0, 1, 2)
    forget_followed()
    damage(session, 120)
    send_and_follow(session, 3)
    run_tasks()
    assert fresh(session).bitmap.missing() == [1]


def test_p4_a_write_that_failed_after_it_was_read_is_found(alice: User) -> None:
    """The follower's own file is told of it; what it has read is then not what the disk holds."""
    session = begin(alice, DATA)
    send_and_follow(session, 0, 1, 2)
    send(session, 3, CHUNKS[3])
    left = [Failpoint.DATA_SYNC]

    def fail(point: Failpoint) -> None:
        if left and point == left[0]:
            left.clear()
            damage(session, 120)
            raise OSError(5, "Input/output error")

    with hooked(fail):
        run_tasks()
    assert not left
    reopened = fresh(session)
    assert (reopened.status, reopened.bitmap.missing()) == (SessionStatus.ACTIVE, [1])


def test_p4_a_file_of_another_size_is_read_from_its_beginning(
    alice: User, upload_root: Path
) -> None:
    session = begin(alice, DATA)
    send_and_follow(session, 0, 1, 2)
    send(session, 3, CHUNKS[3])
    os.truncate(upload_root / "staging" / str(session.pk) / "data", 150)
    run_tasks()
    assert fresh(session).bitmap.missing() == [1, 2, 3]


def test_a_disk_that_refuses_to_be_read_harms_nothing(
    alice: User, upload_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = begin(alice, DATA)
    send_and_follow(session, 0)
    with monkeypatch.context() as patch:
        patch.setattr(FilesystemStagedFile, "read_into", failing_reads)
        with pytest.raises(StorageUnavailable):
            send_and_follow(session, 1)
    assert descriptors(upload_root) == 0
    send_and_follow(session, 2)
    assert descriptors(upload_root) == 0
    with reads() as offsets:
        send(session, 3, CHUNKS[3])
        run_tasks()
    assert offsets == [0, 100, 200, 300]
    assert content_of(fresh(session)) == DATA


def test_an_upload_that_is_whole_is_verified_once_by_the_process_that_follows_it(
    alice: User, followers: ByHand
) -> None:
    """Wherever its last chunk came in."""
    verified: list[UUID] = []
    followers.start(1, verified.append)
    session, other = begin(alice, DATA), begin(alice, payload(350, seed=2))
    send(other, 0, payload(350, seed=2)[:100])
    send_and_follow(session, 0, 1, 2)
    followers.start(1, verified.append)
    followers.look()
    assert verified == []
    send(session, 3, CHUNKS[3])
    followers.start(1, verified.append)
    followers.look()
    followers.look()
    assert verified == [session.pk]


def test_what_nobody_has_verified_for_long_is_tried_again(
    alice: User, followers: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[UUID] = []
    session = begin(alice, DATA)
    send_and_follow(session, 0, 1, 2)
    send(session, 3, CHUNKS[3])
    followers.start(1, verified.append)
    followers.look()
    monkeypatch.setattr(following, "PATIENCE", 0)
    followers.look()
    assert verified == [session.pk] * 2


def test_a_look_that_fails_is_not_repeated_at_once(
    alice: User, followers: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = begin(alice, DATA)
    send_and_follow(session, 0)
    monkeypatch.setattr(following, "LOOK_SECONDS", WAIT_SECONDS)
    followers._looked = float("-inf")
    assert followers._until_look() == 0

    def fail() -> None:
        raise OperationalError("the database has gone")

    monkeypatch.setattr(followers, "look", fail)
    with pytest.raises(OperationalError):
        followers._take_turn()
    assert followers._until_look() > 0


def test_a_verifier_waits_for_another_process_that_follows(
    alice: User, followers: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = begin(alice, DATA)
    send_and_follow(session, 0, 1, 2)
    asked = threading.Semaphore(0)
    real = FilesystemStore.hold_staging

    def hold_staging(store: FilesystemStore, session_id: UUID) -> AbstractContextManager[bool]:
        asked.release()
        return real(store, session_id)

    monkeypatch.setattr(FilesystemStore, "hold_staging", hold_staging)
    monkeypatch.setattr(following, "followers", ByHand())
    waiting = Running(lambda: following.wait_for_others(session.pk))
    for _ in range(3):
        assert asked.acquire(timeout=WAIT_SECONDS)
    assert waiting.is_alive()
    forget_followed(followers)
    waiting.result()


def test_nobody_waits_for_a_process_that_follows_what_is_here(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, unfollowed = begin(alice, DATA), begin(alice, payload(350, seed=2))
    send_and_follow(session, 0)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("waited"))
    for each in (session.pk, unfollowed.pk, uuid4()):
        following.wait_for_others(each)


def test_what_came_in_elsewhere_is_followed_too(alice: User, followers: ByHand) -> None:
    session = begin(alice, DATA)
    send_and_follow(session, 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(following, "followers", ByHand())
        send(session, 1, CHUNKS[1])
    with reads() as offsets:
        follow_all(followers)
        assert offsets == []
        followers.look()
        follow_all(followers)
    assert offsets == [100]


def test_another_process_reads_all_for_itself_when_the_one_that_follows_does_nothing(
    alice: User, followers: ByHand, upload_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It hangs, or does not look: slower, and right."""
    monkeypatch.setattr(following, "PATIENCE", 0)
    session = begin(alice, DATA)
    send_and_follow(session, 0, 1, 2)
    send(session, 3, CHUNKS[3])
    with pytest.MonkeyPatch.context() as patch, reads() as offsets:
        patch.setattr(following, "followers", ByHand())
        run_tasks()
    assert offsets == [0, 100, 200, 300]
    assert content_of(fresh(session)) == DATA
    followers.look()
    assert descriptors(upload_root) == 0


def test_one_follows_and_when_it_is_gone_another_begins_from_the_start(
    alice: User, followers: ByHand
) -> None:
    session = begin(alice, DATA)
    other = ByHand()
    send_and_follow(session, 0)
    with reads() as offsets:
        other.tell(session.pk, TINY_CHUNK)
        follow_all(other)
        assert offsets == []
        forget_followed(followers)
        other.tell(session.pk, TINY_CHUNK)
        follow_all(other)
        assert offsets == [0]
    forget_followed(other)


def test_an_upload_that_ends_lets_go_of_its_files(
    alice: User, followers: ByHand, upload_root: Path
) -> None:
    """P8: and with them of its room on the disk."""
    session, kept = begin(alice, DATA), begin(alice, payload(350, seed=2))
    send_and_follow(session, 0)
    send(kept, 0, payload(350, seed=2)[:100])
    follow_all()
    assert descriptors(upload_root) == 4
    remove(fresh(session))
    followers.look()
    assert descriptors(upload_root) == 2


def test_an_upload_that_is_cancelled_before_it_is_followed_is_no_error(
    alice: User, upload_root: Path
) -> None:
    session = begin(alice, DATA)
    send(session, 0, CHUNKS[0])
    remove(fresh(session))
    follow_all()
    assert descriptors(upload_root) == 0


def test_a_completed_upload_has_let_go_of_its_files(alice: User, upload_root: Path) -> None:
    session = begin(alice, DATA)
    send_and_follow(session, 0, 1, 2)
    send(session, 3, CHUNKS[3])
    run_tasks()
    assert fresh(session).status == SessionStatus.COMPLETED
    assert descriptors(upload_root) == 0


def test_an_upload_that_is_long_quiet_makes_room_and_is_read_again_when_it_goes_on(
    alice: User, followers: ByHand, upload_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = begin(alice, DATA)
    send_and_follow(session, 0)
    followers.look()
    assert descriptors(upload_root) == 2
    monkeypatch.setattr(following, "QUIET_SECONDS", 0)
    followers.look()
    assert descriptors(upload_root) == 0
    with reads() as offsets:
        send_and_follow(session, 1)
    assert offsets == [0, 100]


def test_only_so_many_are_followed_at_once(
    alice: User, upload_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "MAX_FOLLOWED", 2)
    files = [payload(350, seed=seed) for seed in range(3)]
    sessions = [begin(alice, data) for data in files]
    for session, data in zip(sessions, files, strict=True):
        send(session, 0, data[:100])
        follow_all()
    assert descriptors(upload_root) == 4
    for index in (1, 2, 3):
        send(sessions[2], index, cut(files[2], TINY_CHUNK)[index])
    run_tasks()
    assert content_of(fresh(sessions[2])) == files[2]


def test_uploads_take_turns(
    alice: User, followers: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "STRETCH", TINY_CHUNK)
    one, two = begin(alice, DATA), begin(alice, payload(350, seed=2))
    for index in range(3):
        send(one, index, CHUNKS[index])
    for index in range(2):
        send(two, index, cut(payload(350, seed=2), TINY_CHUNK)[index])
    with reads() as offsets:
        while followers.turn() is not None:
            pass
    assert offsets == [0, 0, 100, 100, 200]


def test_where_processors_are_short_a_turn_is_one_chunk(
    alice: User, followers: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trails, "SHORT", 0)
    session = begin(alice, DATA)
    for index in range(3):
        send(session, index, CHUNKS[index])
    with reads() as offsets:
        assert followers.turn() is False
        assert offsets == [0]
        # It is not forgotten for want of a new one.
        assert followers.turn() is False
        assert followers.turn() is False
        assert followers.turn() is None
    assert offsets == [0, 100, 200]


def test_no_upload_comes_so_far_behind_that_its_end_has_to_wait_for_long(
    alice: User, followers: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trails, "SHORT", 0)
    monkeypatch.setattr(trails, "MAX_BEHIND", 0)
    session = begin(alice, DATA)
    for index in range(3):
        send(session, index, CHUNKS[index])
    with reads() as offsets:
        followers.turn()
    assert offsets == [0, 100, 200]


def test_the_verifier_waits_for_one_chunk_and_not_for_a_stretch(
    alice: User, followers: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = begin(alice, DATA)
    for index in (0, 1, 2):
        send(session, index, CHUNKS[index])
    reading, release = threading.Event(), threading.Event()
    real = FilesystemStagedFile.read_into

    def wait(file: FilesystemStagedFile, offset: int, buffer: memoryview) -> int:
        reading.set()
        assert release.wait(WAIT_SECONDS)
        return real(file, offset, buffer)

    monkeypatch.setattr(FilesystemStagedFile, "read_into", wait)
    follower = Running(followers.turn)
    assert reading.wait(WAIT_SECONDS)
    with ExitStack() as stack:
        verifier = Running(lambda: followers.hand_over(session.pk, stack))
        wait_until(lambda: not followers._follows, "the verifier to ask")
        release.set()
        trail = verifier.result()
        assert isinstance(trail, trails.Trail)
        assert trail.length < 3
    follower.result()


def test_parts_are_not_followed(alice: User, upload_root: Path) -> None:
    offer = Offer("part", len(DATA), chunk_size=TINY_CHUNK, role=Role.PART)
    append(open_session(alice, offer)[1], 0, InPieces(DATA, 60), len(DATA))
    with reads() as offsets:
        follow_all()
    assert offsets == []


def test_nothing_small_is_followed(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "FOLLOW_FROM", 3 * TINY_CHUNK)
    session = begin(alice, DATA)
    with reads() as offsets:
        send_and_follow(session, 0, 1)
        assert offsets == []
        send_and_follow(session, 2)
    assert offsets == [0, 100, 200]


def test_none_follow_when_that_is_turned_off(
    alice: User, upload_root: Path, settings: Settings
) -> None:
    settings.UPLOADS = {"ROOT": upload_root, "FOLLOWERS": 0}
    session = begin(alice, DATA)
    with reads() as offsets:
        send_and_follow(session, 0, 1, 2)
        assert offsets == []
        send(session, 3, CHUNKS[3])
        run_tasks()
    assert content_of(fresh(session)) == DATA


@pytest.mark.parametrize("value", [-1, True, None, "1", 1.0])
def test_a_wrong_number_of_followers_is_refused(value: object) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"FOLLOWERS.*whole number, 0 or more"):
        conf.parse({"ROOT": "/unused", "FOLLOWERS": value})


def test_a_chunk_pays_no_query_for_being_followed(alice: User) -> None:
    session = begin(alice, DATA)
    send_and_follow(session, 0)
    session = fresh(session)
    with CaptureQueriesContext(connection) as queries:
        following.chunk_is_in(session, finish_here)
    assert len(queries) == 0


def test_threads_follow_and_live_on_after_a_failure(
    alice: User, monkeypatch: pytest.MonkeyPatch, upload_root: Path
) -> None:
    followers = Followers()
    monkeypatch.setattr(following, "followers", followers)
    failed, other = begin(alice, DATA), begin(alice, payload(350, seed=2))
    with monkeypatch.context() as patch:
        patch.setattr(FilesystemStagedFile, "read_into", failing_reads)
        send(failed, 0, CHUNKS[0])
        wait_until(lambda: followers._follows[failed.pk]._is_ended, "the failure")
    with reads() as offsets:
        send(other, 0, payload(350, seed=2)[:100])
        wait_until(lambda: offsets == [0], "the other upload to be followed")
    forget_followed(followers)
    assert descriptors(upload_root) == 0


def test_a_system_without_another_thread_costs_no_chunk_its_answer(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    followers = Followers()
    monkeypatch.setattr(following, "followers", followers)
    session = begin(alice, DATA)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert not send(session, 0, CHUNKS[0]).duplicate
    follow_all(followers)
    forget_followed(followers)


def priority() -> int:
    """Of this thread."""
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.mark.skipif("sys.platform != 'linux'", reason="threads of Linux have priorities")
def test_a_follower_lets_others_go_first() -> None:
    def follower() -> int:
        following._let_others_go_first()
        return priority()

    before = priority()
    assert Running(follower).result() == min(19, before + following.NICENESS)
    assert priority() == before
