"""Followers: threads that verify uploads while they arrive, so that little is left at the end.

A follower reads, from the first on, those chunks whose row is committed: nobody writes their bytes
again while the row is there, so it takes no lock on them. What it has read, a trail, lives in the
memory of its process. The verifier there takes it over, makes sure that it is one of the chunks
that there are now, and reads the rest. So the process that has the trail verifies, wherever the
last chunk came in: it looks for that, and the others wait a little for it. Whenever anything about
a trail is in doubt, all is read from the beginning: at worst, nothing was saved.
"""

import enum
import itertools
import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from uuid import UUID

from django.db import connections

from uploads import conf
from uploads.core.plan import MIB
from uploads.models import FileSession, Role, SessionStatus
from uploads.storage import StagingMissing, get_store

from .rows import find
from .trails import ChunkRow, Trail, chunk_rows

logger = logging.getLogger("uploads.engine")

#: Bytes that are in of an upload before it is followed: to read fewer at the end takes no time.
FOLLOW_FROM = 32 * MIB
#: Bytes that are read of one upload before another has its turn.
STRETCH = 64 * MIB
#: Seconds after a turn that came up with its upload, or left the processor to others. Each turn
#: costs two queries.
PAUSE = 0.05
#: Uploads that are followed at once, per process. Each keeps two descriptors.
MAX_FOLLOWED = 32
#: An upload without a new chunk for so many seconds makes room for others. If it goes on, it is
#: read from the beginning.
QUIET_SECONDS = 300
#: How often the followed are looked at, in seconds: what other processes have taken in, and what
#: has ended. A file that is open keeps its room on the disk after it was removed.
LOOK_SECONDS = 0.05
#: The same when none has moved for MOVING_SECONDS: longer than a chunk takes on a slow line.
REST_SECONDS = 2
MOVING_SECONDS = 30
#: Seconds that a verifier waits for another process that follows its upload, before it begins from
#: the start.
PATIENCE = 10
#: Of a Linux thread (setpriority(2)): where processors are short, it gets four fifths of what
#: others get. With a third (5) it came so far behind that the end was waited for again.
NICENESS = 1


class _Outcome(enum.Enum):
    """What a turn has left to be read."""

    #: What came in meanwhile, if anything.
    NOTHING = enum.auto()
    MORE = enum.auto()
    #: More, for which the processor is too short now.
    LATER = enum.auto()


class _Follow:
    """One upload that is followed, by one thread at a time."""

    def __init__(self, session_id: UUID, chunk_size: int) -> None:
        self.session_id = session_id
        #: When a chunk came in last, on the monotonic clock.
        self.news = time.monotonic()
        #: Whether it waits for a thread or has one, and whether more came in since it got it.
        self.is_due = self.is_told = False
        #: Chunks that were in when it was looked at last.
        self.received = 0
        #: When this process was told to verify it, on the monotonic clock.
        self.told: float | None = None
        #: Chunks of a stretch.
        self._limit = max(1, STRETCH // chunk_size)
        self._is_ended = False
        self._trail: Trail | None = None
        #: What is held and open, for as long as the trail.
        self._open = ExitStack()
        self._lock = threading.Lock()

    @property
    def has_trail(self) -> bool:
        """Whether it is this process that follows."""
        return self._trail is not None

    def advance(self) -> _Outcome:
        """Read a stretch. Raises what the disk and the database raise, and has ended then."""
        with self._lock:
            try:
                return _Outcome.NOTHING if self._is_ended else self._advance()
            except StagingMissing:
                # The upload has ended meanwhile.
                self._give_up()
                return _Outcome.NOTHING
            except BaseException:
                self._give_up()
                raise

    def hand_over(self, stack: ExitStack) -> Trail | None:
        """End. What was read, if anything, is open for as long as `stack`.

        Waits for the chunk that is being read.
        """
        self._is_ended = True
        with self._lock:
            stack.enter_context(self._open.pop_all())
            trail, self._trail = self._trail, None
            return trail

    def _advance(self) -> _Outcome:
        trail = self._trail = self._trail or self._begun()
        if trail is None:
            return _Outcome.NOTHING
        rows = self._next_rows(trail.length)
        # After the rows: a last chunk that is shorter comes with the size, if not after it.
        session = find(FileSession, self.session_id)
        if not rows or session is None:
            return _Outcome.NOTHING
        received = session.received_count

        def may_go_on() -> bool:
            return not (self._is_ended or trail.yields(received))

        if not trail.read(session.plan, rows, may_go_on):
            logger.warning("Session %s has damaged chunks; left to its verifier", self.session_id)
            self._give_up()
            return _Outcome.NOTHING
        if trail.yields(received):
            return _Outcome.LATER
        return _Outcome.MORE if len(rows) == self._limit else _Outcome.NOTHING

    def _begun(self) -> Trail | None:
        """None while another process follows."""
        store = get_store()
        with ExitStack() as stack:
            if not stack.enter_context(store.hold_staging(self.session_id)):
                return None
            trail = Trail(stack.enter_context(store.open(self.session_id)))
            self._open = stack.pop_all()
        return trail

    def _next_rows(self, first: int) -> list[ChunkRow]:
        """Of the chunks from `first` on, without a gap, as many as a stretch has."""
        rows = enumerate(chunk_rows(self.session_id, first, self._limit), first)
        return [row for _, row in itertools.takewhile(lambda pair: pair[0] == pair[1].index, rows)]

    def _give_up(self) -> None:
        self._is_ended, self._trail = True, None
        self._open.close()


#: Has an upload verified in this process, where its trail is, and does not wait for that.
Verify = Callable[[UUID], None]


class Followers:
    """The uploads that a process follows, and the threads that do it, begun when first needed."""

    def __init__(self) -> None:
        self._follows: dict[UUID, _Follow] = {}
        #: Those that wait for a thread, in order.
        self._due: deque[_Follow] = deque()
        #: When all were looked at last, on the monotonic clock.
        self._looked = 0.0
        self._started = 0
        self._verify: Verify | None = None
        self._changed = threading.Condition()

    def tell(self, session_id: UUID, chunk_size: int) -> None:
        """A chunk is in. Asks nobody and waits for nothing."""
        with self._changed:
            follow = self._follows.get(session_id)
            if follow is None:
                if len(self._follows) >= MAX_FOLLOWED:
                    return
                follow = self._follows[session_id] = _Follow(session_id, chunk_size)
            follow.news = time.monotonic()
            follow.is_told = True
            self._make_due(follow)

    def start(self, threads: int, verify: Verify) -> None:
        """Have so many threads at work, if the system lets us; whose chunk is in, has it in."""
        with self._changed:
            self._verify = verify
            while self._started < threads:
                name = f"uploads-follower-{self._started}"
                try:
                    threading.Thread(target=self._work, name=name, daemon=True).start()
                except RuntimeError:
                    logger.exception("There is no thread for a follower")
                    return
                self._started += 1

    def hand_over(self, session_id: UUID, stack: ExitStack) -> Trail | None:
        """Follow this upload no more. What was read of it is open for as long as `stack`."""
        with self._changed:
            follow = self._follows.pop(session_id, None)
        return follow.hand_over(stack) if follow else None

    def turn(self, patience: float | None = 0) -> bool | None:
        """Read a stretch of the upload whose turn it is; whether to go on at once.

        None when no upload has news within `patience` seconds. Raises what `_Follow.advance` does.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._due, patience):
                return None
            follow = self._due.popleft()
            follow.is_told = False
        outcome = _Outcome.NOTHING
        try:
            outcome = follow.advance()
        finally:
            with self._changed:
                follow.is_due = False
                if follow.is_told or outcome is not _Outcome.NOTHING:
                    self._make_due(follow)
        return outcome is _Outcome.MORE

    def has_trail(self, session_id: UUID) -> bool:
        """Whether it is this process that follows the upload."""
        with self._changed:
            follow = self._follows.get(session_id)
        return follow is not None and follow.has_trail

    def look(self) -> None:
        """See what has become of the followed uploads, wherever their chunks came in.

        What has grown is read on, what is whole verified; those that have ended are let go of, and
        those that have long been quiet.
        """
        with self._changed:
            follows = list(self._follows.values())
        found = FileSession.objects.filter(pk__in=[follow.session_id for follow in follows])
        rows = found.open().values_list("pk", "status", "received_count")
        now = {pk: (status, received) for pk, status, received in rows}
        for follow in follows:
            if follow.session_id not in now or follow.news < time.monotonic() - QUIET_SECONDS:
                with ExitStack() as stack:
                    self.hand_over(follow.session_id, stack)
            else:
                self._see(follow, *now[follow.session_id])

    def _see(self, follow: _Follow, status: str, received: int) -> None:
        if status == SessionStatus.ASSEMBLING:
            self._tell_verifier(follow)
            return
        follow.told = None
        if received != follow.received:
            with self._changed:
                follow.received = received
                follow.news = time.monotonic()
                self._make_due(follow)

    def _tell_verifier(self, follow: _Follow) -> None:
        """Once; and once more when nothing has come of it, since a database was locked perhaps."""
        now = time.monotonic()
        with self._changed:
            is_new = follow.told is None or now - follow.told > PATIENCE
            if not (self._verify and follow.has_trail and is_new):
                return
            follow.told = now
        self._verify(follow.session_id)

    @property
    def _moves(self) -> bool:
        """Whether an upload that is read here has grown of late."""
        since = time.monotonic() - MOVING_SECONDS
        with self._changed:
            return any(each.has_trail and each.news > since for each in self._follows.values())

    def _make_due(self, follow: _Follow) -> None:
        if not follow.is_due:
            follow.is_due = True
            self._due.append(follow)
            self._changed.notify()

    def _work(self) -> None:
        _let_others_go_first()
        while True:
            try:
                self._take_turn()
            except Exception:
                # Whatever it is, the verifier will read for itself; but this thread must live on.
                logger.exception("An upload could not be followed")
                # Perhaps it is the connection.
                connections.close_all()

    def _take_turn(self) -> None:
        goes_on = self.turn(self._until_look() if self._follows else None)
        if self._follows and not self._until_look():
            # First, or what makes it fail would be tried again at once, for ever.
            self._looked = time.monotonic()
            self.look()
        if goes_on is None and not self._moves:
            connections.close_all()
        elif goes_on is False:
            time.sleep(PAUSE)

    def _until_look(self) -> float:
        """Seconds until all are to be looked at again."""
        apart = LOOK_SECONDS if self._moves else REST_SECONDS
        return max(0.0, self._looked + apart - time.monotonic())


def _let_others_go_first() -> None:
    """Where threads have priorities of their own."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        nice = os.getpriority(os.PRIO_PROCESS, thread) + NICENESS
        os.setpriority(os.PRIO_PROCESS, thread, nice)


followers = Followers()


def chunk_is_in(session: FileSession, verify: Verify) -> None:
    """Have an upload that has grown by a chunk followed, if that may pay. No query, no waiting."""
    threads = conf.current().followers
    # A part ends in a whole, which is read for itself.
    pays = session.received_count * session.chunk_size >= FOLLOW_FROM and session.role != Role.PART
    if threads and pays:
        followers.tell(session.pk, session.chunk_size)
        followers.start(threads, verify)


def wait_for_others(session_id: UUID) -> None:
    """Until no other process follows the upload: it has verified it then, or died.

    Or until PATIENCE is at its end. Raises StorageUnavailable.
    """
    end = time.monotonic() + PATIENCE
    while not followers.has_trail(session_id):
        try:
            with get_store().hold_staging(session_id) as is_free:
                if is_free or time.monotonic() >= end:
                    return
        except StagingMissing:
            return
        time.sleep(LOOK_SECONDS)


@contextmanager
def taken_over(session_id: UUID) -> Iterator[Trail | None]:
    """What this process has followed of an upload, if it has; it is followed no more."""
    with ExitStack() as stack:
        yield followers.hand_over(session_id, stack)
