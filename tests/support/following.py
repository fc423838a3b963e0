"""Uploads that are followed when a test says so, in its own thread."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from uploads.engine import following, reading, verifying
from uploads.engine.following import Followers, Verify
from uploads.models import FileSession
from uploads.storage import StagedFile


class ByHand(Followers):
    """Followers without threads: `follow_all` is what they would do."""

    def start(self, threads: int, verify: Verify) -> None:
        self._verify = verify


def follow_all(followers: Followers | None = None) -> None:
    """Read all that there is to read. Raises what a follower's thread would log."""
    while (followers or following.followers).turn() is not None:
        pass


def follow(session: FileSession) -> None:
    """Read all that there is to read of one upload, however small it is."""
    following.followers.tell(session.pk, session.chunk_size)
    follow_all()


def forget_followed(followers: Followers | None = None) -> None:
    """As when their process is killed."""
    followers = followers or following.followers
    with ExitStack() as stack:
        for session_id in list(followers._follows):
            followers.hand_over(session_id, stack)


@contextmanager
def reads() -> Iterator[list[int]]:
    """Where the chunks began that were read to be verified, by followers and verifiers."""
    offsets: list[int] = []
    real = reading.pieces_of

    def pieces_of(file: StagedFile, offset: int, *args: Any) -> Iterator[memoryview]:
        offsets.append(offset)
        return real(file, offset, *args)

    with mock.patch.object(verifying, "pieces_of", pieces_of):
        yield offsets
