"""The store contract: where bytes on their way in (staging) and complete ones (content) live.

A store knows ids, offsets and bytes. It knows no session states, no owners and no HTTP: the
engine decides what may be written, the store does it and translates the system's errors into
`uploads.errors.StorageFull` and `StorageUnavailable`. All offsets and lengths are bytes.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Protocol
from uuid import UUID


class StagingMissing(Exception):
    """There is no staged file for this session: it was removed, or never created."""


class Incoming(Protocol):
    """A body on its way in: a file of its own in staging, empty while memory holds the body.

    That it exists, and was touched lately, tells other processes that the session is receiving.
    """

    def write(self, piece: bytes | memoryview) -> None:
        """Append to the spilled body."""

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill `buffer` from what was written; return how many bytes there were."""

    def touch(self) -> None:
        """Say that the body is still arriving."""


class Scratch(Protocol):
    """Bytes without a name, kept for as long as a request lasts. Who wrote them reads them."""

    def write(self, piece: bytes | memoryview) -> None:
        """Append."""

    def read_at(self, offset: int, size: int) -> bytes:
        """At most `size` bytes from `offset`; fewer, or none, at the end of what was written."""


class StagedFile(Protocol):
    """The sparse file `data` of one session, open for reading and writing."""

    @property
    def size(self) -> int: ...

    def locked(self, offset: int, length: int) -> AbstractContextManager[None]:
        """Hold the range for this open file alone. Waits; the kernel frees it if we die.

        `length` 0 means: to the end of the file, however it grows.
        """

    def is_locked(self, offset: int, length: int) -> bool:
        """Whether another holds a part of the range at this moment."""

    def write_at(self, offset: int, data: memoryview) -> None: ...

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill `buffer` from `offset`; return how many bytes there were."""

    def copy_from(self, source: "StagedFile", offset: int, length: int, target: int) -> None:
        """Have `length` bytes of `source` from `offset` here from `target` on.

        Where the file system can, and both offsets suit it, its blocks are shared and not copied.
        Ends early where `source` does.
        """

    def fileno(self) -> int: ...

    def set_size(self, size: int) -> None:
        """Cut off what is beyond `size`, or fill up to it with zeros."""

    def sync(self) -> None:
        """Return when the bytes are on the disk.

        Raises StorageUnavailable or StorageFull for any write that has failed since this file was
        opened, even if another open file was told of it before (Linux 4.13 and later). After that,
        what is read is what the disk really holds, as far as the system can tell.
        """

    def begin_writing_out(self, offset: int, length: int) -> None:
        """Have these bytes on their way to the disk, where that can be asked. Waits for nothing."""


class Tail(Protocol):
    """A part of a chunk, from its first byte on, in a file of its own in staging."""

    @property
    def name(self) -> str:
        """Unique; `Store.open_tail` finds it by this."""

    def write_at(self, offset: int, data: memoryview) -> None: ...

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill `buffer` from `offset`; return how many bytes there were."""

    def sync(self) -> None:
        """Return when the bytes, and the name, are on the disk."""


@dataclass(frozen=True, slots=True)
class StagingFolder:
    """What a sweep needs to know of one folder in staging."""

    name: str
    touched_at: datetime
    bytes_on_disk: int


@dataclass(frozen=True, slots=True)
class ContentFile:
    """What a sweep needs to know of one file in content."""

    sha256: str
    content_id: UUID
    #: When it came to be where it is.
    moved_at: datetime
    bytes_on_disk: int


class Store(Protocol):
    def is_there(self) -> bool:
        """Whether `prepare` was ever called here; not so where a disk is not mounted."""

    def prepare(self) -> None:
        """Make the folders of a new store. What is there already stays."""

    def create(self, session_id: UUID, size: int, *, synced: bool = False) -> None:
        """Make the staged file, sparse, of exactly `size` bytes; on the disk if `synced`."""

    def open(self, session_id: UUID) -> AbstractContextManager[StagedFile]:
        """Open the staged file, never creating it. Raises StagingMissing."""

    def hold_staging(self, session_id: UUID) -> AbstractContextManager[bool]:
        """Hold a session's staging for as long as the context, or this process, lasts.

        False while it is held already, by any process, this one too. Keeps nobody from reading,
        writing or removing what is there. Raises StagingMissing.
        """

    def incoming(self, session_id: UUID) -> AbstractContextManager[Incoming]:
        """A new body on its way in; its file goes with the context. Raises StagingMissing."""

    def new_tail(self, session_id: UUID) -> AbstractContextManager[Tail]:
        """Make a tail, which stays when the context ends. Raises StagingMissing."""

    def open_tail(self, session_id: UUID, name: str) -> AbstractContextManager[Tail]:
        """Open a tail to read it. Raises StagingMissing."""

    def remove_tail(self, session_id: UUID, name: str) -> None:
        """Remove a tail, if it is there."""

    def scratch(self) -> AbstractContextManager[Scratch]:
        """Room, on the store's own disk, that goes with the context and with the process."""

    def is_receiving(self, session_id: UUID) -> bool:
        """Whether a body was arriving within the last minutes, in any process."""

    def bytes_staged(self, session_id: UUID) -> int:
        """The bytes that a session's staging takes on the disk, holes not counted."""

    def discard(self, session_id: UUID) -> int:
        """Remove all staging of a session, if any; return the bytes that were on the disk."""

    def staging_folders(self) -> Iterator[StagingFolder]:
        """All folders in staging, of known sessions or not, in no order."""

    def discard_folder(self, name: str) -> int:
        """Remove a folder that `staging_folders` named; return the bytes that were on the disk."""

    def adopt(self, session_id: UUID, sha256: str, content_id: UUID) -> None:
        """Move the staged file, synced before, to content, and sync the folders.

        Moves nothing if it was moved already. Raises StagingMissing when it is in neither place.
        """

    def open_adopted(self, sha256: str, content_id: UUID) -> AbstractContextManager[StagedFile]:
        """Open content to recover it. Raises StagingMissing when it isn't there."""

    def read(self, sha256: str, content_id: UUID) -> BinaryIO:
        """Open content for reading. Raises FileNotFoundError."""

    def content_path(self, sha256: str, content_id: UUID) -> str:
        """Where content is, from the folder of all content on: for who serves that folder (nginx).

        Made of the hash and the id alone, with slashes, whether it is there or not.
        """

    def delete(self, sha256: str, content_id: UUID) -> None:
        """Remove content, if it is there."""

    def content_files(self) -> Iterator[ContentFile]:
        """All files in content, of known stored files or not, in no order."""

    def remove_empty_folders(self) -> int:
        """Remove what a crash left of folders without content; how many. Harms nothing arriving."""

    def hold_lease(self, name: str) -> bool:
        """Hold `name` for as long as this process lives; False while another process does."""

    def free_bytes(self) -> int:
        """Room left for more uploads; what the database needs to go on is not counted."""
