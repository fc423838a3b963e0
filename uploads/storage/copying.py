"""Copying between two files, by the kernel where it does that."""

import errno
import os

#: Of file systems that have no such call, or not between these two files.
_NOT_HERE = {errno.ENOSYS, errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM}
_PIECE = 1024 * 1024


def copy_range(source: int, target: int, offset: int, length: int, to: int) -> None:
    """`length` bytes from `offset` of one descriptor to `to` of the other, as far as there are any.

    copy_file_range(2) shares blocks on file systems that can (Btrfs, XFS), where both offsets are
    at the beginning of one, and copies without coming through this process elsewhere.
    """
    done = 0
    try:
        while done < length and hasattr(os, "copy_file_range"):
            count = os.copy_file_range(source, target, length - done, offset + done, to + done)
            if not count:
                return
            done += count
    except OSError as error:
        if error.errno not in _NOT_HERE:
            raise
    while done < length:
        piece = os.pread(source, min(_PIECE, length - done), offset + done)
        if not piece:
            return
        _write(target, piece, to + done)
        done += len(piece)


def _write(target: int, piece: bytes, to: int) -> None:
    view = memoryview(piece)
    while view:
        count = os.pwrite(target, view, to)
        view, to = view[count:], to + count
