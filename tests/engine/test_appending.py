"""Streams that go on where an upload is: nothing they were told is in is ever lost."""

import contextlib
import io
import random
import threading
from collections.abc import Callable
from functools import partial
from unittest import mock

import pytest
from django.contrib.auth.models import User
from django.db import connection
from pytest_django import Settings

from tests.support.bodies import (
    WAIT_SECONDS,
    InPieces,
    InterruptedSource,
    StalledSource,
    cut,
    flipped,
    payload,
)
from tests.support.crashes import hooked
from tests.support.sessions import TINY_CHUNK, begin, content_of, fresh, send, staging_of
from tests.support.tasks import run_tasks
from tests.support.threads import Running, at_once
from tests.support.waiting import wait_until
from uploads import conf
from uploads.engine import appending, buffers
from uploads.engine.appending import append
from uploads.engine.buffers import BufferPool
from uploads.engine.completing import complete
from uploads.engine.removing import remove
from uploads.errors import (
    ChunkConflict,
    LengthMismatch,
    OffsetMismatch,
    SessionCancelled,
    StorageFull,
    WrongState,
)
from uploads.failpoints import Failpoint
from uploads.models import FileChunk, FileSession, SessionStatus

DATA = payload(350)
CHUNKS = cut(DATA, TINY_CHUNK)


class CutSource:
    """Gives its bytes in small pieces, then an error, as a connection that is reset does."""

    def __init__(self, data: bytes) -> None:
        self._body = io.BytesIO(data)

    def read(self, size: int, /) -> bytes:
        piece = self._body.read(min(size, 7))
        if not piece:
            raise OSError("the connection was reset")
        return piece


def stream(
    session: FileSession, data: bytes, offset: int | None = None, length: int | None = None
) -> FileSession:
    """Send bytes as a request would: with the session as it is now."""
    current = fresh(session)
    at = current.offset if offset is None else offset
    return append(current, at, io.BytesIO(data), len(data) if length is None else length)


def tails(session: FileSession) -> list[str]:
    return sorted(path.name for path in staging_of(session).glob("tail-*"))


def content(session: FileSession) -> bytes:
    run_tasks()
    return content_of(fresh(session))


@pytest.mark.parametrize("step", [1, 7, 50, 99, 100, 101, 200, 349, 350])
def test_a_file_that_comes_in_streams_of_any_length_arrives_whole(alice: User, step: int) -> None:
    session = begin(alice, DATA)
    for start in range(0, len(DATA), step):
        piece = DATA[start : start + step]
        assert stream(session, piece).offset == start + len(piece)
    assert content(session) == DATA
    assert not staging_of(session).exists()


def test_chunks_of_a_stream_are_rows_like_all_others(alice: User) -> None:
    session = stream(begin(alice, DATA), DATA[:250])
    other = begin(alice, DATA, filename="other", sha256="", resume_key="other")
    for index in range(2):
        send(other, index, CHUNKS[index])

    def fingerprints(of: FileSession) -> list[bytes]:
        rows = FileChunk.objects.filter(session=of).order_by("index")
        return [bytes(row.fingerprint) for row in rows]

    assert fingerprints(session) == fingerprints(other)
    assert (session.received_count, session.received_bytes, session.offset) == (2, 250, 250)


def test_a_stream_at_another_offset_is_refused_unread(alice: User) -> None:
    session = stream(begin(alice, DATA), DATA[:130])
    for offset in (0, 100, 129, 131, 350, -1):
        source = io.BytesIO(DATA)
        with pytest.raises(OffsetMismatch) as refused:
            append(fresh(session), offset, source, 10)
        assert refused.value.members == {"offset": 130}
        assert source.tell() == 0
    assert fresh(session).offset == 130


def test_a_stream_longer_than_the_file_is_refused_unread(alice: User) -> None:
    session = stream(begin(alice, DATA), DATA[:130])
    source = io.BytesIO(DATA)
    with pytest.raises(LengthMismatch) as refused:
        append(fresh(session), 130, source, 221)
    assert refused.value.members == {"expected": 220, "actual": 221}
    assert source.tell() == 0


def test_what_came_before_a_cut_is_kept_to_the_byte(alice: User) -> None:
    session = begin(alice, DATA)
    assert stream(session, DATA[:137], length=350).offset == 137
    assert fresh(session).offset == 137
    assert stream(session, DATA[137:]).offset == 350
    assert content(session) == DATA


def test_what_came_before_a_reset_is_kept_to_the_byte(alice: User) -> None:
    session = begin(alice, DATA)
    with pytest.raises(OSError, match="reset"):
        append(session, 0, CutSource(DATA[:137]), 350)
    assert fresh(session).offset == 137
    stream(session, DATA[137:])
    assert content(session) == DATA


def test_a_slow_stream_makes_progress_within_a_chunk(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appending, "FLUSH_SECONDS", -1)
    session = begin(alice, DATA)
    seen: list[int] = []
    source = InterruptedSource(DATA[:60], lambda: seen.append(fresh(session).offset))
    append(session, 0, source, 60)
    assert seen == [30]
    assert len(tails(session)) == 1


def test_no_tail_is_kept_before_it_is_due(alice: User) -> None:
    session = begin(alice, DATA)
    seen: list[int] = []
    source = InterruptedSource(DATA[:60], lambda: seen.append(fresh(session).offset))
    append(session, 0, source, 60)
    assert seen == [0]


def test_one_tail_at_most_is_left_of_many_streams(alice: User) -> None:
    session = begin(alice, DATA)
    for start in range(0, 90, 10):
        stream(session, DATA[start : start + 10])
        assert len(tails(session)) == 1
    stream(session, DATA[90:100])
    assert tails(session) == []


def test_p4_a_tail_that_a_power_cut_has_damaged_is_asked_for_again(alice: User) -> None:
    session = stream(begin(alice, DATA), DATA[:150])
    [name] = tails(session)
    path = staging_of(session) / name
    for damage in (flipped(path.read_bytes(), 20), path.read_bytes()[:20], b""):
        path.write_bytes(damage)
        with pytest.raises(OffsetMismatch) as refused:
            stream(session, DATA[150:])
        assert refused.value.members == {"offset": 100}
        assert stream(session, DATA[100:150]).offset == 150
        [name] = set(tails(session)) - {name}
        path = staging_of(session) / name
    path.unlink()
    with pytest.raises(OffsetMismatch):
        stream(session, DATA[150:])
    stream(session, DATA[100:])
    assert content(session) == DATA


def test_chunks_that_came_in_ahead_are_passed_over(alice: User) -> None:
    session = begin(alice, DATA)
    send(session, 1, CHUNKS[1])
    send(session, 3, CHUNKS[3])
    assert stream(session, DATA[:60]).offset == 60
    assert stream(session, DATA[60:110]).offset == 200, "the second chunk is in already"
    assert stream(session, DATA[200:]).offset == 350
    assert content(session) == DATA


def test_a_chunk_ahead_of_other_bytes_is_a_conflict_and_what_came_before_it_stays(
    alice: User,
) -> None:
    session = begin(alice, DATA)
    send(session, 1, flipped(CHUNKS[1]))
    with pytest.raises(ChunkConflict):
        stream(session, DATA)
    assert fresh(session).offset == 200


def test_the_chunk_of_a_tail_may_come_whole_otherwise(alice: User) -> None:
    session = stream(begin(alice, DATA), DATA[:130])
    send(session, 1, CHUNKS[1])
    assert (fresh(session).offset, fresh(session).tail_length) == (200, 0)
    send(session, 3, CHUNKS[3])
    send(session, 2, CHUNKS[2])
    assert content(session) == DATA


def test_a_chunk_ahead_does_not_touch_the_tail(alice: User) -> None:
    session = stream(begin(alice, DATA), DATA[:130])
    send(session, 2, CHUNKS[2])
    assert fresh(session).offset == 130
    stream(session, DATA[130:200])
    assert fresh(session).offset == 300


def test_p5_a_stream_that_is_half_dead_holds_up_nobody_and_spoils_nothing(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The most reported fault of such servers: here there is no lock to wait for."""
    monkeypatch.setattr(appending, "FLUSH_SECONDS", -1)
    session = begin(alice, DATA)
    stalled = StalledSource(DATA[:240])
    half_dead = Running(lambda: append(session, 0, stalled, 240))
    assert stalled.stalled.wait(WAIT_SECONDS)
    assert fresh(session).offset == 120
    stream(session, DATA[120:170])
    stalled.release.set()
    half_dead.result()
    assert fresh(session).offset == 240
    stream(session, DATA[240:])
    assert content(session) == DATA


def test_a_stream_that_was_overtaken_within_its_chunk_keeps_nothing_of_it(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appending, "FLUSH_SECONDS", -1)
    session = begin(alice, DATA)
    stalled = StalledSource(DATA[:60])
    half_dead = Running(lambda: append(session, 0, stalled, 60))
    assert stalled.stalled.wait(WAIT_SECONDS)
    stream(session, DATA[30:90])
    stalled.release.set()
    half_dead.result()
    assert fresh(session).offset == 90
    assert len(tails(session)) == 1
    stream(session, DATA[90:])
    assert content(session) == DATA


def test_a_stream_that_was_overtaken_and_gets_ahead_again_is_kept_whole(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own file may be gone by then: the one that was ahead for a while has removed it."""
    monkeypatch.setattr(appending, "FLUSH_SECONDS", -1)
    session = begin(alice, DATA)
    stalled = StalledSource(DATA[:80])
    half_dead = Running(lambda: append(session, 0, stalled, 80))
    assert stalled.stalled.wait(WAIT_SECONDS)
    stream(session, DATA[40:50])
    stalled.release.set()
    half_dead.result()
    assert fresh(session).offset == 80
    assert len(tails(session)) == 1
    stream(session, DATA[80:])
    assert content(session) == DATA


def test_the_same_stream_many_times_at_once_counts_once(alice: User) -> None:
    session = begin(alice, DATA)
    streams = [lambda: append(fresh(session), 0, io.BytesIO(DATA), 350) for _ in range(6)]
    results = at_once(streams)
    errors = [result for result in results if isinstance(result, Exception)]
    assert all(isinstance(error, OffsetMismatch | WrongState) for error in errors), errors
    assert len(errors) < 6
    assert content(session) == DATA
    assert fresh(session).received_count == 4


def test_p5_nothing_is_held_while_a_stream_awaits_bytes(
    alice: User, monkeypatch: pytest.MonkeyPatch, one_of_many: None
) -> None:
    monkeypatch.setattr(appending, "FLUSH_SECONDS", -1)
    session = begin(alice, DATA)
    held: list[bool] = []

    class Watching:
        def __init__(self) -> None:
            self._body = io.BytesIO(DATA)

        def read(self, size: int, /) -> bytes:
            held.append(connection.connection is not None)
            return self._body.read(min(size, 30))

    append(session, 0, Watching(), 350)
    assert len(held) > 10
    assert not any(held)


def test_a_session_cancelled_meanwhile_takes_nothing_more_of_a_stream(alice: User) -> None:
    session = begin(alice, DATA)
    source = InterruptedSource(DATA, lambda: remove(fresh(session)))
    with pytest.raises(SessionCancelled):
        append(session, 0, source, 350)
    assert not staging_of(session).exists()


def test_a_complete_upload_takes_no_stream(alice: User) -> None:
    session = stream(begin(alice, DATA), DATA)
    run_tasks()
    with pytest.raises(WrongState):
        stream(session, b"", 350)


def test_each_tail_is_synced_where_each_chunk_is(alice: User, settings: Settings) -> None:
    settings.UPLOADS = {"ROOT": conf.current().root, "DURABILITY": "chunk"}
    session = begin(alice, DATA)
    with mock.patch("os.fsync") as fsync:
        stream(session, DATA[:30])
    assert fsync.call_count == 2, "the file, and the folder that names it"


# ---------------------------------------------------- a chunk is stored while the next is read


class Telling:
    """Gives DATA in small pieces, and tells `at` how far it was read before each."""

    def __init__(self, at: Callable[[int], object]) -> None:
        self._body, self._at = io.BytesIO(DATA), at

    def read(self, size: int, /) -> bytes:
        self._at(self._body.tell())
        return self._body.read(min(size, 50))


def test_a_disk_that_takes_its_time_does_not_stop_the_stream(alice: User) -> None:
    session = begin(alice, DATA)
    reading_on = threading.Event()
    source = Telling(lambda offset: reading_on.set() if offset > 100 else None)

    def hook(point: Failpoint) -> None:
        if point == Failpoint.CHUNK_WRITE:
            assert reading_on.wait(60), "the next chunk should be read meanwhile"

    with hooked(hook):
        assert append(session, 0, source, len(DATA)).offset == len(DATA)
    assert content(session) == DATA


def test_p8_of_a_stream_no_more_than_two_chunks_are_on_their_way(alice: User) -> None:
    session = begin(alice, DATA)

    def at(offset: int) -> None:
        # What is read now, and the one before it.
        assert fresh(session).received_count >= offset // TINY_CHUNK - 1

    append(session, 0, Telling(at), len(DATA))
    assert content(session) == DATA
    assert not [one for one in threading.enumerate() if one.name.startswith("uploads-commit")]


def test_what_a_chunk_is_refused_by_ends_the_stream_behind_it(alice: User) -> None:
    session = begin(alice, DATA)
    send(session, 1, flipped(CHUNKS[1]))
    read: list[int] = []
    with pytest.raises(ChunkConflict):
        append(fresh(session), 0, Telling(read.append), len(DATA))
    assert fresh(session).offset == 200
    assert max(read) <= 350


# ------------------------------------------------------- what a review and chaos have found


def test_p3_a_slow_stream_does_not_take_the_tail_of_a_faster_one(alice: User) -> None:
    """It passes over chunks that are in, and a tail beyond them is none of its business."""
    session = begin(alice, DATA)

    class HalfDead:
        def __init__(self) -> None:
            self._body = io.BytesIO(DATA[:300])

        def read(self, size: int, /) -> bytes:
            if self._body.tell() == 150:
                wait_until(lambda: fresh(session).offset == 100, "the first chunk to be in")
                assert stream(session, DATA[100:330]).offset == 330
            return self._body.read(min(size, 50))

    append(session, 0, HalfDead(), 300)
    assert fresh(session).offset == 330
    assert len(tails(session)) == 1
    stream(session, DATA[330:])
    assert content(session) == DATA


@pytest.mark.parametrize("came", [60, 100])
def test_a_disk_that_refuses_a_chunk_leaves_a_stream_where_it_can_go_on(
    alice: User, monkeypatch: pytest.MonkeyPatch, came: int
) -> None:
    """A tail as long as its chunk would be in by the offset, and missing by the bitmap."""
    monkeypatch.setattr(appending, "FLUSH_SECONDS", -1)
    session = begin(alice, DATA)
    stream(session, DATA[: came // 2])

    def full(point: Failpoint) -> None:
        if point == Failpoint.CHUNK_WRITE:
            raise OSError(28, "No space left on device")

    with hooked(full), pytest.raises(StorageFull):
        append(fresh(session), came // 2, InPieces(DATA[came // 2 :], 10), 350 - came // 2)
    offset = fresh(session).offset
    assert came // 2 <= offset < 100
    stream(session, DATA[offset:])
    assert content(session) == DATA


def test_bytes_that_a_full_disk_did_not_take_are_not_counted(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buffers, "get_pool", lambda: BufferPool(1, 0))
    session = begin(alice, DATA)
    left = 2

    def fills_up(point: Failpoint) -> None:
        nonlocal left
        if point == Failpoint.INCOMING_SPILL:
            left -= 1
            if left < 0:
                raise OSError(28, "No space left on device")

    with hooked(fills_up), pytest.raises(StorageFull):
        append(session, 0, InPieces(DATA, 20), 350)
    assert fresh(session).offset in {0, 40}
    monkeypatch.undo()
    stream(session, DATA[fresh(session).offset :])
    assert content(session) == DATA


@pytest.mark.parametrize("flush", [-1.0, 2.0])
def test_p10_an_upload_that_ends_under_a_stream_is_refused_and_no_error(
    alice: User, monkeypatch: pytest.MonkeyPatch, flush: float
) -> None:
    monkeypatch.setattr(appending, "FLUSH_SECONDS", flush)
    for end, refusal in ((cancelled, SessionCancelled), (completed, WrongState)):
        session = begin(alice, DATA, sha256="", resume_key=end.__name__)
        source = InterruptedSource(DATA[:60], partial(end, session))
        with pytest.raises(refusal):
            append(session, 0, source, 350)


def cancelled(session: FileSession) -> None:
    remove(fresh(session))


def completed(session: FileSession) -> None:
    for index, chunk in enumerate(CHUNKS):
        send(session, index, chunk)
    complete(fresh(session))
    run_tasks()


def test_the_file_of_a_tail_goes_when_its_chunk_comes_otherwise(alice: User) -> None:
    session = begin(alice, DATA)
    for index in range(3):
        stream(session, CHUNKS[index][:60])
        send(session, index, CHUNKS[index])
        assert tails(session) == []


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(30))
def test_streams_and_chunks_in_any_mixture_lose_nothing(
    alice: User, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Four streams that are cut anywhere, and chunks between them, all of one upload at once."""
    monkeypatch.setattr(appending, "FLUSH_SECONDS", -1)
    data = payload(550, seed)
    session = begin(alice, data, sha256="", resume_key="mixture")
    told = Told()

    def streams(number: int) -> None:
        chance = random.Random(seed * 100 + number)
        for _ in range(6):
            before = told.offset
            current = fresh(session)
            assert current.offset >= before
            if current.status != SessionStatus.ACTIVE:
                return
            came = data[current.offset :][: chance.randrange(300)]
            with contextlib.suppress(OffsetMismatch):
                source = InPieces(came, chance.choice([1, 7, 33, 100]))
                after = append(current, current.offset, source, len(data) - current.offset)
                told.note(after.offset)

    def chunks() -> None:
        for index in random.Random(seed).choices(range(5), k=4):
            send(session, index, data[index * TINY_CHUNK :][:TINY_CHUNK])

    results = at_once([chunks, *(lambda number=number: streams(number) for number in range(4))])
    assert [result for result in results if result is not None] == []
    offset = fresh(session).offset
    assert offset >= told.offset
    if offset < len(data):
        stream(session, data[offset:])
    complete(fresh(session))
    run_tasks()
    assert content_of(fresh(session)) == data


class Told:
    """The farthest offset that anybody was told."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.offset = 0

    def note(self, offset: int) -> None:
        with self._lock:
            self.offset = max(self.offset, offset)
