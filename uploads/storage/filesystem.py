"""The store on a local file system.

<root>/staging/<session id>/data              the sparse file, as long as the upload
<root>/staging/<session id>/incoming-<uuid>   one for each body on its way in
<root>/staging/<session id>/tail-<uuid>       what a stream has brought of a chunk
<root>/content/<sha256>/<content id>          complete files

Scratch files have no name: they are in <root>, and nowhere to be seen.
"""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, NoReturn
from uuid import UUID, uuid4

from uploads.core.digests import SHA256_HEX
from uploads.errors import StorageUnavailable
from uploads.failpoints import Failpoint, reach

from .base import ContentFile, Scratch, StagedFile, StagingFolder, StagingMissing
from .copying import copy_range
from .folders import (
    bytes_on_disk,
    left_out,
    lists_any,
    remove_folder,
    remove_if_empty,
    rename_into_folder,
    sync_folder,
)
from .locks import is_locked, locked, try_lock
from .page_cache import begin_writing_out, forget_cached
from .refusals import refuse, translated

#: A body's file untouched for this long belongs to a process that died.
RECEIVING_SECONDS = 10 * 60
#: How often the file of an arriving body is touched, at most.
TOUCH_SECONDS = 30
#: Kept free of uploads, since the database is often on the same disk, and without room for its log
#: not even a deletion could be recorded: this many bytes, or that part of a small disk.
RESERVE_BYTES = 64 * 1024 * 1024
RESERVE_PART = 16
_INCOMING = "incoming-"
_TAIL = "tail-"


def _staging_folder(entry: os.DirEntry[str]) -> StagingFolder:
    touched = datetime.fromtimestamp(entry.stat(follow_symlinks=False).st_mtime, UTC)
    return StagingFolder(entry.name, touched, bytes_on_disk(Path(entry.path)))


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
        with translated():
            view = memoryview(piece)
            while view:
                reach(Failpoint.INCOMING_SPILL)
                view = view[os.write(self._opened(), view) :]

    def read_into(self, offset: int, buffer: memoryview) -> int:
        with translated():
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


class FilesystemScratch:
    """See `base.Scratch`."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def write(self, piece: bytes | memoryview) -> None:
        with translated():
            view = memoryview(piece)
            while view:
                view = view[os.write(self._fd, view) :]

    def read_at(self, offset: int, size: int) -> bytes:
        with translated():
            return os.pread(self._fd, size, offset)


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
            with translated():
                stack.enter_context(locked(self._fd, offset, length))
            yield

    def is_locked(self, offset: int, length: int) -> bool:
        with translated():
            return is_locked(self._fd, offset, length)

    def write_at(self, offset: int, data: memoryview) -> None:
        with translated():
            done = 0
            while done < len(data):
                reach(Failpoint.CHUNK_WRITE)
                done += os.pwrite(self._fd, data[done:], offset + done)

    def read_into(self, offset: int, buffer: memoryview) -> int:
        with translated():
            return os.preadv(self._fd, [buffer], offset)

    def copy_from(self, source: StagedFile, offset: int, length: int, target: int) -> None:
        with translated():
            reach(Failpoint.JOIN_COPY)
            copy_range(source.fileno(), self._fd, offset, length, target)

    def fileno(self) -> int:
        return self._fd

    def set_size(self, size: int) -> None:
        with translated():
            reach(Failpoint.DATA_RESIZE)
            os.ftruncate(self._fd, size)

    def sync(self) -> None:
        with translated():
            try:
                reach(Failpoint.DATA_SYNC)
                os.fsync(self._fd)
            except OSError:
                # The kernel reports a failed write once and keeps the bytes in its cache as if all
                # were well. Forgotten there, what the disk really holds is what is verified next.
                forget_cached(self._fd)
                raise

    def begin_writing_out(self, offset: int, length: int) -> None:
        begin_writing_out(self._fd, offset, length)


class FilesystemTail:
    """See `base.Tail`."""

    def __init__(self, path: Path, fd: int) -> None:
        self._path = path
        self._fd = fd

    @property
    def name(self) -> str:
        return self._path.name.removeprefix(_TAIL)

    def write_at(self, offset: int, data: memoryview) -> None:
        with translated():
            done = 0
            while done < len(data):
                reach(Failpoint.TAIL_WRITE)
                done += os.pwrite(self._fd, data[done:], offset + done)

    def read_into(self, offset: int, buffer: memoryview) -> int:
        with translated():
            return os.preadv(self._fd, [buffer], offset)

    def sync(self) -> None:
        with translated():
            reach(Failpoint.TAIL_SYNC)
            os.fsync(self._fd)
            sync_folder(self._path.parent)


class FilesystemStore:
    """See `base.Store`. `root` is made when first needed.

    `group_reads`: so that another process of the system, nginx, can send content. Staging it cannot
    read: each of its folders is the server's own.
    """

    def __init__(self, root: Path, *, group_reads: bool = False) -> None:
        self._root = root
        self._mode = 0o640 if group_reads else 0o600
        self._leases: set[str] = set()
        self._staging = root / "staging"
        self._content = root / "content"

    def is_there(self) -> bool:
        return self._staging.is_dir() and self._content.is_dir()

    def prepare(self) -> None:
        with translated():
            reach(Failpoint.STORE_FOLDERS)
            for folder in (self._staging, self._content):
                folder.mkdir(parents=True, exist_ok=True)

    def create(self, session_id: UUID, size: int, *, synced: bool = False) -> None:
        with translated():
            folder = self._folder(session_id)
            reach(Failpoint.STAGING_FOLDER)
            folder.mkdir(0o700)
            reach(Failpoint.STAGING_DATA)
            fd = os.open(folder / "data", os.O_RDWR | os.O_CREAT | os.O_EXCL, self._mode)
            try:
                reach(Failpoint.STAGING_SIZE)
                os.ftruncate(fd, size)
                if synced:
                    FilesystemStagedFile(fd).sync()
            finally:
                os.close(fd)
            if synced:
                for path in (folder, self._staging, self._root):
                    sync_folder(path)

    @contextmanager
    def open(self, session_id: UUID) -> Iterator[StagedFile]:
        with self._opened(self._folder(session_id) / "data") as file:
            yield file

    @contextmanager
    def open_adopted(self, sha256: str, content_id: UUID) -> Iterator[StagedFile]:
        with self._opened(self._path(sha256, content_id)) as file:
            yield file

    @contextmanager
    def hold_staging(self, session_id: UUID) -> Iterator[bool]:
        path = self._folder(session_id)
        try:
            # The folder itself: nothing has to be made for it, or removed.
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            self._missing(path / "data")
        except OSError as error:
            refuse(error)
        try:
            with translated():
                held = try_lock(fd)
            yield held
        finally:
            os.close(fd)

    @contextmanager
    def incoming(self, session_id: UUID) -> Iterator[FilesystemIncoming]:
        path = self._folder(session_id) / f"{_INCOMING}{uuid4().hex}"
        try:
            reach(Failpoint.INCOMING_CREATE)
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileNotFoundError:
            self._missing(path)
        except OSError as error:
            refuse(error)
        incoming = FilesystemIncoming(path)
        try:
            yield incoming
        finally:
            incoming.close()

    @contextmanager
    def new_tail(self, session_id: UUID) -> Iterator[FilesystemTail]:
        with self._tail(session_id, uuid4().hex, os.O_RDWR | os.O_CREAT | os.O_EXCL) as tail:
            yield tail

    @contextmanager
    def open_tail(self, session_id: UUID, name: str) -> Iterator[FilesystemTail]:
        with self._tail(session_id, name, os.O_RDONLY) as tail:
            yield tail

    def remove_tail(self, session_id: UUID, name: str) -> None:
        with translated():
            reach(Failpoint.TAIL_REMOVE)
            (self._folder(session_id) / f"{_TAIL}{name}").unlink(missing_ok=True)

    @contextmanager
    def _tail(self, session_id: UUID, name: str, flags: int) -> Iterator[FilesystemTail]:
        path = self._folder(session_id) / f"{_TAIL}{name}"
        try:
            if flags & os.O_CREAT:
                reach(Failpoint.TAIL_CREATE)
            fd = os.open(path, flags, 0o600)
        except FileNotFoundError:
            self._missing(path)
        except OSError as error:
            refuse(error)
        try:
            yield FilesystemTail(path, fd)
        finally:
            os.close(fd)

    @contextmanager
    def scratch(self) -> Iterator[Scratch]:
        with ExitStack() as stack:
            with translated():
                self._root.mkdir(parents=True, exist_ok=True)
                # Without a buffer of Python's, which would be written when it is closed.
                file = stack.enter_context(tempfile.TemporaryFile(dir=self._root, buffering=0))
            yield FilesystemScratch(file.fileno())

    def is_receiving(self, session_id: UUID) -> bool:
        newest = time.time() - RECEIVING_SECONDS
        with (
            translated(),
            contextlib.suppress(FileNotFoundError),
            os.scandir(self._folder(session_id)) as entries,
        ):
            return any(_is_touched_since(entry, newest) for entry in entries)
        return False

    def bytes_staged(self, session_id: UUID) -> int:
        return bytes_on_disk(self._folder(session_id))

    def discard(self, session_id: UUID) -> int:
        return self.discard_folder(str(session_id))

    def staging_folders(self) -> Iterator[StagingFolder]:
        if not self._staging.is_dir():
            return
        with translated(), os.scandir(self._staging) as entries:
            for entry in entries:
                with left_out(entry.path):
                    if entry.is_dir(follow_symlinks=False):
                        yield _staging_folder(entry)

    def discard_folder(self, name: str) -> int:
        folder = self._staging / name
        with translated():
            freed = bytes_on_disk(folder)
            with contextlib.suppress(FileNotFoundError):
                remove_folder(folder)
        return freed

    def adopt(self, session_id: UUID, sha256: str, content_id: UUID) -> None:
        target = self._path(sha256, content_id)
        source = self._folder(session_id) / "data"
        with translated():
            rename_into_folder(source, target)
            for folder in (target.parent, self._content, self._root):
                sync_folder(folder)
            # A crash before this leaves at worst a second name, in staging, for the same bytes.
            with contextlib.suppress(FileNotFoundError):
                sync_folder(source.parent)

    def read(self, sha256: str, content_id: UUID) -> BinaryIO:
        return self._path(sha256, content_id).open("rb")

    def content_path(self, sha256: str, content_id: UUID) -> str:
        return self._path(sha256, content_id).relative_to(self._content).as_posix()

    def delete(self, sha256: str, content_id: UUID) -> None:
        path = self._path(sha256, content_id)
        with translated():
            reach(Failpoint.CONTENT_REMOVE_FILE)
            path.unlink(missing_ok=True)
            remove_if_empty(path.parent)

    def content_files(self) -> Iterator[ContentFile]:
        for sha256 in self._content_folders():
            yield from self._content_files_of(sha256)

    def remove_empty_folders(self) -> int:
        with translated():
            folders = [self._content / sha256 for sha256 in self._content_folders()]
            return sum(remove_if_empty(folder) for folder in folders if not lists_any(folder))

    def _content_folders(self) -> Iterator[str]:
        with (
            translated(),
            contextlib.suppress(FileNotFoundError),
            os.scandir(self._content) as folders,
        ):
            for folder in folders:
                if SHA256_HEX.fullmatch(folder.name):
                    yield folder.name

    def _content_files_of(self, sha256: str) -> Iterator[ContentFile]:
        # What cannot be looked at is spared, and the others still get their turn.
        with left_out(self._content / sha256), os.scandir(self._content / sha256) as entries:
            for entry in filter(_is_content, entries):
                with left_out(entry.path):
                    yield _content_file(entry, sha256)

    def hold_lease(self, name: str) -> bool:
        if name in self._leases:
            return True
        with translated():
            self._root.mkdir(parents=True, exist_ok=True)
            fd = os.open(self._root / f"{name}.lease", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            held = try_lock(fd)
        except OSError as error:
            os.close(fd)
            refuse(error)
        if not held:
            os.close(fd)
            return False
        # Never closed: the kernel lets go of it when the process ends, however it ends.
        self._leases.add(name)
        return True

    def free_bytes(self) -> int:
        with translated():
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
            refuse(error)
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
