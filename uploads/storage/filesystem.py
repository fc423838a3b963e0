"""The store on a local file system.

<root>/staging/<session id>/data              the sparse file, as long as the upload
<root>/staging/<session id>/incoming-<uuid>   one for each body on its way in
<root>/content/<sha256>/<content id>          complete files
"""

import contextlib
import errno
import fcntl
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, NoReturn
from uuid import UUID, uuid4

from uploads.core.digests import SHA256_HEX
from uploads.errors import StorageFull, StorageUnavailable
from uploads.failpoints import Failpoint, reach

from .base import ContentFile, StagedFile, StagingFolder, StagingMissing
from .locks import locked
from .page_cache import forget_cached

logger = logging.getLogger("uploads.storage")

#: A body's file untouched for this long belongs to a process that died.
RECEIVING_SECONDS = 10 * 60
#: How often the file of an arriving body is touched, at most.
TOUCH_SECONDS = 30
#: Kept free of uploads, since the database is often on the same disk, and without room for its log
#: not even a deletion could be recorded: this many bytes, or that part of a small disk.
RESERVE_BYTES = 64 * 1024 * 1024
RESERVE_PART = 16
_INCOMING = "incoming-"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def _refuse(error: OSError) -> NoReturn:
    if error.errno in _FULL:
        raise StorageFull(
            "The server has no room for these bytes. Nothing was lost: what is already received "
            "stays, and the upload can go on once there is room."
        ) from error
    raise StorageUnavailable(
        "The server could not reach its storage. Nothing was lost: send the same request again "
        "in a few seconds."
    ) from error


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        _refuse(error)


def _sync_folder(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        reach(Failpoint.FOLDER_SYNC)
        os.fsync(fd)
    finally:
        os.close(fd)


def _rename_into_folder(source: Path, target: Path) -> None:
    """Rename, making the folder as often as a concurrent `delete` takes it away empty.

    A target that is there already is the file itself, moved before a crash.
    """
    while True:
        reach(Failpoint.CONTENT_FOLDER)
        # Without parents: where the disk is not mounted, nothing is to look as if it were.
        with contextlib.suppress(FileExistsError):
            target.parent.mkdir()
        reach(Failpoint.CONTENT_RENAME)
        try:
            source.rename(target)
        except FileNotFoundError as error:
            if target.exists():
                return
            if not source.exists():
                raise StagingMissing(source.parent.name) from error
        else:
            return


def _remove_folder(folder: Path) -> None:
    """Remove a folder whose files may vanish meanwhile, because their owners end."""
    with os.scandir(folder) as entries:
        for entry in entries:
            reach(Failpoint.STAGING_REMOVE_FILE)
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                Path(entry.path).unlink(missing_ok=True)
    reach(Failpoint.STAGING_REMOVE_FOLDER)
    try:
        folder.rmdir()
    except OSError as error:
        # A body began to arrive in between: it will be refused, and a later sweep takes the rest.
        if error.errno != errno.ENOTEMPTY:
            raise


@contextmanager
def _left_out(path: Path | str) -> Iterator[None]:
    """One entry of a list: gone meanwhile, no folder, or, which is logged, refused by the disk."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError:
        logger.exception("%s cannot be looked at", path)


def _remove_if_empty(folder: Path) -> bool:
    """Whether it went. Another copy of the content may be there, or arriving: then it stays."""
    reach(Failpoint.CONTENT_REMOVE_FOLDER)
    try:
        folder.rmdir()
    except OSError:
        return False
    return True


def _lists_any(folder: Path) -> bool:
    """Whether there is anything in it; of one that has gone meanwhile nothing is left to do."""
    try:
        with os.scandir(folder) as entries:
            return any(True for _ in entries)
    except (FileNotFoundError, NotADirectoryError):
        return True


def _bytes_on_disk(folder: Path) -> int:
    """Bytes that the files of `folder` take, holes not counted.

    Only ever told to people, so what cannot be looked at counts for nothing.
    """
    total = 0
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                total += entry.stat(follow_symlinks=False).st_blocks * 512
    return total


def _staging_folder(entry: os.DirEntry[str]) -> StagingFolder:
    touched = datetime.fromtimestamp(entry.stat(follow_symlinks=False).st_mtime, UTC)
    return StagingFolder(entry.name, touched, _bytes_on_disk(Path(entry.path)))


def _content_file(entry: os.DirEntry[str], sha256: str) -> ContentFile:
    status = entry.stat(follow_symlinks=False)
    # Not the time of the bytes, which a rename keeps, but of the rename.
    moved = datetime.fromtimestamp(status.st_ctime, UTC)
    return ContentFile(sha256, UUID(entry.name), moved, status.st_blocks * 512)


def _is_content(entry: os.DirEntry[str]) -> bool:
    """Whether a name in content is one of ours: a lowercase UUID."""
    try:
        return str(UUID(entry.name)) == entry.name and entry.is_file(follow_symlinks=False)
    except ValueError:
        return False


def _is_touched_since(entry: os.DirEntry[str], moment: float) -> bool:
    """Whether this is a body's file that has been touched since `moment`, in POSIX seconds."""
    try:
        return entry.name.startswith(_INCOMING) and entry.stat().st_mtime > moment
    except FileNotFoundError:
        return False


class FilesystemIncoming:
    """See `base.Incoming`. The descriptor is open only while there is something to spill."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None
        self._touched = time.monotonic()

    def write(self, piece: bytes | memoryview) -> None:
        with _translated():
            view = memoryview(piece)
            while view:
                reach(Failpoint.INCOMING_SPILL)
                view = view[os.write(self._opened(), view) :]

    def read_into(self, offset: int, buffer: memoryview) -> int:
        with _translated():
            return os.preadv(self._opened(), [buffer], offset)

    def touch(self) -> None:
        now = time.monotonic()
        if now - self._touched > TOUCH_SECONDS:
            self._touched = now
            # A sweep may have taken the file already; then the session's state settles the rest.
            with contextlib.suppress(OSError):
                reach(Failpoint.INCOMING_TOUCH)
                os.utime(self._path)

    def _opened(self) -> int:
        if self._fd is None:
            self._fd = os.open(self._path, os.O_RDWR)
        return self._fd

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
        with contextlib.suppress(OSError):
            reach(Failpoint.INCOMING_REMOVE)
            self._path.unlink()


class FilesystemStagedFile:
    """See `base.StagedFile`."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @property
    def size(self) -> int:
        return os.fstat(self._fd).st_size

    @contextmanager
    def locked(self, offset: int, length: int) -> Iterator[None]:
        with ExitStack() as stack:
            with _translated():
                stack.enter_context(locked(self._fd, offset, length))
            yield

    def write_at(self, offset: int, data: memoryview) -> None:
        with _translated():
            done = 0
            while done < len(data):
                reach(Failpoint.CHUNK_WRITE)
                done += os.pwrite(self._fd, data[done:], offset + done)

    def read_into(self, offset: int, buffer: memoryview) -> int:
        with _translated():
            return os.preadv(self._fd, [buffer], offset)

    def set_size(self, size: int) -> None:
        with _translated():
            reach(Failpoint.DATA_RESIZE)
            os.ftruncate(self._fd, size)

    def sync(self) -> None:
        with _translated():
            try:
                reach(Failpoint.DATA_SYNC)
                os.fsync(self._fd)
            except OSError:
                # The kernel reports a failed write once and keeps the bytes in its cache as if all
                # were well. Forgotten there, what the disk really holds is what is verified next.
                forget_cached(self._fd)
                raise


class FilesystemStore:
    """See `base.Store`. `root` is made when first needed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._leases: set[str] = set()
        self._staging = root / "staging"
        self._content = root / "content"

    def is_there(self) -> bool:
        return self._staging.is_dir() and self._content.is_dir()

    def prepare(self) -> None:
        with _translated():
            reach(Failpoint.STORE_FOLDERS)
            for folder in (self._staging, self._content):
                folder.mkdir(parents=True, exist_ok=True)

    def create(self, session_id: UUID, size: int, *, synced: bool = False) -> None:
        with _translated():
            folder = self._folder(session_id)
            reach(Failpoint.STAGING_FOLDER)
            folder.mkdir()
            reach(Failpoint.STAGING_DATA)
            fd = os.open(folder / "data", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                reach(Failpoint.STAGING_SIZE)
                os.ftruncate(fd, size)
                if synced:
                    FilesystemStagedFile(fd).sync()
            finally:
                os.close(fd)
            if synced:
                for path in (folder, self._staging, self._root):
                    _sync_folder(path)

    @contextmanager
    def open(self, session_id: UUID) -> Iterator[StagedFile]:
        with self._opened(self._folder(session_id) / "data") as file:
            yield file

    @contextmanager
    def open_adopted(self, sha256: str, content_id: UUID) -> Iterator[StagedFile]:
        with self._opened(self._path(sha256, content_id)) as file:
            yield file

    @contextmanager
    def incoming(self, session_id: UUID) -> Iterator[FilesystemIncoming]:
        path = self._folder(session_id) / f"{_INCOMING}{uuid4().hex}"
        try:
            reach(Failpoint.INCOMING_CREATE)
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileNotFoundError:
            self._missing(path)
        except OSError as error:
            _refuse(error)
        incoming = FilesystemIncoming(path)
        try:
            yield incoming
        finally:
            incoming.close()

    def is_receiving(self, session_id: UUID) -> bool:
        newest = time.time() - RECEIVING_SECONDS
        with (
            _translated(),
            contextlib.suppress(FileNotFoundError),
            os.scandir(self._folder(session_id)) as entries,
        ):
            return any(_is_touched_since(entry, newest) for entry in entries)
        return False

    def bytes_staged(self, session_id: UUID) -> int:
        return _bytes_on_disk(self._folder(session_id))

    def discard(self, session_id: UUID) -> int:
        return self.discard_folder(str(session_id))

    def staging_folders(self) -> Iterator[StagingFolder]:
        if not self._staging.is_dir():
            return
        with _translated(), os.scandir(self._staging) as entries:
            for entry in entries:
                with _left_out(entry.path):
                    if entry.is_dir(follow_symlinks=False):
                        yield _staging_folder(entry)

    def discard_folder(self, name: str) -> int:
        folder = self._staging / name
        with _translated():
            freed = _bytes_on_disk(folder)
            with contextlib.suppress(FileNotFoundError):
                _remove_folder(folder)
        return freed

    def adopt(self, session_id: UUID, sha256: str, content_id: UUID) -> None:
        target = self._path(sha256, content_id)
        source = self._folder(session_id) / "data"
        with _translated():
            _rename_into_folder(source, target)
            for folder in (target.parent, self._content, self._root):
                _sync_folder(folder)
            # A crash before this leaves at worst a second name, in staging, for the same bytes.
            with contextlib.suppress(FileNotFoundError):
                _sync_folder(source.parent)

    def read(self, sha256: str, content_id: UUID) -> BinaryIO:
        return self._path(sha256, content_id).open("rb")

    def delete(self, sha256: str, content_id: UUID) -> None:
        path = self._path(sha256, content_id)
        with _translated():
            reach(Failpoint.CONTENT_REMOVE_FILE)
            path.unlink(missing_ok=True)
            _remove_if_empty(path.parent)

    def content_files(self) -> Iterator[ContentFile]:
        for sha256 in self._content_folders():
            yield from self._content_files_of(sha256)

    def remove_empty_folders(self) -> int:
        with _translated():
            folders = [self._content / sha256 for sha256 in self._content_folders()]
            return sum(_remove_if_empty(folder) for folder in folders if not _lists_any(folder))

    def _content_folders(self) -> Iterator[str]:
        with (
            _translated(),
            contextlib.suppress(FileNotFoundError),
            os.scandir(self._content) as folders,
        ):
            for folder in folders:
                if SHA256_HEX.fullmatch(folder.name):
                    yield folder.name

    def _content_files_of(self, sha256: str) -> Iterator[ContentFile]:
        # What cannot be looked at is spared, and the others still get their turn.
        with _left_out(self._content / sha256), os.scandir(self._content / sha256) as entries:
            for entry in filter(_is_content, entries):
                with _left_out(entry.path):
                    yield _content_file(entry, sha256)

    def hold_lease(self, name: str) -> bool:
        if name in self._leases:
            return True
        with _translated():
            self._root.mkdir(parents=True, exist_ok=True)
            fd = os.open(self._root / f"{name}.lease", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        except OSError as error:
            os.close(fd)
            _refuse(error)
        # Never closed: the kernel lets go of it when the process ends, however it ends.
        self._leases.add(name)
        return True

    def free_bytes(self) -> int:
        with _translated():
            # Nothing is made: where a disk is not mounted, that would look like one that is empty.
            folder = next(path for path in (self._root, *self._root.parents) if path.is_dir())
            usage = shutil.disk_usage(folder)
        return max(0, usage.free - min(RESERVE_BYTES, usage.total // RESERVE_PART))

    def _folder(self, session_id: UUID) -> Path:
        return self._staging / str(session_id)

    def _path(self, sha256: str, content_id: UUID) -> Path:
        return self._content / sha256 / str(content_id)

    @contextmanager
    def _opened(self, path: Path) -> Iterator[StagedFile]:
        try:
            fd = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            self._missing(path)
        except OSError as error:
            _refuse(error)
        try:
            yield FilesystemStagedFile(fd)
        finally:
            os.close(fd)

    def _missing(self, path: Path) -> NoReturn:
        """A missing file is the session's loss; a missing folder of all is an unmounted disk."""
        if not self.is_there():
            raise StorageUnavailable(
                "The server's storage folder is not there. Nothing was changed: try again later."
            )
        raise StagingMissing(path.parent.name)
