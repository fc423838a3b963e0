"""What is special to the store on a file system: refusals of the disk, races of folders."""

import contextlib
import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from tests.support.bodies import payload, sha256
from uploads.errors import StorageFull, StorageUnavailable, UploadError
from uploads.storage import StagingMissing
from uploads.storage.filesystem import RECEIVING_SECONDS, FilesystemStore

DATA = payload(1000)
SHA = sha256(DATA)


@pytest.fixture
def store(upload_root: Path) -> FilesystemStore:
    store = FilesystemStore(upload_root)
    store.prepare()
    return store


def stage(store: FilesystemStore) -> UUID:
    session_id = uuid4()
    store.create(session_id, len(DATA))
    with store.open(session_id) as file:
        file.write_at(0, memoryview(DATA))
    return session_id


@contextmanager
def failing(call: str, code: int) -> Iterator[None]:
    """The system refuses one of its calls, inside this block only."""

    def fail(*args: object, **kwargs: object) -> int:
        raise OSError(code, os.strerror(code))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, call, fail)
        yield


REFUSALS = [
    (errno.ENOSPC, StorageFull),
    (errno.EDQUOT, StorageFull),
    (errno.EFBIG, StorageFull),
    (errno.EACCES, StorageUnavailable),
    (errno.EROFS, StorageUnavailable),
    (errno.EIO, StorageUnavailable),
    (errno.EMFILE, StorageUnavailable),
]


@pytest.mark.parametrize(("code", "error"), REFUSALS)
def test_a_refused_write_is_translated(
    store: FilesystemStore, code: int, error: type[UploadError]
) -> None:
    session_id = stage(store)
    with failing("pwrite", code), pytest.raises(error), store.open(session_id) as file:
        file.write_at(0, memoryview(b"x"))


@pytest.mark.parametrize(("code", "error"), REFUSALS)
def test_a_refused_spill_is_translated_and_leaves_no_file(
    store: FilesystemStore, code: int, error: type[UploadError]
) -> None:
    session_id = stage(store)
    with failing("write", code), pytest.raises(error), store.incoming(session_id) as body:
        body.write(b"x")
    assert not store.is_receiving(session_id)


@pytest.mark.parametrize(("code", "error"), REFUSALS)
@pytest.mark.parametrize("call", ["mkdir", "open", "ftruncate"])
def test_a_refused_creation_is_translated(
    store: FilesystemStore,
    call: str,
    code: int,
    error: type[UploadError],
) -> None:
    with failing(call, code), pytest.raises(error):
        store.create(uuid4(), 10)


@pytest.mark.parametrize(("code", "error"), REFUSALS)
def test_a_refused_opening_is_translated(
    store: FilesystemStore, code: int, error: type[UploadError]
) -> None:
    session_id = stage(store)
    with failing("open", code), pytest.raises(error), store.open(session_id):
        pass
    with failing("open", code), pytest.raises(error), store.incoming(session_id):
        pass


@pytest.mark.parametrize(("code", "error"), REFUSALS)
def test_a_refused_sync_is_translated(
    store: FilesystemStore, code: int, error: type[UploadError]
) -> None:
    session_id = stage(store)
    with failing("fsync", code), pytest.raises(error), store.open(session_id) as file:
        file.sync()


@pytest.mark.parametrize(("code", "error"), REFUSALS)
def test_a_refused_rename_keeps_the_staged_bytes(
    store: FilesystemStore, code: int, error: type[UploadError]
) -> None:
    session_id = stage(store)
    with failing("rename", code), pytest.raises(error):
        store.adopt(session_id, SHA, uuid4())
    with store.open(session_id) as file:
        assert file.size == len(DATA)


def test_every_written_byte_arrives_when_the_system_writes_in_parts(
    store: FilesystemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_id, whole = uuid4(), os.pwrite
    store.create(session_id, len(DATA))

    def partly(fd: int, data: memoryview, offset: int) -> int:
        return whole(fd, data[:7], offset)

    monkeypatch.setattr(os, "pwrite", partly)
    with store.open(session_id) as file:
        file.write_at(0, memoryview(DATA))
        buffer = bytearray(len(DATA))
        file.read_into(0, memoryview(buffer))
    assert bytes(buffer) == DATA


def test_an_unmounted_disk_is_not_a_lost_upload(store: FilesystemStore, upload_root: Path) -> None:
    session_id = stage(store)
    (upload_root / "staging").rename(upload_root / "elsewhere")
    with pytest.raises(StorageUnavailable), store.open(session_id):
        pass
    with pytest.raises(StorageUnavailable), store.incoming(session_id):
        pass


def test_staging_lies_in_a_folder_named_after_the_session(
    store: FilesystemStore, upload_root: Path
) -> None:
    """A3, and the names that the design promises to people who look at the disk."""
    session_id = stage(store)
    assert (upload_root / "staging" / str(session_id) / "data").read_bytes() == DATA
    content_id = uuid4()
    store.adopt(session_id, SHA, content_id)
    assert (upload_root / "content" / SHA / str(content_id)).read_bytes() == DATA


def test_what_is_staged_is_nobody_else_s_to_read(store: FilesystemStore, upload_root: Path) -> None:
    session_id = stage(store)
    mode = (upload_root / "staging" / str(session_id) / "data").stat().st_mode
    assert mode & 0o077 == 0


def test_a_file_among_the_staging_folders_is_not_a_folder(
    store: FilesystemStore, upload_root: Path
) -> None:
    session_id = stage(store)
    (upload_root / "staging" / "stray").write_text("x")
    assert [folder.name for folder in store.staging_folders()] == [str(session_id)]


def test_a_staging_folder_that_holds_a_folder_is_removed_whole(
    store: FilesystemStore, upload_root: Path
) -> None:
    session_id = stage(store)
    inner = upload_root / "staging" / str(session_id) / "inner"
    inner.mkdir()
    (inner / "file").write_text("x")
    store.discard(session_id)
    assert list(store.staging_folders()) == []


def test_a_link_in_staging_is_removed_without_following_it(
    store: FilesystemStore, upload_root: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    session_id = stage(store)
    (upload_root / "staging" / str(session_id) / "link").symlink_to(outside)
    store.discard(session_id)
    assert (outside / "precious").read_text() == "x"


def test_deleting_the_last_copy_takes_the_folder_too(
    store: FilesystemStore, upload_root: Path
) -> None:
    content_id = uuid4()
    store.adopt(stage(store), SHA, content_id)
    store.delete(SHA, content_id)
    assert list((upload_root / "content").iterdir()) == []


def test_adopting_wins_over_a_folder_that_is_removed_again_and_again(
    store: FilesystemStore,
) -> None:
    """`delete` takes the folder away empty while another copy of the same content arrives."""
    ended, errors = threading.Event(), []

    def delete_all_the_time() -> None:
        while not ended.is_set():
            try:
                store.delete(SHA, uuid4())
            except UploadError as error:
                errors.append(error)

    deleter = threading.Thread(target=delete_all_the_time, daemon=True)
    deleter.start()
    try:
        for _ in range(20):
            content_id = uuid4()
            store.adopt(stage(store), SHA, content_id)
            store.read(SHA, content_id).close()
            store.delete(SHA, content_id)
    finally:
        ended.set()
        deleter.join()
    assert errors == []


def open_files(root: Path) -> int:
    """How many descriptors of files below `root` this process has."""
    count = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        # What other threads close meanwhile is none of these.
        with contextlib.suppress(FileNotFoundError):
            count += descriptor.readlink().is_relative_to(root)
    return count


def test_no_descriptor_stays_open(store: FilesystemStore, upload_root: Path) -> None:
    """C8."""
    session_id = stage(store)
    with store.open(session_id):
        assert open_files(upload_root) == 1
    for _ in range(50):
        with store.open(session_id) as file, file.locked(0, 0):
            file.write_at(0, memoryview(b"x"))
        with store.incoming(session_id) as body:
            body.write(b"spilled")
        with pytest.raises(StagingMissing), store.open(uuid4()):
            pass
    assert open_files(upload_root) == 0


def test_a_body_left_by_a_killed_process_counts_as_receiving_for_minutes_only(
    store: FilesystemStore, upload_root: Path
) -> None:
    session_id = stage(store)
    left = upload_root / "staging" / str(session_id) / "incoming-left"
    left.touch()
    assert store.is_receiving(session_id)
    old = left.stat().st_mtime - RECEIVING_SECONDS - 1
    os.utime(left, (old, old))
    assert not store.is_receiving(session_id)


class Crash(BaseException):
    """The process ends here."""


@contextmanager
def synced_folders(crash_at: int | None = None) -> Iterator[set[int]]:
    """The inodes of all that is synced in this block; at most `crash_at` of them."""
    synced: set[int] = set()
    sync = os.fsync

    def counted(fd: int) -> None:
        if len(synced) == crash_at:
            raise Crash
        synced.add(os.fstat(fd).st_ino)
        sync(fd)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", counted)
        yield synced


@pytest.mark.parametrize("crash_at", [0, 1, 2, 3])
def test_p7_adopting_again_after_a_crash_syncs_the_folders_and_moves_nothing(
    store: FilesystemStore, upload_root: Path, crash_at: int
) -> None:
    """The rename may have been lost to a power cut until each folder that names it is synced."""
    session_id, content_id = stage(store), uuid4()
    with pytest.raises(Crash), synced_folders(crash_at):
        store.adopt(session_id, SHA, content_id)
    path = upload_root / "content" / SHA / str(content_id)
    before = path.stat()
    with synced_folders() as synced:
        store.adopt(session_id, SHA, content_id)
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert path.read_bytes() == DATA
    staging = upload_root / "staging" / str(session_id)
    folders = [path.parent, upload_root / "content", upload_root, staging]
    assert synced == {folder.stat().st_ino for folder in folders}


def test_p7_adopting_again_when_staging_is_gone_as_well_is_no_loss(
    store: FilesystemStore,
) -> None:
    session_id, content_id = stage(store), uuid4()
    store.adopt(session_id, SHA, content_id)
    store.discard(session_id)
    with synced_folders() as synced:
        store.adopt(session_id, SHA, content_id)
    assert len(synced) == 3
    with store.read(SHA, content_id) as file:
        assert file.read() == DATA


def test_p7_folders_that_a_crash_left_empty_go_and_no_others(
    store: FilesystemStore, upload_root: Path
) -> None:
    session_id = stage(store)
    store.adopt(session_id, "a" * 64, session_id)
    (upload_root / "content" / ("b" * 64)).mkdir()
    (upload_root / "content" / "lost+found").mkdir()
    assert store.remove_empty_folders() == 1
    assert {path.name for path in (upload_root / "content").iterdir()} == {"a" * 64, "lost+found"}
    with store.read("a" * 64, session_id) as file:
        assert file.read() == DATA


def test_scratch_can_be_had_before_there_is_a_store(upload_root: Path) -> None:
    """The first file of all may come in a form, before any handshake."""
    store = FilesystemStore(upload_root / "deeper")
    with store.scratch() as scratch:
        scratch.write(DATA)
        assert scratch.read_at(0, len(DATA)) == DATA
    assert not store.is_there()


def test_scratch_has_no_name_that_a_killed_process_could_leave_behind(
    store: FilesystemStore, upload_root: Path
) -> None:
    with store.scratch() as scratch:
        scratch.write(DATA)
        assert [path for path in upload_root.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(("code", "error"), REFUSALS)
@pytest.mark.parametrize("call", ["open", "write", "pread"])
def test_a_refused_scratch_is_translated_and_keeps_no_descriptor(
    store: FilesystemStore, call: str, code: int, error: type[UploadError]
) -> None:
    def use() -> None:
        with store.scratch() as scratch:
            scratch.write(b"x")
            scratch.read_at(0, 1)

    before = os.listdir("/proc/self/fd")
    with failing(call, code), pytest.raises(error):
        use()
    assert os.listdir("/proc/self/fd") == before


def test_an_error_of_the_network_is_none_of_the_disk(store: FilesystemStore) -> None:
    with pytest.raises(ConnectionResetError), store.scratch():
        raise ConnectionResetError
