"""What every store does, whatever it is made of (uploads/storage/base.py)."""

import io
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from tests.support.bodies import payload, sha256
from uploads.core.plan import MIB
from uploads.storage import StagingMissing, Store

DATA = payload(1000)


def read(store: Store, session_id: UUID, size: int = 1000) -> bytes:
    buffer = bytearray(size)
    with store.open(session_id) as file:
        count = file.read_into(0, memoryview(buffer))
    return bytes(buffer[:count])


def stage(store: Store, data: bytes = DATA) -> UUID:
    session_id = uuid4()
    store.create(session_id, len(data))
    with store.open(session_id) as file:
        file.write_at(0, memoryview(data))
    return session_id


def test_a_created_file_has_its_whole_size_and_reads_as_zeros(store: Store) -> None:
    session_id = uuid4()
    store.create(session_id, 1000)
    with store.open(session_id) as file:
        assert file.size == 1000
    assert read(store, session_id) == bytes(1000)


def test_a_created_file_is_sparse(store: Store) -> None:
    session_id = uuid4()
    store.create(session_id, 5000 * MIB)
    assert store.bytes_staged(session_id) < MIB


def test_writes_land_at_their_own_offset_and_nowhere_else(store: Store) -> None:
    """C1."""
    session_id = uuid4()
    store.create(session_id, 10)
    with store.open(session_id) as file:
        file.write_at(7, memoryview(b"xyz"))
        file.write_at(2, memoryview(b"ab"))
        assert file.size == 10
    assert read(store, session_id) == b"\0\0ab\0\0\0xyz"


def test_reading_past_the_end_gives_what_there_is(store: Store) -> None:
    session_id = stage(store, b"abcdef")
    buffer = bytearray(10)
    with store.open(session_id) as file:
        assert file.read_into(4, memoryview(buffer)) == 2
        assert file.read_into(6, memoryview(buffer)) == 0


def test_an_empty_file_can_be_staged_and_adopted(store: Store) -> None:
    session_id, content_id = stage(store, b""), uuid4()
    store.adopt(session_id, sha256(b""), content_id)
    with store.read(sha256(b""), content_id) as content:
        assert content.read() == b""


def test_opening_never_creates(store: Store) -> None:
    known = stage(store)
    unknown = uuid4()
    for _ in range(2):
        with pytest.raises(StagingMissing), store.open(unknown):
            pass
    assert [folder.name for folder in store.staging_folders()] == [str(known)]


def test_a_body_for_a_session_without_staging_is_refused(store: Store) -> None:
    stage(store)
    with pytest.raises(StagingMissing), store.incoming(uuid4()):
        pass


def test_an_incoming_body_gives_back_what_was_spilled(store: Store) -> None:
    session_id = stage(store)
    with store.incoming(session_id) as body:
        body.write(b"first ")
        body.write(memoryview(b"second"))
        buffer = bytearray(8)
        assert body.read_into(6, memoryview(buffer)) == 6
        assert bytes(buffer[:6]) == b"second"
    assert read(store, session_id) == DATA


def test_the_space_of_a_spilled_body_comes_back_with_its_end(store: Store) -> None:
    session_id = stage(store)
    before = store.bytes_staged(session_id)
    with store.incoming(session_id) as body:
        body.write(bytes(MIB))
        assert store.bytes_staged(session_id) >= before + MIB
    assert store.bytes_staged(session_id) == before


def test_the_space_comes_back_when_the_body_fails(store: Store) -> None:
    session_id = stage(store)
    with suppress(RuntimeError), store.incoming(session_id) as body:
        body.write(bytes(MIB))
        raise RuntimeError("as when a client's bytes are wrong")
    assert not store.is_receiving(session_id)
    assert store.bytes_staged(session_id) < MIB


def test_a_body_outlives_the_removal_of_its_staging(store: Store) -> None:
    """A cancelled upload's body must end in a refusal, not in a failure."""
    session_id = stage(store)
    with store.incoming(session_id) as body:
        body.write(b"abc")
        store.discard(session_id)
        body.write(b"def")
        body.touch()
    assert list(store.staging_folders()) == []


def test_nobody_is_receiving_for_an_unknown_session(store: Store) -> None:
    assert not store.is_receiving(uuid4())
    assert store.bytes_staged(uuid4()) == 0


def test_discarding_removes_everything_and_says_how_much(store: Store) -> None:
    session_id = stage(store, payload(MIB))
    assert store.discard(session_id) >= MIB
    with pytest.raises(StagingMissing), store.open(session_id):
        pass
    assert list(store.staging_folders()) == []


def test_discarding_twice_is_harmless(store: Store) -> None:
    session_id = stage(store)
    store.discard(session_id)
    assert store.discard(session_id) == 0


def test_staging_folders_names_all_with_age_and_size(store: Store) -> None:
    ids = {str(stage(store, payload(MIB))) for _ in range(3)}
    folders = list(store.staging_folders())
    assert {folder.name for folder in folders} == ids
    assert all(folder.bytes_on_disk >= MIB for folder in folders)
    now = datetime.now(UTC)
    assert all(abs(now - folder.touched_at) < timedelta(minutes=1) for folder in folders)


def test_a_store_that_never_took_anything_has_no_folders(store: Store) -> None:
    assert list(store.staging_folders()) == []


def test_a_named_folder_can_be_removed(store: Store) -> None:
    kept, gone = stage(store), stage(store)
    store.discard_folder(str(gone))
    assert [folder.name for folder in store.staging_folders()] == [str(kept)]


def test_adopting_makes_the_staged_bytes_content(store: Store) -> None:
    session_id, content_id = stage(store), uuid4()
    store.adopt(session_id, sha256(DATA), content_id)
    with store.read(sha256(DATA), content_id) as content:
        assert content.read() == DATA
    with pytest.raises(StagingMissing), store.open(session_id):
        pass


def test_adopting_again_after_a_crash_moves_nothing_and_is_no_error(store: Store) -> None:
    """P7."""
    session_id, content_id = stage(store), uuid4()
    store.adopt(session_id, sha256(DATA), content_id)
    store.adopt(session_id, sha256(DATA), content_id)
    with store.read(sha256(DATA), content_id) as content:
        assert content.read() == DATA


def test_adopted_content_can_be_opened_to_recover_it(store: Store) -> None:
    session_id, content_id = stage(store), uuid4()
    with pytest.raises(StagingMissing), store.open_adopted(sha256(DATA), content_id):
        pass
    store.adopt(session_id, sha256(DATA), content_id)
    with store.open_adopted(sha256(DATA), content_id) as file:
        assert file.size == len(DATA)


def test_two_copies_of_one_content_live_and_go_apart(store: Store) -> None:
    first, second = uuid4(), uuid4()
    store.adopt(stage(store), sha256(DATA), first)
    store.adopt(stage(store), sha256(DATA), second)
    store.delete(sha256(DATA), first)
    with pytest.raises(FileNotFoundError):
        store.read(sha256(DATA), first)
    with store.read(sha256(DATA), second) as content:
        assert content.read() == DATA


def test_deleting_twice_is_harmless(store: Store) -> None:
    content_id = uuid4()
    store.adopt(stage(store), sha256(DATA), content_id)
    store.delete(sha256(DATA), content_id)
    store.delete(sha256(DATA), content_id)
    with pytest.raises(FileNotFoundError):
        store.read(sha256(DATA), content_id)


def test_a_reader_keeps_its_bytes_while_content_is_deleted(store: Store) -> None:
    content_id = uuid4()
    store.adopt(stage(store), sha256(DATA), content_id)
    with store.read(sha256(DATA), content_id) as content:
        store.delete(sha256(DATA), content_id)
        assert content.read() == DATA


def test_content_is_only_read_as_a_stream(store: Store) -> None:
    content_id = uuid4()
    store.adopt(stage(store), sha256(DATA), content_id)
    with store.read(sha256(DATA), content_id) as content:
        assert content.seek(100) == 100
        assert content.read(10) == DATA[100:110]
        assert not isinstance(content, io.BytesIO)


def test_free_bytes_says_that_there_is_room(store: Store) -> None:
    assert store.free_bytes() > MIB


def test_sync_returns(store: Store) -> None:
    session_id = stage(store)
    with store.open(session_id) as file:
        file.sync()
        assert file.size == len(DATA)


def test_a_session_is_receiving_exactly_while_a_body_is_open(store: Store) -> None:
    session_id, other = stage(store), stage(store)
    assert not store.is_receiving(session_id)
    with store.incoming(session_id) as body:
        assert store.is_receiving(session_id)
        body.touch()
        assert not store.is_receiving(other)
    assert not store.is_receiving(session_id)


def test_the_holder_of_a_lease_still_holds_it_when_it_asks_again(store: Store) -> None:
    """P7: a take-over that failed after the lease was taken can be tried again."""
    assert store.hold_lease("one")
    assert store.hold_lease("one")


def test_content_files_names_all_that_is_in_content(store: Store) -> None:
    assert list(store.content_files()) == []
    ids = [uuid4() for _ in range(3)]
    for number, session_id in enumerate(ids):
        store.create(session_id, 5000)
        store.adopt(session_id, "abc"[number % 2] * 64, session_id)
    files = {file.content_id: file for file in store.content_files()}
    assert set(files) == set(ids)
    assert {file.sha256 for file in files.values()} == {"a" * 64, "b" * 64}
    age = datetime.now(UTC) - files[ids[0]].moved_at
    assert abs(age) < timedelta(minutes=5)


def test_a_synced_staged_file_is_like_any_other(store: Store) -> None:
    session_id = uuid4()
    store.create(session_id, 10, synced=True)
    with store.open(session_id) as data:
        assert data.size == 10


def test_scratch_gives_back_what_was_written_in_pieces(store: Store) -> None:
    with store.scratch() as scratch:
        scratch.write(DATA[:300])
        scratch.write(memoryview(DATA)[300:])
        assert scratch.read_at(0, len(DATA) + 10) == DATA
        assert scratch.read_at(299, 2) == DATA[299:301]
        assert scratch.read_at(len(DATA), 10) == b""


def test_scratches_at_the_same_moment_are_apart(store: Store) -> None:
    with store.scratch() as one, store.scratch() as other:
        one.write(b"one")
        other.write(b"other")
        assert (one.read_at(0, 10), other.read_at(0, 10)) == (b"one", b"other")


def test_bytes_are_copied_from_one_staged_file_to_another(store: Store) -> None:
    one, other = uuid4(), uuid4()
    store.create(one, len(DATA))
    store.create(other, 20)
    with store.open(one) as source, store.open(other) as target:
        source.write_at(0, memoryview(DATA))
        target.copy_from(source, 5, 100, 10)
        buffer = memoryview(bytearray(200))
        count = target.read_into(0, buffer)
        assert buffer[:count] == bytes(10) + DATA[5:105]
        # Where the source ends, so does the copy.
        target.copy_from(source, len(DATA) - 3, 100, 0)
        assert target.size == 110
        assert target.read_into(0, buffer) == 110
        assert buffer[:4] == DATA[-3:] + b"\0"
