"""P8: the memory of bodies is one pool; beyond it chunks spill to staging and leave nothing."""

import os
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from tests.support.bodies import WAIT_SECONDS, StalledSource, cut, payload
from tests.support.sessions import begin, content_of, fresh, send, send_all, staging_of
from tests.support.tasks import run_tasks
from tests.support.threads import Running
from uploads.core.plan import MIB, MIN_CHUNK_SIZE
from uploads.engine import buffers
from uploads.engine.buffers import Body, BufferPool, get_pool
from uploads.engine.receiving import receive_chunk
from uploads.errors import StorageFull
from uploads.models import FileSession
from uploads.storage.filesystem import FilesystemIncoming


@pytest.fixture
def two_buffers(settings: Settings, upload_root: object) -> None:
    settings.UPLOADS = {
        "ROOT": upload_root,
        "CHUNK_SIZE": MIN_CHUNK_SIZE,
        "MEMORY_POOL": 2 * MIN_CHUNK_SIZE,
    }


def test_buffers_are_reused_and_never_more_than_agreed() -> None:
    pool = BufferPool(10, 2)
    first, second = pool.take(), pool.take()
    assert first is not None
    assert second is not None
    assert pool.take() is None
    pool.give_back(first)
    assert pool.take() is first


def test_the_pool_is_as_large_as_the_setting_says(two_buffers: None) -> None:
    pool = get_pool()
    taken = [pool.take() for _ in range(3)]
    assert [len(buffer) for buffer in taken if buffer is not None] == [MIN_CHUNK_SIZE] * 2
    for buffer in filter(None, taken):
        pool.give_back(buffer)
    assert get_pool() is pool


def test_bodies_beyond_the_pool_spill_and_arrive_whole(alice: User, two_buffers: None) -> None:
    data = payload(5 * MIN_CHUNK_SIZE)
    session = begin(alice, data, chunk_size=None)
    sources = [StalledSource(chunk) for chunk in cut(data, MIN_CHUNK_SIZE)]
    running = [
        Running(lambda i=i, s=s: receive_chunk(fresh(session), i, s))  # type: ignore[misc]
        for i, s in enumerate(sources)
    ]
    assert all(source.stalled.wait(WAIT_SECONDS) for source in sources)
    incoming = list(staging_of(session).glob("incoming-*"))
    spilled = [path for path in incoming if path.stat().st_size > 0]
    assert (len(incoming), len(spilled)) == (5, 3)
    for source, job in zip(sources, running, strict=True):
        source.release.set()
        job.result()
    assert list(staging_of(session).glob("incoming-*")) == []
    run_tasks()
    assert content_of(fresh(session)) == data


def test_a_chunk_larger_than_a_buffer_spills(alice: User, two_buffers: None) -> None:
    data = payload(3 * MIB)
    session = begin(alice, data, chunk_size=MIB)
    tracemalloc.start()
    try:
        done = send_all(session, data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert content_of(done) == data
    # What the test itself cuts is 3 MiB; the copy from the spilled file takes 1 MiB.
    assert peak < 6 * MIB


def test_c8_no_descriptor_stays_open_after_chunks_good_and_bad(
    alice: User, two_buffers: None
) -> None:
    data = payload(4 * MIN_CHUNK_SIZE)
    session = begin(alice, data, chunk_size=None)
    send_all(
        begin(alice, payload(MIN_CHUNK_SIZE, seed=1), chunk_size=None),
        payload(MIN_CHUNK_SIZE, seed=1),
    )
    before = len(os.listdir("/proc/self/fd"))
    send_all(session, data)
    assert len(os.listdir("/proc/self/fd")) <= before


@pytest.fixture
def stalls_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body has stalled as soon as it waits."""
    monkeypatch.setattr(buffers, "STALLED_SECONDS", 0)


class Arriving:
    """Two of three chunks stopped in their middle, each with a buffer of the pool."""

    def __init__(self, owner: User) -> None:
        self.data = payload(3 * MIN_CHUNK_SIZE)
        self.chunks = cut(self.data, MIN_CHUNK_SIZE)
        self.session = begin(owner, self.data, chunk_size=None)
        self._sources = [StalledSource(chunk) for chunk in self.chunks[:2]]
        self._running = []
        for index, source in enumerate(self._sources):
            self._running.append(Running(lambda i=index, s=source: self.receive(i, s)))  # type: ignore[misc]
            assert source.stalled.wait(WAIT_SECONDS)

    def receive(self, index: int, source: StalledSource) -> object:
        return receive_chunk(fresh(self.session), index, source)

    def spilled(self) -> list[Path]:
        incoming = staging_of(self.session).glob("incoming-*")
        return [path for path in incoming if path.stat().st_size > 0]

    def finish(self) -> None:
        for source in self._sources:
            source.release.set()
        for job in self._running:
            job.result()


@pytest.fixture
def arriving(alice: User, two_buffers: None) -> Iterator[Arriving]:
    arriving = Arriving(alice)
    yield arriving
    arriving.finish()


def send_third(arriving: Arriving) -> None:
    send(arriving.session, 2, arriving.chunks[2])


def assert_whole(session: FileSession, data: bytes) -> None:
    run_tasks()
    assert content_of(fresh(session)) == data
    assert list(staging_of(session).glob("incoming-*")) == []


def test_p8_a_stalled_body_gives_its_buffer_up_and_still_arrives_whole(
    arriving: Arriving, stalls_at_once: None
) -> None:
    send_third(arriving)
    [path] = arriving.spilled()
    assert path.read_bytes() == arriving.chunks[0][: MIN_CHUNK_SIZE // 2], "the quietest gave up"
    arriving.finish()
    assert_whole(arriving.session, arriving.data)
    pool = get_pool()
    again = [pool.take() for _ in range(3)]
    assert [buffer is None for buffer in again] == [False, False, True], "no more, and none is lost"
    for buffer in filter(None, again):
        pool.give_back(buffer)


def test_p8_a_body_that_goes_on_arriving_keeps_its_buffer(arriving: Arriving) -> None:
    assert get_pool().take() is None
    send_third(arriving)
    assert arriving.spilled() == []
    arriving.finish()
    assert_whole(arriving.session, arriving.data)


def test_p2_a_body_that_found_no_room_to_give_up_keeps_what_it_holds(
    arriving: Arriving, stalls_at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Part of it may be in its file by then, which must neither count nor be appended to."""
    real = FilesystemIncoming.write

    def half(self: FilesystemIncoming, piece: bytes | memoryview) -> None:
        real(self, piece[: len(piece) // 2])
        raise StorageFull("no room")

    monkeypatch.setattr(FilesystemIncoming, "write", half)
    assert get_pool().take() is None
    monkeypatch.undo()
    assert len(arriving.spilled()) == 2
    assert get_pool().take() is None, "nobody is asked twice"
    send_third(arriving)
    arriving.finish()
    assert_whole(arriving.session, arriving.data)


class SlowFile:
    """Of one body; its write waits for `go_on`."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.writing = threading.Event()
        self.go_on = threading.Event()

    def write(self, piece: bytes | memoryview) -> None:
        self.writing.set()
        assert self.go_on.wait(WAIT_SECONDS)
        self.written += piece

    def read_into(self, offset: int, buffer: memoryview) -> int:
        raise NotImplementedError

    def touch(self) -> None:
        pass


def test_p8_a_body_that_ends_while_it_is_spilled_gives_its_buffer_to_one_only(
    stalls_at_once: None,
) -> None:
    """Its own thread must wait: the file would be closed under the spill."""
    pool, file = BufferPool(10, 1), SlowFile()
    body = Body(file, pool.take())
    pool.join(body)
    body.write(b"abc")
    asking = Running(pool.take)
    assert file.writing.wait(WAIT_SECONDS)
    leaving = Running(lambda: pool.leave(body))
    assert pool.take() is None
    file.go_on.set()
    leaving.result()
    assert asking.result() is not None
    assert bytes(file.written) == b"abc"
    assert pool.take() is None, "who asked has it"


def test_p2_bytes_that_come_while_a_body_is_spilled_follow_what_was_spilled(
    stalls_at_once: None,
) -> None:
    pool, file = BufferPool(10, 1), SlowFile()
    body = Body(file, pool.take())
    pool.join(body)
    body.write(b"abc")
    asking = Running(pool.take)
    assert file.writing.wait(WAIT_SECONDS)
    writing = Running(lambda: body.write(b"def"))
    file.go_on.set()
    writing.result()
    asking.result()
    assert bytes(file.written) == b"abcdef"
