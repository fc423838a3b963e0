"""Uploads that begin without a size: what came is never cut short, and never made up."""

import io
from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from tests.support.bodies import InPieces, InterruptedSource, cut, payload, sha256
from tests.support.sessions import TINY_CHUNK, begin, content_of, fresh, handshake, send, staging_of
from tests.support.tasks import run_tasks
from tests.support.threads import Running, at_once
from uploads.engine import appending
from uploads.engine.appending import append
from uploads.engine.completing import complete
from uploads.engine.opening import Offer, open_session
from uploads.engine.receiving import receive_chunk
from uploads.engine.rechecking import drop_damaged
from uploads.engine.removing import remove
from uploads.engine.sizing import declare_size
from uploads.errors import (
    ChunkNotFound,
    ChunksMissing,
    HashConflict,
    LengthMismatch,
    OffsetMismatch,
    SessionCancelled,
    TooLarge,
)
from uploads.models import FileSession, SessionStatus

DATA = payload(350)
CHUNKS = cut(DATA, TINY_CHUNK)


def unsized(owner: User, **given: Any) -> FileSession:
    return open_session(owner, Offer("file.bin", None, chunk_size=TINY_CHUNK, **given))[1]


def stream(session: FileSession, data: bytes) -> FileSession:
    """Send bytes as a request would: with the session as it is now."""
    current = fresh(session)
    return append(current, current.offset, io.BytesIO(data), len(data))


def content(session: FileSession) -> bytes:
    run_tasks()
    return content_of(fresh(session))


def test_a_stream_without_a_size_is_as_long_as_what_came(alice: User) -> None:
    session = unsized(alice)
    assert (session.size, session.progress, session.offset) == (None, 0.0, 0)
    for start in range(0, 350, 70):
        stream(session, DATA[start : start + 70])
    assert complete(fresh(session), sha256(DATA)).size == 350
    assert content(session) == DATA
    assert fresh(session).progress == 100


@pytest.mark.parametrize("length", [0, 100, 300, 301])
def test_any_length_can_be_the_end_of_a_stream(alice: User, length: int) -> None:
    session = unsized(alice)
    stream(session, DATA[:length])
    complete(fresh(session))
    assert content(session) == DATA[:length]


def test_a_size_can_be_declared_at_any_time_and_is_fixed_then(alice: User) -> None:
    session = unsized(alice)
    stream(session, DATA[:130])
    assert declare_size(fresh(session), 350).size == 350
    assert declare_size(fresh(session), 350).offset == 130
    with pytest.raises(LengthMismatch):
        declare_size(fresh(session), 351)
    with pytest.raises(LengthMismatch):
        stream(session, bytes(221))
    assert handshake(alice, DATA, sha256="")[1] != session
    send(session, 3, CHUNKS[3])
    stream(session, DATA[130:300])
    complete(fresh(session))
    assert content(session) == DATA


def test_a_size_that_is_reached_already_makes_the_tail_the_last_chunk(alice: User) -> None:
    session = unsized(alice, sha256=sha256(DATA))
    stream(session, DATA)
    assert declare_size(fresh(session), 350).status == SessionStatus.ASSEMBLING
    assert content(session) == DATA


def test_a_size_that_is_reached_on_the_grid_begins_the_verification(alice: User) -> None:
    session = unsized(alice, sha256=sha256(DATA[:300]))
    stream(session, DATA[:300])
    assert declare_size(fresh(session), 300).status == SessionStatus.ASSEMBLING
    assert content(session) == DATA[:300]


def test_less_than_has_come_cannot_be_the_size(alice: User) -> None:
    session = unsized(alice)
    stream(session, DATA[:130])
    send(session, 2, CHUNKS[2])
    for size in (0, 100, 129, 299):
        with pytest.raises(LengthMismatch):
            declare_size(fresh(session), size)
    assert fresh(session).size is None
    assert declare_size(fresh(session), 300).size == 300


def test_a_stream_with_a_gap_is_not_complete(alice: User) -> None:
    session = unsized(alice)
    stream(session, DATA[:30])
    send(session, 2, CHUNKS[2])
    with pytest.raises(ChunksMissing) as refused:
        complete(fresh(session))
    assert refused.value.members["missing"] == [0, 1]
    assert fresh(session).size is None


def test_a_stream_without_a_size_is_bounded_by_its_chunks(alice: User) -> None:
    session = stream(unsized(alice), b"x")
    source = io.BytesIO(DATA)
    with pytest.raises(TooLarge):
        append(session, 1, source, TINY_CHUNK * 10_000)
    assert source.tell() == 0
    with pytest.raises(TooLarge):
        declare_size(fresh(session), TINY_CHUNK * 10_000 + 1)


def test_two_open_uploads_of_one_content_are_refused_when_the_size_comes(alice: User) -> None:
    begin(alice, DATA)
    session = unsized(alice, sha256=sha256(DATA))
    with pytest.raises(HashConflict):
        declare_size(session, 350)
    assert fresh(session).size is None


def test_a_cancelled_upload_gets_no_size(alice: User) -> None:
    session = unsized(alice)
    remove(fresh(session))
    with pytest.raises(SessionCancelled):
        declare_size(fresh(session), 350)


def test_completing_twice_at_once_is_completing(alice: User) -> None:
    for seed in range(8):
        data = payload(350, seed)
        session = stream(unsized(alice), data)
        results = at_once([lambda of=session: complete(fresh(of)) for _ in range(6)])  # type: ignore[misc]
        assert [result for result in results if isinstance(result, Exception)] == []
        assert content(session) == data


def test_a_size_declared_under_a_stream_ends_it(alice: User) -> None:
    """It must come to an end, and what it brought beyond that size must not be in."""
    session = unsized(alice)
    source = InterruptedSource(DATA[:120], lambda: declare_size(fresh(session), 20))
    with pytest.raises(LengthMismatch):
        append(session, 0, source, 300)
    assert (fresh(session).size, fresh(session).received_count) == (20, 0)
    stream(session, DATA[fresh(session).offset : 20])
    complete(fresh(session))
    assert content(session) == DATA[:20]


def test_a_size_declared_under_a_stream_on_the_grid_ends_it(alice: User) -> None:
    session = unsized(alice)

    class Watched:
        def __init__(self) -> None:
            self._body = io.BytesIO(DATA)

        def read(self, size: int, /) -> bytes:
            if self._body.tell() == 100 and fresh(session).size is None:
                declare_size(fresh(session), 100)
            return self._body.read(min(size, 50))

    with pytest.raises(LengthMismatch):
        append(session, 0, Watched(), 300)
    complete(fresh(session))
    assert content(session) == DATA[:100]


def test_a_stream_that_ends_where_a_size_was_declared_meanwhile_makes_the_file_whole(
    alice: User,
) -> None:
    session = unsized(alice, sha256=sha256(DATA))
    stream(session, DATA[:310])
    source = InterruptedSource(DATA[310:], lambda: declare_size(fresh(session), 350))
    assert append(fresh(session), 310, source, 40).offset == 350
    assert content(session) == DATA


@pytest.mark.parametrize(("index", "refusal"), [(0, LengthMismatch), (5, ChunkNotFound)])
def test_a_chunk_under_way_when_a_smaller_size_is_declared_is_refused(
    alice: User, index: int, refusal: type[Exception]
) -> None:
    session = unsized(alice)
    source = InterruptedSource(DATA[:100], lambda: declare_size(fresh(session), 20))
    with pytest.raises(refusal):
        receive_chunk(fresh(session), index, source)
    assert fresh(session).received_count == 0


def test_completing_beside_a_running_stream_leaves_what_can_be_completed(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appending, "FLUSH_SECONDS", -1)
    session = stream(unsized(alice), DATA[:320])
    source = InterruptedSource(DATA[320:], lambda: complete(fresh(session)))
    running = Running(lambda: append(fresh(session), 320, source, 80))
    with pytest.raises((LengthMismatch, Exception)):
        running.result()
    current = fresh(session)
    assert current.size in {320, 335}
    assert content(session) == DATA[: current.size]


def test_p4_an_end_that_a_power_cut_has_taken_is_asked_for_again(alice: User) -> None:
    """However often somebody says that this was all: they were told that more is here."""
    session = stream(unsized(alice), DATA)
    [tail] = staging_of(session).glob("tail-*")
    tail.unlink()
    for _ in range(3):
        with pytest.raises(OffsetMismatch) as refused:
            complete(fresh(session))
        assert refused.value.members == {"offset": 300}
    with pytest.raises(LengthMismatch):
        declare_size(fresh(session), 300)
    stream(session, DATA[300:])
    complete(fresh(session))
    assert content(session) == DATA


def test_p4_damage_is_found_before_all_is_in(alice: User) -> None:
    session = stream(unsized(alice), DATA)
    assert not drop_damaged(fresh(session))
    path = staging_of(session) / "data"
    path.write_bytes(DATA[:150] + b"x" + DATA[151:300])
    assert drop_damaged(fresh(session))
    assert fresh(session).offset == 100
    with pytest.raises(ChunksMissing):
        complete(fresh(session))
    stream(session, InPieces(DATA[100:], 1000).read(1000))
    complete(fresh(session))
    assert content(session) == DATA


def test_chunks_of_an_upload_without_a_size_keep_to_the_largest_file(
    alice: User, settings: Settings
) -> None:
    session = unsized(alice)
    settings.UPLOADS = {**settings.UPLOADS, "MAX_FILE_SIZE": 2 * TINY_CHUNK + 50}
    send(session, 1, DATA[:TINY_CHUNK])
    for index in (2, 50):
        with pytest.raises(TooLarge) as refusal:
            send(session, index, DATA[:TINY_CHUNK])
        assert refusal.value.members == {"limit": 250}
    settings.UPLOADS = {**settings.UPLOADS, "MAX_FILE_SIZE": TINY_CHUNK}
    assert send(session, 1, DATA[:TINY_CHUNK]).duplicate
    assert fresh(session).received_count == 1
