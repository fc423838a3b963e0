"""What the kernel keeps in memory of a file is not what the disk holds."""

import contextlib
import os
from typing import Protocol


class HasDescriptor(Protocol):
    def fileno(self) -> int: ...


def begin_writing_out(fd: int, offset: int, length: int) -> None:
    """Have what is not yet on the disk of these bytes written out, where that can be asked.

    Linux begins to write what it is told to forget (posix_fadvise(2), POSIX_FADV_DONTNEED), and
    keeps it until it is written. Advice only, and nothing is waited for.
    """
    if hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError):
            os.posix_fadvise(fd, offset, length, os.POSIX_FADV_DONTNEED)


def forget_cached(file: HasDescriptor | int) -> None:
    """Have the next reads of this file, or descriptor, come from the disk, where that can be asked.

    Advice only: a file that is none of the system's, or a file system that takes none, stays as it
    is. What is not yet written out stays in memory.
    """
    if hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError):
            fd = file if isinstance(file, int) else file.fileno()
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
