"""Processes that end at a failpoint, and a record of what reaches the disk between failpoints."""

import os
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from django.db import connection, connections

from uploads.failpoints import Failpoint, Hook, set_hook

Operation = Callable[[], object]

#: Statements that change nothing by themselves.
_READING = ("SELECT", "PRAGMA", "SAVEPOINT", "RELEASE", "BEGIN", "ROLLBACK", "EXPLAIN")


@contextmanager
def hooked(hook: Hook) -> Iterator[None]:
    before = set_hook(hook)
    try:
        yield
    finally:
        set_hook(before)


def points_of(operation: Operation) -> list[Failpoint]:
    """The failpoints that `operation` reaches, in order."""
    reached: list[Failpoint] = []
    with hooked(reached.append):
        operation()
    return reached


def kill_at(number: int, operation: Operation) -> Failpoint | None:
    """Run `operation` in a process that is killed at the failpoint which it reaches as number
    `number`, from 0; None when it came to its end before.

    A real SIGKILL: nothing of Python's is run after it, and the kernel frees the locks.
    """
    connections.close_all()
    told, tell = os.pipe()
    with warnings.catch_warnings():
        # Newer Pythons warn of forks beside threads; the child needs none of them.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        _run_and_die(number, operation, tell)
    os.close(tell)
    with os.fdopen(told) as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    assert not said.startswith("!"), said
    if os.WIFSIGNALED(status):
        return Failpoint(said)
    assert status == 0
    return None


def _run_and_die(number: int, operation: Operation, tell: int) -> None:
    left = number

    def hook(point: Failpoint) -> None:
        nonlocal left
        if not left:
            os.write(tell, point.encode())
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    set_hook(hook)
    try:
        operation()
        os._exit(0)
    except BaseException as error:
        os.write(tell, f"!{error!r}".encode())
        os._exit(1)


class Trace:
    """What an operation reached and did, in order: failpoints, and steps that stay."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self.events: list[Failpoint | str] = []
        self._wrote = False

    def unguarded(self) -> list[str]:
        """The steps that no failpoint stands before."""
        found = []
        guarded = False
        for before, event in zip([None, *self.events], self.events, strict=False):
            if isinstance(event, Failpoint):
                guarded = True
            elif guarded:
                guarded = False
            # Folders are made with their parents, which is one step of ours.
            elif not (event.startswith("mkdir") and str(before).startswith("mkdir")):
                found.append(f"{event} after {before}")
        return found

    def note(self, kind: str, where: object) -> None:
        path = str(Path(f"/proc/self/fd/{where}").readlink() if isinstance(where, int) else where)
        if path.startswith(self._root):
            self.events.append(f"{kind} {path.removeprefix(self._root)}")

    def execute(self, run: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        if sql.startswith(_READING):
            return run(sql, parameters, many, context)
        if connection.in_atomic_block:
            self._wrote = True
        else:
            self.events.append(f"write {sql[:60]}")
        return run(sql, parameters, many, context)

    def committed(self) -> None:
        if self._wrote:
            self.events.append("commit")
        self._wrote = False


@contextmanager
def traced(root: Path) -> Iterator[Trace]:
    """Note every failpoint, every change of a file below `root` and every commit of this thread."""
    trace = Trace(root)
    wrapper: Any = connection
    commit = wrapper._commit

    def committing() -> None:
        commit()
        trace.committed()

    def opening(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if flags & os.O_CREAT:
            trace.note("create", path)
        return real_open(path, flags, *args, **kwargs)

    real_open = os.open
    with ExitStack() as stack:
        stack.enter_context(hooked(trace.events.append))
        stack.enter_context(connection.execute_wrapper(trace.execute))
        stack.enter_context(mock.patch.object(connection, "_commit", committing))
        stack.enter_context(mock.patch.object(os, "open", opening))
        for name in ("mkdir", "ftruncate", "pwrite", "write", "fsync", "utime"):
            stack.enter_context(mock.patch.object(os, name, _noting(trace, name)))
        for name in ("rename", "unlink", "rmdir"):
            stack.enter_context(mock.patch.object(os, name, _noting(trace, name)))
        yield trace


def _noting(trace: Trace, name: str) -> Callable[..., Any]:
    real = getattr(os, name)

    def call(where: Any, *args: Any, **kwargs: Any) -> Any:
        result = real(where, *args, **kwargs)
        trace.note(name, where)
        return result

    return call
