"""Damage to the data folder: bytes flipped, a disk filled, leftovers planted."""

import contextlib
import os
import shutil
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from uuid import UUID

from uploads.core.bitmap import Bitmap
from uploads.core.plan import MIB
from uploads.storage.locks import locked

from .ledger import Account, Ledger

_HOUR = 3600


def flip_byte(ledger: Ledger, staging: Path, rng: Random) -> bool:
    """Flip a byte of a chunk that was acknowledged, if some session has one."""
    found = ledger.flippable()
    rng.shuffle(found)
    return any(
        _flip_in(ledger, staging / account.session_id / "data", account, rng.choice(chunks), rng)
        for account, chunks in found
    )


def _flip_in(ledger: Ledger, path: Path, account: Account, index: int, rng: Random) -> bool:
    """Under the lock that a verifier takes, so that it comes before its reading or not at all.

    A byte that is flipped between the verification and the renaming would be content that rots,
    of which nothing is promised.
    """
    place = account.plan.offset(index) + rng.randrange(account.plan.length(index))
    with contextlib.suppress(FileNotFoundError):
        fd = os.open(path, os.O_RDWR)
        try:
            with locked(fd, place, 1):
                if not os.path.samestat(os.fstat(fd), path.stat()):
                    return False
                ledger.flipped(account.session_id, index, time.time())
                _flip(fd, place)
                ledger.flipped(account.session_id, index, time.time())
                return True
        finally:
            os.close(fd)
    return False


def flip_tail_byte(ledger: Ledger, data: Path, rng: Random) -> bool:
    """Flip a byte of what a stream has left of a chunk, if some session has such a tail."""
    with contextlib.suppress(sqlite3.Error):
        tails = _tails(data / "holdfast.sqlite3")
        rng.shuffle(tails)
        return any(_flip_tail(ledger, data / "uploads" / "staging", tail, rng) for tail in tails)
    return False


@dataclass(frozen=True, slots=True)
class _Tail:
    session_id: str
    #: Of the chunk that it is the beginning of.
    index: int
    name: str
    length: int


def _tails(database: Path) -> list[_Tail]:
    """Of active sessions, as their rows name them. Raises sqlite3.Error."""
    query = (
        "SELECT id, received, tail_name, tail_length FROM uploads_filesession "
        "WHERE status = 'active' AND tail_length > 0"
    )
    uri = f"file:{database}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=1)) as connection:
        return [
            _Tail(str(UUID(row[0])), _first_missing(row[1]), *row[2:])
            for row in connection.execute(query)
        ]


def _first_missing(received: bytes) -> int:
    return Bitmap(received, 8 * len(received) + 1).first_missing()


def _flip_tail(ledger: Ledger, staging: Path, tail: _Tail, rng: Random) -> bool:
    """Entered in the ledger before it is done: a stream may be told of it at once."""
    if not ledger.may_be_flipped(tail.session_id):
        return False
    with contextlib.suppress(FileNotFoundError):
        fd = os.open(staging / tail.session_id / f"tail-{tail.name}", os.O_RDWR)
        try:
            size = os.fstat(fd).st_size
            if size < tail.length:
                ledger.fail("P3 tail shorter than it was told", f"{size} bytes of {tail}")
                return False
            ledger.tail_flipped(tail.session_id, tail.index, time.time())
            _flip(fd, rng.randrange(tail.length))
            return True
        finally:
            os.close(fd)
    return False


def _flip(fd: int, place: int) -> None:
    [byte] = os.pread(fd, 1, place)
    os.pwrite(fd, bytes([byte ^ 0xFF]), place)


class DiskFiller:
    """Takes the room of a disk away, and gives it back."""

    def __init__(self, data: Path, *, can_fill: bool) -> None:
        self._ballast = data / "ballast"
        self._can_fill = can_fill

    def fill(self, rng: Random) -> bool:
        """Leave nothing, or a little: uploads are refused before the database is."""
        if not self._can_fill or self._ballast.exists():
            return False
        left = rng.choice([0, 0, MIB, 12 * MIB])
        fd = os.open(self._ballast, os.O_WRONLY | os.O_CREAT)
        try:
            status = os.fstatvfs(fd)
            room = status.f_bavail * status.f_frsize - left
            # Others write meanwhile: the room may be gone already.
            with contextlib.suppress(OSError):
                os.posix_fallocate(fd, 0, max(1, room))
            if not left:
                self._fill_up(fd)
        finally:
            os.close(fd)
        return True

    def empty(self) -> None:
        self._ballast.unlink(missing_ok=True)

    def _fill_up(self, fd: int) -> None:
        """To the last block."""
        end = os.fstat(fd).st_size
        with contextlib.suppress(OSError):
            for _ in range(4096):
                os.posix_fallocate(fd, end, 4096)
                end += 4096


class Orphans:
    """What nothing refers to: old staging, which a cleanup removes, and new, which it spares."""

    def __init__(self, uploads: Path) -> None:
        self._uploads = uploads
        self._old: list[Path] = []
        self._new: list[Path] = []

    def plant(self, rng: Random) -> bool:
        name = str(UUID(int=rng.getrandbits(128), version=4))
        old = self._uploads / "staging" / rng.choice([name, f"not-an-id-{name}"])
        new = self._uploads / "staging" / str(UUID(int=rng.getrandbits(128), version=4))
        content = self._uploads / "content" / rng.randbytes(32).hex() / name
        try:
            for folder in (old, new, content.parent):
                folder.mkdir(parents=True)
            for file in (old / "data", new / "data", content):
                file.write_bytes(b"orphan")
            two_hours_ago = time.time() - 2 * _HOUR
            os.utime(old, (two_hours_ago, two_hours_ago))
        except OSError:
            # The disk is full at this moment; later, then, under the same names.
            for folder in (old, new, content.parent):
                shutil.rmtree(folder, ignore_errors=True)
            return False
        self._old.append(old)
        self._new += [new, content]
        return True

    def old(self) -> list[Path]:
        """All planted so far that the next cleanup must remove."""
        return list(self._old)

    def check(self, ledger: Ledger, old: list[Path]) -> None:
        """After a cleanup that began when `old` were there: these are gone, the new ones are not.

        A new one may be a session's that is just being opened.
        """
        for path in old:
            if path.exists():
                ledger.fail("orphan not removed", path.name)
        for path in self._new:
            if not path.exists():
                ledger.fail("new folder removed", str(path.relative_to(self._uploads)))
        self._old = [path for path in self._old if path not in old]
        self._new = [path for path in self._new if path.exists()]
