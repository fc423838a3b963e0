"""The default task backend: a few threads of the process, begun late, that no job ends."""

import threading
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from tests.support.bodies import WAIT_SECONDS, cut, payload
from tests.support.sessions import TINY_CHUNK, age, begin, content_of, fresh, handshake, send
from tests.support.tasks import HeldBackend
from tests.support.threads import Running
from tests.support.waiting import wait_until
from uploads import conf
from uploads.engine import background
from uploads.engine.threads import Threads
from uploads.errors import StorageUnavailable
from uploads.models import SessionStatus

DATA = payload(350)
CHUNKS = cut(DATA, TINY_CHUNK)


def as_configured() -> Threads:
    return Threads("test", lambda: conf.current().background_threads)


@pytest.fixture
def with_threads(settings: Settings, upload_root: Path) -> None:
    settings.UPLOADS = {"ROOT": upload_root, "BACKGROUND_THREADS": 1}


def test_p7_a_task_that_raises_does_not_end_its_thread(with_threads: None) -> None:
    threads, done = as_configured(), threading.Event()

    def fail() -> None:
        raise RuntimeError("this task has a bug")

    threads.run(fail)
    threads.run(done.set)
    assert done.wait(WAIT_SECONDS), "the only thread has ended"


def test_threads_begin_with_the_first_job_and_are_at_most_background_threads(
    settings: Settings, upload_root: Path
) -> None:
    settings.UPLOADS = {"ROOT": upload_root, "BACKGROUND_THREADS": 3}
    before = set(threading.enumerate())
    threads, all_at_work, release = as_configured(), threading.Barrier(4), threading.Event()
    assert set(threading.enumerate()) == before

    def work() -> None:
        all_at_work.wait(WAIT_SECONDS)
        release.wait(WAIT_SECONDS)

    for _ in range(3):
        threads.run(work)
    all_at_work.wait(WAIT_SECONDS)
    ended = threading.Event()
    threads.run(ended.set)
    assert len(set(threading.enumerate()) - before) == 3
    assert not ended.is_set(), "a fourth job waits for one of three threads"
    release.set()
    assert ended.wait(WAIT_SECONDS)


def test_an_upload_is_completed_by_the_threads(alice: User, settings: Settings) -> None:
    settings.TASKS = {"default": {"BACKEND": "uploads.engine.threads.ThreadBackend"}}
    session = begin(alice, DATA)
    for index, chunk in enumerate(CHUNKS):
        send(session, index, chunk)
    wait_until(lambda: fresh(session).status == SessionStatus.COMPLETED, "completion")
    assert content_of(fresh(session)) == DATA


def test_p7_a_queue_that_is_away_costs_no_chunk_its_answer(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chunk is committed; that nobody could be told to verify is recovery's to mend."""
    session = begin(alice, DATA)
    for index in (0, 1, 2):
        send(session, index, CHUNKS[index])

    def away(*_: object) -> None:
        raise ConnectionError("the queue is away")

    with monkeypatch.context() as patch:
        patch.setattr(HeldBackend, "enqueue", away)
        receipt = send(session, 3, CHUNKS[3])
    assert not receipt.duplicate
    assert receipt.session.status == SessionStatus.ASSEMBLING
    age(session, seconds=61)
    handshake(alice, DATA)
    assert content_of(fresh(session)) == DATA


def test_p7_who_asks_while_an_upload_is_finished_here_does_not_wait_and_is_not_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it saw may have come too late for the one at work."""
    begun, release = threading.Event(), threading.Event()
    finished: list[UUID] = []

    def finish(session_id: UUID) -> None:
        begun.set()
        assert release.wait(WAIT_SECONDS)
        finished.append(session_id)

    monkeypatch.setattr(background, "finish", finish)
    session_id = uuid4()
    first = Running(lambda: background.finish_session.call(str(session_id)))
    assert begun.wait(WAIT_SECONDS)
    for _ in range(3):
        background.finish_session.call(str(session_id))
    assert finished == []
    release.set()
    first.result()
    assert finished == [session_id] * 2


def test_p7_an_upload_that_could_not_be_finished_may_be_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[UUID] = []

    def finish(session_id: UUID) -> None:
        tried.append(session_id)
        raise StorageUnavailable("the disk refuses")

    monkeypatch.setattr(background, "finish", finish)
    session_id = uuid4()
    for _ in range(2):
        with pytest.raises(StorageUnavailable):
            background.finish_session.call(str(session_id))
    assert tried == [session_id] * 2
