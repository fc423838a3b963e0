"""P7: what a dead verifier left is taken up, by who asks for it and by the recovery thread."""

import fcntl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, transaction
from django.test import Client

from tests.support.bodies import cut, payload, sha256
from tests.support.sessions import TINY_CHUNK, age, begin, content_of, fresh, handshake, send
from tests.support.tasks import drop_tasks, run_tasks, waiting_tasks
from tests.support.threads import Running, at_once
from uploads.engine import recovery
from uploads.engine.opening import Offer, Outcome, open_session
from uploads.engine.recovery import recover_all, recover_if_stuck, recover_stuck
from uploads.models import FileSession, SessionStatus

DATA = payload(350)


def assembled(owner: User, data: bytes = DATA) -> FileSession:
    """All chunks in; the verifier that was enqueued died with its process."""
    session = begin(owner, data)
    for index, chunk in enumerate(cut(data, TINY_CHUNK)):
        send(session, index, chunk)
    drop_tasks()
    assert fresh(session).status == SessionStatus.ASSEMBLING
    return fresh(session)


def test_p7_a_handshake_takes_up_a_stuck_session(alice: User) -> None:
    session = assembled(alice)
    age(session, seconds=61)
    outcome, found = handshake(alice, DATA)
    assert (outcome, found.pk) == (Outcome.RESUMED, session.pk)
    assert content_of(fresh(session)) == DATA


def test_p7_handshakes_again_and_again_do_not_keep_a_session_stuck(alice: User) -> None:
    """A client asks each second; that is no sign of life of the verifier."""
    session = assembled(alice)
    age(session, seconds=59)
    before = fresh(session).updated_at
    handshake(alice, DATA)
    assert fresh(session).status == SessionStatus.ASSEMBLING
    assert fresh(session).updated_at == before


def test_p7_polls_of_a_stuck_session_enqueue_once_a_minute(alice: User) -> None:
    session = assembled(alice)
    client = Client()
    client.force_login(alice)
    counts = []
    for _ in range(2):
        age(session, seconds=61)
        for _ in range(3):
            assert client.get(f"/api/v1/uploads/{session.pk}").json()["state"] == "assembling"
            counts.append(waiting_tasks())
    assert counts == [1, 1, 1, 2, 2, 2]
    run_tasks()
    assert content_of(fresh(session)) == DATA


def test_p7_of_many_who_find_it_stuck_at_once_one_enqueues(alice: User) -> None:
    session = assembled(alice)
    age(session, seconds=61)
    stuck = fresh(session)
    at_once([lambda: recover_if_stuck(stuck)] * 5)
    assert waiting_tasks() == 1


@pytest.mark.parametrize("declared", [sha256(b""), ""], ids=["declared", "undeclared"])
def test_p7_an_empty_file_whose_creation_died_is_completed_by_recovery(
    alice: User, declared: str
) -> None:
    session = died_at_creation(alice, declared)
    recover_all()
    run_tasks()
    assert fresh(session).status == SessionStatus.COMPLETED
    assert content_of(fresh(session)) == b""


def test_p7_an_empty_file_whose_creation_died_is_completed_by_the_next_handshake(
    alice: User,
) -> None:
    session = died_at_creation(alice, sha256(b""))
    age(session, seconds=61)
    assert handshake(alice, b"")[1].pk == session.pk
    assert fresh(session).status == SessionStatus.COMPLETED
    assert handshake(alice, b"")[0] == Outcome.FILE_EXISTS


class Crash(BaseException):
    """The process ends here."""


def died_at_creation(owner: User, declared: str) -> FileSession:
    """The row of an empty file is committed, and then the process dies."""
    save = FileSession.save

    def crash() -> None:
        raise Crash

    def saved(self: FileSession, **kwargs: bool) -> None:
        transaction.on_commit(crash)
        save(self, **kwargs)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FileSession, "save", saved)
        with pytest.raises(Crash):
            open_session(owner, Offer("empty", 0, sha256=declared))
    return FileSession.objects.get()


@pytest.fixture
def lease(upload_root: Path) -> Iterator[Callable[[], None]]:
    """The lease is held elsewhere until this is called."""
    upload_root.mkdir(parents=True, exist_ok=True)
    with (upload_root / f"{recovery.LEASE}.lease").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield lambda: fcntl.flock(file, fcntl.LOCK_UN)


def test_p7_a_process_without_the_lease_recovers_nothing(
    alice: User, lease: Callable[[], None]
) -> None:
    age(assembled(alice), hours=1)
    assert not recovery._take_over()
    assert waiting_tasks() == 0
    lease()
    assert recovery._take_over()
    assert waiting_tasks() == 1


def test_p7_who_gets_the_lease_takes_up_everything_and_later_only_what_is_stuck(
    alice: User,
) -> None:
    sessions = [assembled(alice, payload(350, seed)) for seed in range(3)]
    assert recovery._take_over()
    assert waiting_tasks() == 3, "however young: its verifier may have died with its process"
    drop_tasks()
    age(sessions[1], seconds=61)
    assert recovery._look()
    assert waiting_tasks() == 1
    run_tasks()
    assert [fresh(session).status for session in sessions] == [
        "assembling",
        "completed",
        "assembling",
    ]


def test_p7_the_recovery_thread_waits_for_the_lease_and_then_keeps_looking(
    alice: User, lease: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sleeps are its seams: what happens in each, and what it has done by then."""
    session = assembled(alice)
    done: list[tuple[int, int]] = []

    class Ended(Exception):
        pass

    def sleep(seconds: int) -> None:
        done.append((seconds, waiting_tasks()))
        drop_tasks()
        if len(done) == 1:
            lease()
        elif len(done) == 3:
            age(session, seconds=61)
        elif len(done) == 4:
            raise Ended

    monkeypatch.setattr(recovery, "time", type("time", (), {"sleep": staticmethod(sleep)}))
    with pytest.raises(Ended):
        Running(recovery._run).result()
    look = recovery.LOOK_SECONDS
    assert done == [(recovery.LEASE_SECONDS, 0), (look, 1), (look, 0), (look, 1)]


def test_p7_a_database_that_is_away_does_not_end_recovery(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = assembled(alice)
    age(session, seconds=61)

    def away() -> None:
        raise OperationalError("away")

    with monkeypatch.context() as patch:
        patch.setattr(recovery, "recover_stuck", away)
        assert not recovery._attempted(recovery._look)
    assert recovery._attempted(recovery._look)
    assert waiting_tasks() == 1


def test_a_session_at_work_is_not_recovered(alice: User) -> None:
    session = assembled(alice)
    age(session, seconds=59)
    recover_stuck()
    assert waiting_tasks() == 0


def test_p7_a_take_over_that_the_database_refused_is_tried_again(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    assembled(alice)

    def away() -> int:
        raise OperationalError("locked")

    with monkeypatch.context() as patch:
        patch.setattr(recovery, "recover_all", away)
        assert not recovery._attempted(recovery._take_over)
    assert recovery._attempted(recovery._take_over)
    assert waiting_tasks() == 1
