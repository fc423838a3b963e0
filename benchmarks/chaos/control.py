"""How the director makes the server fail at a named point: files in a folder that both know.

`crash` asks the next process that reaches one of its points to end; `errors` asks all to raise
errors there for as long as it is there. The folder is not on the disk that is filled.
"""

import contextlib
import errno
import json
import os
import signal
from collections.abc import Collection
from pathlib import Path
from random import Random
from typing import Any, NoReturn

from uploads.failpoints import Failpoint

#: Steps of the store: the disk may refuse them. All others are the database's, or nobody's.
STORE_POINTS = frozenset(
    point
    for point in Failpoint
    if point.startswith(("staging.", "incoming.", "data.", "folder."))
    or point
    in {
        Failpoint.CHUNK_WRITE,
        Failpoint.TAIL_CREATE,
        Failpoint.TAIL_WRITE,
        Failpoint.TAIL_SYNC,
        Failpoint.TAIL_REMOVE,
        Failpoint.CONTENT_FOLDER,
        Failpoint.CONTENT_RENAME,
        Failpoint.CONTENT_REMOVE_FILE,
        Failpoint.CONTENT_REMOVE_FOLDER,
    }
)
#: Commits: the database may refuse them.
DATABASE_POINTS = frozenset(
    {
        Failpoint.SESSION_INSERT,
        Failpoint.CHUNK_RECORD,
        Failpoint.TAIL_RECORD,
        Failpoint.TAIL_DROP,
        Failpoint.SESSION_MOVE,
        Failpoint.SESSION_DECLARE,
        Failpoint.SESSION_SIZE,
        Failpoint.SESSION_TOUCH,
        Failpoint.FINISH_CLAIM,
        Failpoint.FINISH_HEARTBEAT,
        Failpoint.FINISH_REOPEN,
        Failpoint.FINISH_COMPLETE,
        Failpoint.CONTENT_INSERT,
        Failpoint.CONTENT_MARK,
        Failpoint.CONTENT_DELETE,
        Failpoint.SESSION_DELETE,
    }
)
DISK_ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES)
DISK, DATABASE = ERRORS = ("disk-errors", "database-errors")
_CRASHED = "crashed-"
_RAISED = "raised"


class Control:
    """The director's side."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def arm_crash(self, points: Collection[Failpoint], skip: int) -> None:
        """End the process that reaches one of `points` after `skip` others have."""
        self._write("crash", {"points": sorted(points), "skip": skip})

    def crashed_at(self) -> str | None:
        """The point of a crash that happened and was not asked for before."""
        for path in self.folder.glob(f"{_CRASHED}*"):
            path.unlink()
            return path.name.removeprefix(_CRASHED)
        return None

    def widen_crash(self, points: Collection[Failpoint]) -> None:
        """A crash that is still waited for happens at the next of `points`."""
        if (self.folder / "crash").exists():
            self.arm_crash(points, 0)

    def disarm_crash(self) -> None:
        (self.folder / "crash").unlink(missing_ok=True)

    def inject(self, name: str, points: Collection[Failpoint], odds: float, number: int) -> None:
        """Raise an OSError of `number` at these points, or for 0 what a database raises."""
        self._write(name, {"points": sorted(points), "odds": odds, "errno": number})

    def stop_injecting(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)

    def clear(self) -> None:
        """From now on nothing fails."""
        self.disarm_crash()
        for name in ERRORS:
            self.stop_injecting(name)

    @property
    def errors_raised(self) -> int:
        raised = self.folder / _RAISED
        return raised.stat().st_size if raised.exists() else 0

    def _write(self, name: str, order: dict[str, Any]) -> None:
        """Whole or not at all."""
        draft = self.folder / f"{name}.draft"
        draft.write_text(json.dumps(order))
        draft.replace(self.folder / name)


class Saboteur:
    """The server's side: a hook for every failpoint of one process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._random = Random()
        #: The crash that is waited for, and how many points were passed since.
        self._order: tuple[int, int] = (0, 0)

    def __call__(self, point: Failpoint) -> None:
        self._crash(point)
        for name in ERRORS:
            self._fail(name, point)

    def _crash(self, point: Failpoint) -> None:
        path = self._folder / "crash"
        order = _order(path)
        if order is None or point not in order["points"]:
            return
        made = order["made"]
        passed = self._order[1] if self._order[0] == made else 0
        self._order = (made, passed + 1)
        if passed < order["skip"]:
            return
        # Of several processes and threads one takes it.
        with contextlib.suppress(FileNotFoundError):
            path.rename(self._folder / f"{_CRASHED}{point}")
            os.kill(os.getpid(), signal.SIGKILL)

    def _fail(self, name: str, point: Failpoint) -> None:
        order = _order(self._folder / name)
        if order and point in order["points"] and self._random.random() < order["odds"]:
            self._note()
            _raise(order["errno"])

    def _note(self) -> None:
        """One more byte for one more error."""
        with (self._folder / _RAISED).open("ab") as file:
            file.write(b".")


def _order(path: Path) -> dict[str, Any] | None:
    try:
        made = path.stat().st_mtime_ns
        order: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return {**order, "made": made}


def _raise(number: int) -> NoReturn:
    if number:
        raise OSError(number, os.strerror(number))
    from django.db import OperationalError  # noqa: PLC0415 (the director needs no Django)

    raise OperationalError("database is locked")
