"""Kernel locks on byte ranges of an open file, owned by the open file and not by the process.

Linux has open file description locks (fcntl(2), "Open file description locks"): they hold between
threads as between processes, and end with the descriptor. Elsewhere a whole-file `flock` does.
"""

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager

_F_OFD_SETLKW: int | None = getattr(fcntl, "F_OFD_SETLKW", None)
_F_OFD_GETLK: int | None = getattr(fcntl, "F_OFD_GETLK", None)
#: struct flock on 64-bit Linux: type, whence, start, length, pid (which must be 0).
_FLOCK = struct.Struct("@hhqqi")


@contextmanager
def locked(fd: int, offset: int, length: int) -> Iterator[None]:
    """Hold `length` bytes from `offset` (0: to the end, however far), waiting for them."""
    _set(fd, fcntl.F_WRLCK, offset, length)
    try:
        yield
    finally:
        _set(fd, fcntl.F_UNLCK, offset, length)


def is_locked(fd: int, offset: int, length: int) -> bool:
    """Whether somebody else holds a part of these bytes at this moment; `locked` would wait."""
    if _F_OFD_GETLK is None:
        if not try_lock(fd):
            return True
        fcntl.flock(fd, fcntl.LOCK_UN)
        return False
    asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, offset, length, 0)
    kind: int = _FLOCK.unpack(fcntl.fcntl(fd, _F_OFD_GETLK, asked))[0]
    return kind != fcntl.F_UNLCK


def try_lock(fd: int) -> bool:
    """Lock the open file or folder as a whole, until it is closed; False while another has it.

    By `flock`, which takes no notice of locks on ranges.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _set(fd: int, kind: int, offset: int, length: int) -> None:
    if _F_OFD_SETLKW is None:
        fcntl.flock(fd, fcntl.LOCK_UN if kind == fcntl.F_UNLCK else fcntl.LOCK_EX)
    else:
        fcntl.fcntl(fd, _F_OFD_SETLKW, _FLOCK.pack(kind, os.SEEK_SET, offset, length, 0))
