"""What the server has said, held against what it says later.

The ledger knows nothing of HTTP or of disks. It is told of every acknowledgement, of every fault
that excuses a loss, and of what the server answers now; what nothing excuses is a failure. Moments
are seconds of one clock, given by who calls.
"""

import threading
from collections import Counter, deque
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from uploads.core.plan import ChunkPlan

#: Seconds from the stamp of a row until others see it: its commit may wait for the disk.
_COMMIT_TAKES = 1.0


#: Lines of an account's history that are kept.
_HISTORY = 12


@dataclass(frozen=True, slots=True)
class Failure:
    """A promise that did not hold. `what` is one of a few words to count by."""

    what: str
    detail: str

    def __str__(self) -> str:
        return f"{self.what}: {self.detail}"


@dataclass(frozen=True, slots=True)
class Told:
    """An answer that so many bytes are in without a gap."""

    offset: int
    asked: float
    heard: float


@dataclass(slots=True)
class Account:
    """One session as its client knows it."""

    session_id: str
    label: str
    plan: ChunkPlan
    #: When each chunk was acknowledged.
    acknowledged: dict[int, float] = field(default_factory=dict)
    #: When a byte of each chunk was last flipped in staging.
    flipped: dict[int, float] = field(default_factory=dict)
    #: When the last look was that found the chunk damaged.
    explained: dict[int, float] = field(default_factory=dict)
    #: What was told of the offset, never lower than before.
    offsets: list[Told] = field(default_factory=list)
    #: When it was heard last that less is in than was told before.
    set_back: float = 0.0
    #: How often a byte of what is in of a chunk, before it is whole, was flipped.
    tails_flipped: Counter[int] = field(default_factory=Counter)
    #: When the last request was sent that the server counts as news of the session.
    news: float = 0.0
    #: What was heard and done last, for who has to understand a failure.
    history: deque[str] = field(default_factory=lambda: deque(maxlen=_HISTORY))
    #: When its client cancelled or deleted it.
    ended: float | None = None
    may_be_flipped: bool = False

    def note(self, asked: float, now: float, what: str) -> None:
        self.history.append(f"{what} ({asked:.3f} to {now:.3f})")

    def told(self) -> str:
        return f"last: {', '.join(self.history)}"


@dataclass(slots=True)
class Cleanup:
    """One run of the cleanup command."""

    idle_seconds: float
    began: float
    ended: float | None = None


class Ledger:
    """Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._accounts: dict[str, Account] = {}
        self._cleanups: list[Cleanup] = []
        self.failures: list[Failure] = []
        #: What happened that is no failure, by name.
        self.counts: Counter[str] = Counter()

    def fail(self, what: str, detail: str) -> None:
        with self._lock:
            self.failures.append(Failure(what, detail))

    def count(self, name: str, by: int = 1) -> None:
        with self._lock:
            self.counts[name] += by

    def opened(
        self,
        session_id: str,
        label: str,
        plan: ChunkPlan,
        asked: float,
        *,
        flippable: bool = False,
    ) -> None:
        """A handshake that was sent at `asked` has answered this session."""
        with self._lock:
            account = self._accounts.setdefault(session_id, Account(session_id, label, plan))
            account.may_be_flipped = flippable
            account.news = max(account.news, asked)

    def acknowledged(
        self, session_id: str, index: int, asked: float, now: float, *, duplicate: bool = False
    ) -> bool:
        """The chunk sent at `asked` was answered with 200; whether it is new to the ledger.

        One that was in already, by a stream that lives on after its client, is no news of it.
        """
        with self._lock:
            account = self._accounts[session_id]
            if not duplicate:
                account.news = max(account.news, asked)
            account.note(asked, now, f"chunk {index} acknowledged")
            new = index not in account.acknowledged
            account.acknowledged[index] = now
            return new

    def flipped(self, session_id: str, index: int, now: float) -> None:
        """A byte of this chunk is about to be flipped in staging, or was right now."""
        with self._lock:
            account = self._accounts[session_id]
            account.note(now, now, f"byte flipped in chunk {index}")
            account.flipped[index] = now

    def told_missing(self, session_id: str, missing: Collection[int], asked: float) -> None:
        """An answer to a request sent at `asked` says that these chunks are missing.

        One that was acknowledged before may be missing only if it was damaged since (P3, P4).
        """
        with self._lock:
            account = self._accounts[session_id]
            for index in missing:
                if account.acknowledged.get(index, asked) < asked:
                    self._lost(account, index, asked)

    def told_offset(self, session_id: str, offset: int, asked: float, now: float) -> None:
        """An answer to a request sent at `asked` says that so many bytes are in without a gap.

        They may be fewer than were told before only if they were damaged since (P3, P4).
        """
        with self._lock:
            account = self._accounts[session_id]
            account.note(asked, now, f"offset {offset}")
            before = [told.offset for told in account.offsets if told.heard < asked]
            if before and offset < before[-1]:
                self._went_back(account, before[-1], Told(offset, asked, now))
            # Asked before the last loss was heard of: then it may be older than that.
            if asked > account.set_back:
                self._take_down(account, Told(offset, asked, now))

    def _take_down(self, account: Account, told: Told) -> None:
        plan = account.plan
        # The last chunk, when it is shorter, may be in as a tail only.
        for index in range(told.offset // plan.chunk_size):
            if index not in account.acknowledged:
                account.acknowledged[index] = told.heard
                self.counts["bytes acknowledged"] += plan.length(index)
        last = account.offsets[-1] if account.offsets else None
        if last and told.offset > last.offset:
            # It was less when that was asked: whatever came since is news.
            account.news = max(account.news, last.asked - _COMMIT_TAKES)
        if not last or told.offset > last.offset:
            account.offsets.append(told)

    def _went_back(self, account: Account, before: int, told: Told) -> None:
        index = told.offset // account.plan.chunk_size
        if account.acknowledged.get(index, told.asked) < told.asked:
            self._lost(account, index, told.asked)
            return
        # Not in as a chunk: its tail is what was lost.
        if index == (before - 1) // account.plan.chunk_size and account.tails_flipped[index]:
            account.tails_flipped[index] -= 1
            self.count("tails asked for again")
        else:
            self.fail(
                "P3 offset went back",
                f"{before} bytes of {account.label} ({account.session_id}) were in, now it is "
                f"{told.offset}, though nothing damaged them; {account.told()}",
            )
        _set_back(account, account.plan.offset(index), told.heard)

    def _lost(self, account: Account, index: int, asked: float) -> None:
        account.acknowledged.pop(index, None)
        _set_back(account, account.plan.offset(index), asked)
        flipped = account.flipped.get(index)
        if flipped is None or flipped <= account.explained.get(index, 0.0):
            self.fail(
                "P3 acknowledged chunk lost",
                f"chunk {index} of {account.label} ({account.session_id}) was acknowledged and is "
                f"missing, though nothing damaged it; {account.told()}",
            )
            return
        account.explained[index] = asked
        self.count("chunks repaired")

    def tail_flipped(self, session_id: str, index: int, now: float) -> None:
        """A byte of what is in of this chunk, which is not whole, is about to be flipped."""
        with self._lock:
            account = self._accounts[session_id]
            account.note(now, now, f"byte flipped in the tail, of chunk {index}")
            account.tails_flipped[index] += 1

    def was_damaged(self, session_id: str) -> bool:
        """Whether anything that was received of it was ever flipped."""
        with self._lock:
            account = self._accounts[session_id]
            return bool(account.flipped or account.tails_flipped)

    def cleanup_began(self, idle_seconds: float, now: float) -> Cleanup:
        """From `now` on, what was idle for so long may expire."""
        cleanup = Cleanup(idle_seconds, now)
        with self._lock:
            self._cleanups.append(cleanup)
        return cleanup

    def ended(self, session_id: str, now: float) -> None:
        """Its client is about to cancel or delete it."""
        with self._lock:
            self._accounts[session_id].ended = now

    def has_ended(self, session_id: str) -> bool:
        with self._lock:
            return self._accounts[session_id].ended is not None

    def told_gone(self, session_id: str, now: float, how: str = "") -> None:
        """The server says, by the answer `how`, that there is no such session (any more).

        That is so after its client ended it, or after a cleanup for which it was idle too long.
        """
        with self._lock:
            account = self._accounts[session_id]
            if account.ended is None and not self._may_have_expired(account, now):
                self.fail(
                    "live session gone",
                    f"{account.label} ({session_id}) is gone {now - account.news:.1f} s after its "
                    f"last news, and no cleanup was to take it: {how}; {account.told()}",
                )
            if account.ended is None:
                self.count("sessions expired")
                account.ended = now

    def told_forgotten(self, session_id: str, now: float) -> None:
        """A session that its client cancelled is not even known as cancelled any more.

        That is so after a cleanup that came later; or it had expired before, and was deleted.
        """
        with self._lock:
            account = self._accounts[session_id]
            ended = account.ended or now
            purged = any(ended < (c.ended or now) - c.idle_seconds for c in self._cleanups)
            if not (purged or self._may_have_expired(account, now)):
                self.fail("cancelled session forgotten", f"{session_id} is 404 instead of 410")

    def _may_have_expired(self, account: Account, now: float) -> bool:
        return any(account.news < (c.ended or now) - c.idle_seconds for c in self._cleanups)

    def may_be_flipped(self, session_id: str) -> bool:
        """Whether it is an open session that may be damaged."""
        with self._lock:
            account = self._accounts.get(session_id)
            return account is not None and account.may_be_flipped and account.ended is None

    def flippable(self) -> list[tuple[Account, list[int]]]:
        """Open sessions that may be damaged, with their acknowledged chunks."""
        with self._lock:
            return [
                (account, sorted(account.acknowledged))
                for account in self._accounts.values()
                if account.may_be_flipped and account.acknowledged and account.ended is None
            ]

    def finished(self, session_id: str) -> None:
        """It completed: nothing in staging is left to damage."""
        with self._lock:
            self._accounts[session_id].may_be_flipped = False


def _set_back(account: Account, offset: int, moment: float) -> None:
    """At `moment`, or before, there was a loss from `offset` on."""
    lower = [replace(told, offset=offset) for told in account.offsets if told.offset > offset]
    account.offsets = [told for told in account.offsets if told.offset <= offset] + lower[:1]
    account.set_back = max(account.set_back, moment)
