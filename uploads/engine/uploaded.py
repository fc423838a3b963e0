"""The content of an upload as Django knows files: for forms, storages and validators."""

import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import IO, Any, BinaryIO, Self

from django.core.files import File

from uploads.models import FileSession, StoredFile
from uploads.storage import StagedFile, get_store

#: What a file is read by where nobody says how much.
_BUFFER_SIZE = 128 * 1024


class UploadedContent(File):  # type: ignore[type-arg]  # At run time it takes none.
    """Verified bytes, opened when they are first read, as often as one likes.

    `name` is what the file was called, never a path; `content_type` what its sender declared, or
    empty; `size` in bytes; `sha256` in lowercase hex; `session_id` of its upload. Reading raises
    FileNotFoundError once the upload is gone.
    """

    DEFAULT_CHUNK_SIZE = 256 * 1024

    def __init__(self, session: FileSession, sha256: str, opener: Callable[[], BinaryIO]) -> None:
        self._opener = opener
        self._file: IO[bytes] | None = None
        super().__init__(None, session.filename)
        self.size = session.plan.size
        self.content_type = session.mime_type
        self.sha256 = sha256
        self.session = session
        self.session_id = session.pk

    # Django's File has an attribute here; ours is opened late.
    @property
    def file(self) -> IO[bytes]:
        if self._file is None or self._file.closed:
            self._file = self._opener()
        return self._file

    @file.setter
    def file(self, file: IO[bytes] | None) -> None:
        self._file = file

    @property
    def closed(self) -> bool:
        return self._file is None or self._file.closed

    def open(self, mode: str | None = None, *args: Any, **kwargs: Any) -> Self:
        """From its beginning, for reading: `mode` is "rb" or nothing. Raises ValueError else."""
        if mode not in {None, "rb"}:
            raise ValueError("the content of an upload is opened for reading, as bytes")
        self.file.seek(0)
        return self

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """All of it, whatever was read before. What this opens, it closes."""
        with ExitStack() as stack:
            if self.closed:
                stack.callback(self.close)
            self.open()
            while piece := self.file.read(chunk_size or self.DEFAULT_CHUNK_SIZE):
                yield piece

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def content_of(session: FileSession) -> UploadedContent:
    """Of a session that is complete. Raises ValueError of another."""
    return stored_content(session, session.stored_file)


def stored_content(session: FileSession, stored: StoredFile | None) -> UploadedContent:
    """What `session` is about to have. Raises ValueError without any."""
    if stored is None:
        raise ValueError("only a complete upload has content")
    return UploadedContent(
        session, stored.sha256, lambda: get_store().read(stored.sha256, stored.pk)
    )


def staged_content(session: FileSession, sha256: str, data: StagedFile) -> UploadedContent:
    """Of a session that is being verified, for as long as `data` is open."""
    size = session.plan.size

    def opened() -> BinaryIO:
        return io.BufferedReader(_StagedReader(data, size), _BUFFER_SIZE)

    return UploadedContent(session, sha256, opened)


class _StagedReader(io.RawIOBase):
    """A staged file as Python's own readers want it; closing it leaves the staged file open."""

    def __init__(self, data: StagedFile, size: int) -> None:
        self._data, self._size, self._position = data, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._data.read_into(self._position, memoryview(buffer).cast("B"))
        self._position += count
        return count

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def tell(self) -> int:
        return self._position
