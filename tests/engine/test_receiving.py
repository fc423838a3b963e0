"""Chunks on their way in: checked before they touch the file, in any order, any number at once."""

import io
import random
from contextlib import ExitStack

import pytest
from django.contrib.auth.models import User
from django.db import connection
from pytest_django import Settings

from tests.support.bodies import (
    WAIT_SECONDS,
    InterruptedSource,
    StalledSource,
    content_digest,
    cut,
    flipped,
    payload,
)
from tests.support.sessions import (
    TINY_CHUNK,
    Snapshot,
    age,
    begin,
    content_of,
    fresh,
    send,
    send_all,
    snapshot,
    staged,
    upload,
)
from tests.support.tasks import run_tasks
from tests.support.threads import Running, at_once
from uploads.core.digests import Digest, parse_content_digest
from uploads.engine.receiving import Receipt, receive_chunk
from uploads.engine.removing import remove
from uploads.errors import (
    ChunkConflict,
    ChunkNotFound,
    DigestMismatch,
    LengthMismatch,
    SessionCancelled,
    SessionExpired,
    SessionFailed,
    UploadError,
)
from uploads.models import FileSession, SessionStatus
from uploads.storage import get_store

DATA = payload(350)
CHUNKS = cut(DATA, TINY_CHUNK)


def digest(data: bytes, algorithm: str = "sha-256") -> list[Digest]:
    return parse_content_digest(content_digest(data, algorithm))


def unchanged(session: FileSession, before: Snapshot) -> bool:
    return snapshot(session) == before


@pytest.fixture
def session(alice: User) -> FileSession:
    session = begin(alice, DATA)
    send(session, 1, CHUNKS[1])
    return fresh(session)


def test_c1_a_chunk_lands_at_its_own_offset_and_nowhere_else(session: FileSession) -> None:
    send(session, 3, CHUNKS[3])
    assert staged(session) == bytes(100) + CHUNKS[1] + bytes(100) + CHUNKS[3]
    assert fresh(session).bitmap.missing() == [0, 2]
    assert fresh(session).received_count == 2


def test_c10_the_size_on_disk_is_the_declared_size_all_the_time(session: FileSession) -> None:
    for index in (3, 0, 2):
        assert len(staged(session)) == len(DATA)
        send(session, index, CHUNKS[index])
    run_tasks()
    assert len(content_of(fresh(session))) == len(DATA)


@pytest.mark.parametrize("body", [b"", CHUNKS[0][:-1], CHUNKS[0][:1]], ids=len)
def test_p2_a_chunk_cut_short_changes_nothing(session: FileSession, body: bytes) -> None:
    before = snapshot(session)
    with pytest.raises(LengthMismatch):
        send(session, 0, body)
    assert unchanged(session, before)


@pytest.mark.parametrize("algorithm", ["sha-256", "blake3"])
def test_p2_a_corrupted_chunk_changes_nothing(session: FileSession, algorithm: str) -> None:
    """B10."""
    before = snapshot(session)
    with pytest.raises(DigestMismatch) as refusal:
        send(session, 0, flipped(CHUNKS[0], 50), digest(CHUNKS[0], algorithm))
    assert refusal.value.members["expected"] == digest(CHUNKS[0], algorithm)[0].value.hex()
    assert unchanged(session, before)
    assert not send(session, 0, CHUNKS[0], digest(CHUNKS[0], algorithm)).duplicate


def test_p2_every_declared_digest_is_checked(session: FileSession) -> None:
    before = snapshot(session)
    for wrong in ("sha-256", "blake3"):
        right = "blake3" if wrong == "sha-256" else "sha-256"
        declared = digest(CHUNKS[0], right) + digest(CHUNKS[2], wrong)
        with pytest.raises(DigestMismatch):
            send(session, 0, CHUNKS[0], declared)
    assert unchanged(session, before)


@pytest.mark.parametrize("index", [-1, 4, 10**9])
def test_an_index_out_of_bounds_changes_nothing(session: FileSession, index: int) -> None:
    before = snapshot(session)
    with pytest.raises(ChunkNotFound):
        send(session, index, CHUNKS[0])
    assert unchanged(session, before)


def test_p6_c3_the_same_chunk_again_is_a_success_that_changes_nothing(
    session: FileSession,
) -> None:
    before = snapshot(session)
    receipt = send(session, 1, CHUNKS[1])
    assert receipt.duplicate
    assert receipt.session.received_count == 1
    assert unchanged(session, before)


def test_p6_other_bytes_for_a_chunk_are_a_conflict_that_changes_nothing(
    session: FileSession,
) -> None:
    before = snapshot(session)
    with pytest.raises(ChunkConflict):
        send(session, 1, flipped(CHUNKS[1]))
    assert unchanged(session, before)


def test_p6_also_while_assembling_and_after_completion(session: FileSession) -> None:
    for index in (0, 2, 3):
        send(session, index, CHUNKS[index])
    for status in (SessionStatus.ASSEMBLING, SessionStatus.COMPLETED):
        assert fresh(session).status == status
        assert send(session, 1, CHUNKS[1]).duplicate
        with pytest.raises(ChunkConflict):
            send(session, 1, flipped(CHUNKS[1]))
        run_tasks()
    assert content_of(fresh(session)) == DATA


def test_b10_any_order_gives_the_same_file(alice: User) -> None:
    data = payload(450)
    session = begin(alice, data)
    for index in (0, 2, 1, 4, 3):
        send(session, index, cut(data, TINY_CHUNK)[index])
    run_tasks()
    assert content_of(fresh(session)) == data


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("failed", SessionFailed),
        ("cancelled", SessionCancelled),
        ("expired", SessionExpired),
    ],
)
def test_an_ended_session_takes_no_chunk(
    session: FileSession, status: str, error: type[UploadError]
) -> None:
    FileSession.objects.filter(pk=session.pk).update(status=status)
    before = snapshot(session)
    with pytest.raises(error):
        send(session, 0, CHUNKS[0])
    with pytest.raises(error):
        send(session, 1, CHUNKS[1])
    assert unchanged(session, before)


@pytest.mark.parametrize("moment", ["failed", "cancelled", "expired"])
def test_a_session_that_ends_while_a_body_arrives_is_not_written(
    session: FileSession, moment: str
) -> None:
    source = StalledSource(CHUNKS[0])
    sending = Running(lambda: receive_chunk(fresh(session), 0, source))
    assert source.stalled.wait(WAIT_SECONDS)
    FileSession.objects.filter(pk=session.pk).update(status=moment)
    source.release.set()
    with pytest.raises(UploadError):
        sending.result()
    assert fresh(session).bitmap.missing() == [0, 2, 3]
    assert staged(session)[:100] == bytes(100)


def test_cancelling_while_a_body_arrives_wins(session: FileSession) -> None:
    source = StalledSource(CHUNKS[0])
    sending = Running(lambda: receive_chunk(fresh(session), 0, source))
    assert source.stalled.wait(WAIT_SECONDS)
    remove(fresh(session))
    source.release.set()
    with pytest.raises(SessionCancelled):
        sending.result()


def test_p5_a_stalled_body_blocks_nobody(session: FileSession) -> None:
    """Neither another chunk, nor the same chunk from another connection, nor a deadlock."""
    source = StalledSource(CHUNKS[0])
    sending = Running(lambda: receive_chunk(fresh(session), 0, source))
    assert source.stalled.wait(WAIT_SECONDS)
    assert not send(session, 2, CHUNKS[2]).duplicate
    assert not send(session, 0, CHUNKS[0]).duplicate
    source.release.set()
    sending.result()
    assert fresh(session).bitmap.missing() == [3]


def test_p5_no_transaction_is_open_while_a_body_is_awaited(session: FileSession) -> None:
    open_blocks = []

    class Watching(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            open_blocks.append(connection.in_atomic_block)
            return super().read(size)

    receive_chunk(fresh(session), 0, Watching(CHUNKS[0]))
    assert open_blocks
    assert not any(open_blocks)


def test_p6_everything_at_once_in_any_order_and_twice(alice: User) -> None:
    """B4, C2, C3."""
    data = payload(1950)
    chunks = cut(data, TINY_CHUNK)
    session = begin(alice, data)
    indices = [*range(20), *range(20)]
    random.Random(4).shuffle(indices)

    def job(index: int) -> bool:
        return send(session, index, chunks[index]).duplicate

    results = []
    for start in range(0, 40, 10):
        some = indices[start : start + 10]
        results += at_once([lambda index=i: job(index) for i in some])  # type: ignore[misc]
    assert sorted(map(str, results)) == ["False"] * 20 + ["True"] * 20
    run_tasks()
    assert fresh(session).received_count == 20
    assert content_of(fresh(session)) == data


def test_p6_of_two_different_bodies_at_once_one_wins_whole(session: FileSession) -> None:
    bodies = [payload(100, seed) for seed in range(10, 16)]
    results = at_once([lambda body=body: send(session, 0, body) for body in bodies])  # type: ignore[misc]
    winners = [
        body for body, r in zip(bodies, results, strict=True) if not isinstance(r, Exception)
    ]
    assert len(winners) == 1
    assert sum(isinstance(result, ChunkConflict) for result in results) == 5
    assert staged(session)[:100] == winners[0]


def test_a_session_without_a_declared_hash_waits_for_complete(alice: User) -> None:
    session = upload(alice, DATA, sha256="")
    assert session.status == SessionStatus.ACTIVE
    assert session.bitmap.missing() == []


def test_a_lost_staging_folder_fails_the_session_and_says_so(
    session: FileSession, upload_root: object
) -> None:
    from uploads.storage import get_store

    get_store().discard(session.pk)
    with pytest.raises(SessionFailed):
        send(session, 0, CHUNKS[0])
    assert fresh(session).status == SessionStatus.FAILED


def test_every_chunk_moves_the_expiry(session: FileSession) -> None:
    before = session.expires_at
    send(session, 0, CHUNKS[0])
    assert fresh(session).expires_at > before


def test_a_whole_upload_is_found_complete(alice: User) -> None:
    session = send_all(begin(alice, DATA), DATA)
    assert session.status == SessionStatus.COMPLETED
    assert content_of(session) == DATA


def test_p6_the_slow_twin_of_the_last_chunk_is_a_duplicate_after_completion(
    session: FileSession,
) -> None:
    """Its staging is gone by the time it ends, and its answer must not be a refusal."""
    send(session, 0, CHUNKS[0])
    send(session, 2, CHUNKS[2])

    def other() -> None:
        send(session, 3, CHUNKS[3])
        run_tasks()

    receipt = receive_chunk(fresh(session), 3, InterruptedSource(CHUNKS[3], other))
    assert receipt.duplicate
    assert receipt.session.status == SessionStatus.COMPLETED


def test_p6_the_slow_twin_with_other_bytes_is_a_conflict_after_completion(
    session: FileSession,
) -> None:
    send(session, 0, CHUNKS[0])
    send(session, 2, CHUNKS[2])

    def other() -> None:
        send(session, 3, CHUNKS[3])
        run_tasks()

    with pytest.raises(ChunkConflict):
        receive_chunk(fresh(session), 3, InterruptedSource(flipped(CHUNKS[3]), other))
    assert content_of(fresh(session)) == DATA


def test_p6_a_twin_whose_body_begins_after_completion_is_a_duplicate(session: FileSession) -> None:
    """It looked at the session while its chunk was missing, and staging went before its body."""
    send(session, 0, CHUNKS[0])
    send(session, 2, CHUNKS[2])
    seen = fresh(session)
    send(session, 3, CHUNKS[3])
    run_tasks()
    receipt = receive_chunk(seen, 3, io.BytesIO(CHUNKS[3]))
    assert receipt.duplicate
    assert receipt.session.status == SessionStatus.COMPLETED
    with pytest.raises(ChunkConflict):
        receive_chunk(seen, 3, io.BytesIO(flipped(CHUNKS[3])))
    with pytest.raises(LengthMismatch):
        receive_chunk(seen, 3, io.BytesIO(CHUNKS[3][:-1]))
    assert content_of(fresh(session)) == DATA


def test_a_task_backend_that_runs_in_place_does_not_wait_for_the_chunk_s_own_lock(
    alice: User, settings: Settings
) -> None:
    settings.TASKS = {"default": {"BACKEND": "django_tasks.backends.immediate.ImmediateBackend"}}
    session = begin(alice, DATA)
    Running(lambda: send_all(session, DATA)).result()
    assert content_of(fresh(session)) == DATA


def test_p5_no_database_connection_is_held_while_a_body_is_awaited(
    session: FileSession, one_of_many: None
) -> None:
    """Also not by a session that came back after long, which first says that it lives."""
    held = []

    class Watching(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            held.append(connection.connection)
            return super().read(size)

    age(session, hours=1)
    receive_chunk(fresh(session), 0, Watching(CHUNKS[0]))
    assert held
    assert set(held) == {None}


def test_p6_a_chunk_that_came_otherwise_meanwhile_waits_for_no_verifier(
    session: FileSession,
) -> None:
    """The last chunk twice: the other one began the verification, which holds the whole file."""
    for index in (0, 2):
        send(session, index, CHUNKS[index])
    arriving = fresh(session)

    with get_store().open(session.pk) as data, ExitStack() as verifier:

        def meanwhile() -> None:
            send(session, 3, CHUNKS[3])
            verifier.enter_context(data.locked(0, 0))

        source = InterruptedSource(CHUNKS[3], meanwhile)
        receipt = Running(lambda: receive_chunk(arriving, 3, source)).result()
    assert isinstance(receipt, Receipt)
    assert receipt.duplicate
