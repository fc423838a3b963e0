"""What the server has said, held against what it says later.

The ledger knows nothing of HTTP or of disks. It is told of every acknowledgement, of every fault
that excuses a loss, and of what the server answers now; what nothing excuses is a failure. Moments
are seconds of one clock, given by who calls.
"""

import threading
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from uploads.core.plan import ChunkPlan


@dataclass(frozen=True, slots=True)
class Failure:
    """A promise that did not hold. `what` is one of a few words to count by."""

    what: str
    detail: str

    def __str__(self) -> str:
        return f"{self.what}: {self.detail}"


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
    #: When the last request was sent that the server counts as news of the session.
    news: float = 0.0
    #: When its client cancelled or deleted it.
    ended: float | None = None
    may_be_flipped: bool = False


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

    def acknowledged(self, session_id: str, index: int, asked: float, now: float) -> bool:
        """The chunk sent at `asked` was answered with 200; whether it is new to the ledger."""
        with self._lock:
            account = self._accounts[session_id]
            account.news = max(account.news, asked)
            new = index not in account.acknowledged
            account.acknowledged[index] = now
            return new

    def flipped(self, session_id: str, index: int, now: float) -> None:
        """A byte of this chunk is about to be flipped in staging, or was right now."""
        with self._lock:
            self._accounts[session_id].flipped[index] = now

    def told_missing(self, session_id: str, missing: Collection[int], asked: float) -> None:
        """An answer to a request sent at `asked` says that these chunks are missing.

        One that was acknowledged before may be missing only if it was damaged since (P3, P4).
        """
        with self._lock:
            account = self._accounts[session_id]
            for index in missing:
                if account.acknowledged.get(index, asked) < asked:
                    self._lost(account, index, asked)

    def _lost(self, account: Account, index: int, asked: float) -> None:
        del account.acknowledged[index]
        flipped = account.flipped.get(index)
        if flipped is None or flipped <= account.explained.get(index, 0.0):
            self.fail(
                "P3 acknowledged chunk lost",
                f"chunk {index} of {account.label} ({account.session_id}) was acknowledged and is "
                "missing, though nothing damaged it",
            )
            return
        account.explained[index] = asked
        self.count("chunks repaired")

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
                    f"last news, and no cleanup was to take it: {how}",
                )
            if account.ended is None:
                self.count("sessions expired")
                account.ended = now

    def told_forgotten(self, session_id: str, now: float) -> None:
        """A session that its client cancelled is not even known as cancelled any more."""
        with self._lock:
            ended = self._accounts[session_id].ended or now
            if not any(ended < (c.ended or now) - c.idle_seconds for c in self._cleanups):
                self.fail("cancelled session forgotten", f"{session_id} is 404 instead of 410")

    def _may_have_expired(self, account: Account, now: float) -> bool:
        return any(account.news < (c.ended or now) - c.idle_seconds for c in self._cleanups)

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
