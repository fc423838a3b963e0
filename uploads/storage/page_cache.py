"""What the kernel keeps in memory of a file is not what the disk holds."""

import contextlib
import os
from typing import Protocol


class HasDescriptor(Protocol):
    def fileno(self) -> int: ...


def forget_cached(file: HasDescriptor | int) -> None:
    """Have the next reads of this file, or descriptor, come from the disk, where that can be asked.

    Advice only: a file that is none of the system's, or a file system that takes none, stays as it
    is. What is not yet written out stays in memory.
    """
    if hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError):
            fd = file if isinstance(file, int) else file.fileno()
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
