"""Locks on ranges of a staged file: between threads, between processes, freed by a kill."""

import multiprocessing
import threading
from collections.abc import Callable
from multiprocessing.synchronize import Event
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from tests.support.bodies import WAIT_SECONDS
from uploads.storage import StagingMissing, Store

from .conftest import STORES

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def session_id(store: Store) -> UUID:
    session_id = uuid4()
    store.create(session_id, 100)
    return session_id


class Locker(threading.Thread):
    """Takes a lock through an open file of its own; `got` says that it has it."""

    def __init__(self, store: Store, session_id: UUID, offset: int, length: int) -> None:
        super().__init__(daemon=True)
        self._store, self._id, self._range = store, session_id, (offset, length)
        self.got, self.release = threading.Event(), threading.Event()

    def run(self) -> None:
        with self._store.open(self._id) as file, file.locked(*self._range):
            self.got.set()
            self.release.wait(WAIT_SECONDS)

    def end(self) -> None:
        self.release.set()
        self.join(WAIT_SECONDS)


@pytest.mark.parametrize("waiting", [(0, 10), (5, 10), (9, 1), (0, 0)])
def test_a_lock_keeps_other_threads_out_of_its_range(
    store: Store, session_id: UUID, waiting: tuple[int, int]
) -> None:
    locker = Locker(store, session_id, *waiting)
    with store.open(session_id) as file, file.locked(0, 10):
        locker.start()
        assert not locker.got.wait(0.1)
    assert locker.got.wait(WAIT_SECONDS)
    locker.end()


@pytest.mark.skipif("not hasattr(__import__('fcntl'), 'F_OFD_SETLKW')", reason="Linux")
def test_other_chunks_need_not_wait(store: Store, session_id: UUID) -> None:
    """P6: any number of chunks at once."""
    locker = Locker(store, session_id, 10, 10)
    with store.open(session_id) as file, file.locked(0, 10):
        locker.start()
        assert locker.got.wait(WAIT_SECONDS)
    locker.end()


def test_the_lock_of_the_whole_file_waits_for_every_chunk(store: Store, session_id: UUID) -> None:
    """P7: the verifier's lock, from 0 to the end however far."""
    locker = Locker(store, session_id, 0, 0)
    with store.open(session_id) as file, file.locked(90, 10):
        locker.start()
        assert not locker.got.wait(0.1)
    assert locker.got.wait(WAIT_SECONDS)
    locker.end()


def test_two_open_files_of_one_thread_exclude_each_other_by_file(
    store: Store, session_id: UUID
) -> None:
    """Not by process: POSIX locks would let both in, and let go when either file is closed."""
    locker = Locker(store, session_id, 0, 10)
    with store.open(session_id) as file, file.locked(0, 10):
        with store.open(session_id) as other:
            assert other.size == 100
        locker.start()
        assert not locker.got.wait(0.1)
    assert locker.got.wait(WAIT_SECONDS)
    locker.end()


def test_a_lock_is_freed_when_its_holder_fails(store: Store, session_id: UUID) -> None:
    with (
        pytest.raises(RuntimeError),
        store.open(session_id) as file,
        file.locked(0, 10),
    ):
        raise RuntimeError
    locker = Locker(store, session_id, 0, 10)
    locker.start()
    assert locker.got.wait(WAIT_SECONDS)
    locker.end()


def test_staging_is_held_by_one_until_it_lets_go(store: Store, session_id: UUID) -> None:
    with store.hold_staging(session_id) as first:
        assert first
        with store.hold_staging(session_id) as second:
            assert not second
        with store.hold_staging(session_id) as third:
            assert not third, "who was refused has not let go for the holder"
    with store.hold_staging(session_id) as again:
        assert again


def test_staging_that_is_held_is_read_written_locked_and_removed_as_ever(
    store: Store, session_id: UUID
) -> None:
    with store.hold_staging(session_id) as held:
        assert held
        with store.open(session_id) as file, file.locked(0, 0):
            file.write_at(0, memoryview(b"abc"))
        with store.incoming(session_id) as incoming:
            incoming.write(b"abc")
        store.discard(session_id)
        with pytest.raises(StagingMissing), store.open(session_id):
            pass
    with pytest.raises(StagingMissing), store.hold_staging(session_id):
        pass


def _hold_staging(kind: str, root: Path, session_id: UUID, got: Event) -> None:
    with STORES[kind](root).hold_staging(session_id) as held:
        if held:
            got.set()
        threading.Event().wait()


def _hold_lock(kind: str, root: Path, session_id: UUID, got: Event) -> None:
    """Runs in a process of its own, until it is killed."""
    with STORES[kind](root).open(session_id) as file, file.locked(0, 0):
        got.set()
        threading.Event().wait()


def _hold_lease(kind: str, root: Path, got: Event) -> None:
    if STORES[kind](root).hold_lease("recovery"):
        got.set()
    threading.Event().wait()


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    """The name of the parametrized store, to make it anew in another process."""
    name: str = request.node.callspec.params["store"]
    return name


def _started(target: Callable[..., None], *args: object) -> multiprocessing.process.BaseProcess:
    process = SPAWN.Process(target=target, args=args, daemon=True)
    process.start()
    return process


def test_a_lock_keeps_other_processes_out_and_a_kill_frees_it(
    store: Store, kind: str, session_id: UUID, upload_root: Path
) -> None:
    """P5, P7."""
    got = SPAWN.Event()
    holder = _started(_hold_lock, kind, upload_root, session_id, got)
    locker = Locker(store, session_id, 0, 10)
    try:
        assert got.wait(WAIT_SECONDS)
        locker.start()
        assert not locker.got.wait(0.1)
    finally:
        holder.kill()
        holder.join(WAIT_SECONDS)
    assert locker.got.wait(WAIT_SECONDS)
    locker.end()


def test_staging_is_held_across_processes_and_a_kill_lets_go(
    store: Store, kind: str, session_id: UUID, upload_root: Path
) -> None:
    got = SPAWN.Event()
    holder = _started(_hold_staging, kind, upload_root, session_id, got)
    try:
        assert got.wait(WAIT_SECONDS)
        with store.hold_staging(session_id) as held:
            assert not held
    finally:
        holder.kill()
        holder.join(WAIT_SECONDS)
    with store.hold_staging(session_id) as held:
        assert held


def test_a_lease_is_one_process_s_until_it_dies(store: Store, kind: str, upload_root: Path) -> None:
    got = SPAWN.Event()
    holder = _started(_hold_lease, kind, upload_root, got)
    try:
        assert got.wait(WAIT_SECONDS)
        assert not store.hold_lease("recovery")
        assert store.hold_lease("another")
    finally:
        holder.kill()
        holder.join(WAIT_SECONDS)
    assert store.hold_lease("recovery")


@pytest.mark.parametrize("asked", [(0, 10), (9, 5), (0, 0)])
def test_it_can_be_asked_whether_a_lock_would_have_to_wait(
    store: Store, session_id: UUID, asked: tuple[int, int]
) -> None:
    with store.open(session_id) as other, store.open(session_id) as file:
        assert not other.is_locked(*asked)
        with file.locked(0, 10):
            assert other.is_locked(*asked)
        assert not other.is_locked(*asked)


@pytest.mark.skipif("not hasattr(__import__('fcntl'), 'F_OFD_SETLKW')", reason="Linux")
def test_what_is_beside_a_lock_is_not_held(store: Store, session_id: UUID) -> None:
    with store.open(session_id) as other, store.open(session_id) as file, file.locked(0, 10):
        assert not other.is_locked(10, 10)
