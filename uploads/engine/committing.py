"""Storing one chunk of a stream while the next is read.

At most one at a time, in their order: so a stream has two bodies in memory and no more, and what it
tells is in is in without a gap.
"""

import contextvars
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Self

from django.db import connection, connections

from uploads.errors import UploadError

from .receiving import IncomingChunk


class Committer:
    """Commits the chunks of one stream, in a thread that it begins with the first.

    It does so at once with the last, and within a transaction, which no other thread could see.
    """

    def __init__(self) -> None:
        #: Whether nothing is to be read behind the chunk that is begun next.
        self.is_last = False
        self._thread: ThreadPoolExecutor | None = None
        self._under_way: Future[None] | None = None
        #: What a commit has raised.
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            # What went wrong first is what the sender is told, not what came of it.
            if isinstance(error, UploadError):
                self.wait()
        finally:
            if self._thread:
                self._thread.submit(connections.close_all)
                self._thread.shutdown()

    def begin(self, chunk: IncomingChunk, room: ExitStack) -> None:
        """Have `chunk` committed, once the one before is, and then close its `room`.

        Raises what the commit of the one before has raised; then `room` is closed at once.
        """
        with ExitStack() as unless_begun:
            unless_begun.push(room.pop_all())
            self.wait()
            commit = _committing(chunk, unless_begun.pop_all())
        if self.is_last or connection.in_atomic_block:
            commit()
            return
        self._thread = self._thread or ThreadPoolExecutor(1, "uploads-commit")
        # With what the log says of the request.
        self._under_way = self._thread.submit(contextvars.copy_context().run, commit)

    def wait(self) -> None:
        """Return once all that was begun is committed. Raises what a commit has raised."""
        under_way, self._under_way = self._under_way, None
        if under_way:
            self._failure = under_way.exception()
        if self._failure:
            raise self._failure

    def check(self) -> None:
        """As `wait`, if there is nothing to wait for."""
        if self._under_way and self._under_way.done():
            self.wait()

    def has_all(self) -> bool:
        """Whether all that was begun is committed, once that is known."""
        with suppress(Exception):
            self.wait()
        return self._failure is None


def _committing(chunk: IncomingChunk, room: ExitStack) -> Callable[[], None]:
    def commit() -> None:
        with room:
            chunk.commit()

    return commit
