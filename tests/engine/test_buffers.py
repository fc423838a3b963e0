"""P8: the memory of bodies is one pool; beyond it chunks spill to staging and leave nothing."""

import os
import tracemalloc

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from tests.support.bodies import WAIT_SECONDS, StalledSource, cut, payload
from tests.support.sessions import begin, content_of, fresh, send_all, staging_of
from tests.support.tasks import run_tasks
from tests.support.threads import Running
from uploads.core.plan import MIB, MIN_CHUNK_SIZE
from uploads.engine.buffers import BufferPool, get_pool
from uploads.engine.receiving import receive_chunk


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
