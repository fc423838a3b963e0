"""The clients: each takes the next planned file and does with it what its plan says."""

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from random import Random

from .plan import Behaviour, Declared, Job, Way, planned_job
from .sender import Sender
from .streams import SizelessSender, StreamSender
from .traffic import Answer, Interrupted, Link
from .world import NeverCompleted, World

#: Clients beyond those that send: they wait for a verification that a fault has cut off.
_WAITING = 8
_GONE = {404, 410}

_SENDERS: dict[Way, type[Sender]] = {
    Way.CHUNKS: Sender,
    Way.STREAMS: StreamSender,
    Way.BOTH: StreamSender,
    Way.SIZELESS: SizelessSender,
}

Request = Callable[[], Answer]


@dataclass(frozen=True, slots=True)
class Kept:
    """A completed file that stays on the server, to be read again."""

    job: Job
    session_id: str


class Clients:
    """Threads that send one file after another until the run is over."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._numbers = count()
        self._lock = threading.Lock()
        self._kept: list[Kept] = []
        names = range(world.options.clients + _WAITING)
        self._threads = [
            threading.Thread(target=self._run, name=f"client-{n}", daemon=True) for n in names
        ]
        #: When uploads completed.
        self.completions: list[float] = []

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    @property
    def at_work(self) -> int:
        """How many have not come to their end."""
        return sum(thread.is_alive() for thread in self._threads)

    def read_kept_again(self) -> None:
        """Every completed file that is still on the server, after all faults."""
        for kept in self._kept:
            try:
                self._check_content(kept.job, kept.session_id)
            except NeverCompleted:
                self._world.ledger.fail("never read again", kept.job.label)

    def _run(self) -> None:
        while not self._world.over.is_set():
            job = planned_job(self._world.options, next(self._numbers))
            # In this order: who waits for room must not keep others from going on.
            with self._world.room_for(job.file.size), self._world.slot():
                if not self._world.over.is_set():
                    self._attempt(job)

    def _attempt(self, job: Job) -> None:
        try:
            self._do(job)
        except NeverCompleted:
            self._world.ledger.fail("upload never completed", f"{job.label}, {job.behaviour}")
        except Exception as error:  # a thread's end must not go unnoticed
            self._world.ledger.fail("error in the benchmark", f"{job.label}: {error!r}")
        finally:
            self._link(job).close_own()

    def _link(self, job: Job) -> Link:
        return self._world.links[job.number % len(self._world.links)]

    def _sender(self, job: Job, name: str, declared: Declared, *, in_slot: bool = True) -> Sender:
        key = f"{self._world.options.seed}-{job.number}-{name}"
        kind = _SENDERS[job.way]
        return kind(self._world, job, self._link(job), key, declared, in_slot=in_slot)

    def _do(self, job: Job) -> None:
        first = self._sender(job, "a", job.declared)
        match job.behaviour:
            case Behaviour.PLAIN:
                self._send(job, first)
            case Behaviour.TWINS:
                self._send_twice(job, first)
            case Behaviour.SHARED:
                self._send_shared(job, first)
            case Behaviour.CANCEL:
                self._cancel(job, first)
            case Behaviour.ABANDON:
                first.send_some(_part(job))
                self._world.ledger.count("uploads abandoned")
                self._world.ledger.finished(str(first.session_id))

    def _send(self, job: Job, sender: Sender) -> None:
        """A file from its start to its end, read back and then kept or deleted."""
        if sender.send():
            self._settle(job, str(sender.session_id))

    def _settle(self, job: Job, session_id: str) -> None:
        """Count a completed file, read it back, then keep or delete it."""
        self._note_completion(job)
        if not self._check_content(job, session_id):
            return
        if job.kept:
            self._keep(Kept(job, session_id))
        else:
            self.delete(job, session_id)

    def _send_twice(self, job: Job, first: Sender) -> None:
        """Two clients send the same session."""
        second = self._sender(job, "a", job.declared, in_slot=False)
        with _Beside(self._world, job, second):
            completed = first.send()
        if second.session_id not in {None, first.session_id}:
            # It came when the other was done already, and could not know.
            self.delete(job, str(second.session_id))
        if completed:
            self._settle(job, str(first.session_id))

    def _send_shared(self, job: Job, first: Sender) -> None:
        """The same content twice; the first goes at the moment that the second completes."""
        if not first.send():
            return
        self._note_completion(job)
        # Without a hash, or the server would know that it has the file.
        second = self._sender(job, "b", Declared.NEVER)
        second.send_some(job.file.plan.total)
        deleter = threading.Thread(
            target=self.delete, args=(job, str(first.session_id)), daemon=True
        )
        deleter.start()
        try:
            self._send(job, second)
        finally:
            deleter.join()

    def _note_completion(self, job: Job) -> None:
        self._world.ledger.count("uploads completed")
        self._world.ledger.count("bytes of completed files", job.file.size)
        self.completions.append(time.time())

    def _cancel(self, job: Job, sender: Sender) -> None:
        """Part of a file, then its end by its client's wish; from then on it is 410."""
        sender.send_some(_part(job))
        session_id = str(sender.session_id)
        self._world.ledger.ended(session_id, time.time())
        self._world.ledger.finished(session_id)
        link = self._link(job)
        self._insist(job, lambda: link.delete(session_id), {204, *_GONE}, "cancel")
        answer = self._insist(job, lambda: link.look(session_id), _GONE, "look at a cancelled one")
        if answer.status == 404:
            self._world.ledger.told_forgotten(session_id, time.time())
        index = Random(job.seed).randrange(job.file.plan.total)
        chunk = job.file.chunk(index)
        self._insist(
            job, lambda: link.put(session_id, index, chunk), _GONE, "send to a cancelled one"
        )
        self._world.ledger.count("uploads cancelled")

    def delete(self, job: Job, session_id: str) -> None:
        """Delete a completed upload; then it is 404."""
        link = self._link(job)
        self._world.ledger.ended(session_id, time.time())
        try:
            self._insist(job, lambda: link.delete(session_id), {204, 404}, "delete")
            self._insist(job, lambda: link.look(session_id), {404}, "look at a deleted one")
        except NeverCompleted:
            self._world.ledger.fail("never deleted", f"{job.label} ({session_id})")
        self._world.ledger.count("completed uploads deleted")

    def _insist(self, job: Job, request: Request, right: set[int], doing: str) -> Answer:
        """The first answer that is more than a call for patience. Raises NeverCompleted."""
        while True:
            try:
                answer = request()
            except Interrupted:
                answer = None
            if answer and not answer.is_transient:
                if answer.status not in right:
                    self._world.ledger.fail("wrong answer", f"{doing}, {job.label}: {answer}")
                return answer
            self._world.rest(0.2)

    def _keep(self, kept: Kept) -> None:
        """Keep it, and let go of the oldest where they become too many."""
        with self._lock:
            self._kept.append(kept)
            bound = self._world.options.kept_bytes
            leaving: list[Kept] = []
            while len(self._kept) > 1 and sum(k.job.file.size for k in self._kept) > bound:
                leaving.append(self._kept.pop(0))
            again = Random(kept.job.seed).choice(self._kept)
        for old in leaving:
            self.delete(old.job, old.session_id)
        if again not in leaving and again is not kept:
            self._check_content(again.job, again.session_id)

    def _check_content(self, job: Job, session_id: str) -> bool:
        """Read a completed file whole, or in part; whether it is what was sent (P1)."""
        part = Random(f"{job.seed}/{session_id}").random() < 0.3 and job.file.size > 1
        first, end = (job.file.size // 3, job.file.size) if part else (0, job.file.size)
        headers = {"Range": f"bytes={first}-{end - 1}"} if part else {}
        download = None
        while download is None:
            try:
                found = self._link(job).content(session_id, headers)
                download = found if found.status not in {429, 503, 507} else None
            except Interrupted:
                pass
            if download is None:
                self._world.rest(0.2)
        if download.status == 200:
            first, end = 0, job.file.size
        expected = (end - first, _sha256(job, first, end))
        if download.status not in {200, 206} or (download.length, download.sha256) != expected:
            if self._is_deleted(session_id):
                return False
            self._world.ledger.fail("P1 wrong content", f"{job.label} ({session_id}): {download}")
            return False
        self._world.ledger.count("downloads compared")
        return True

    def _is_deleted(self, session_id: str) -> bool:
        """Whether another client has deleted it at this moment."""
        return self._world.ledger.has_ended(session_id)


class _Beside:
    """A second client that sends the same session at the same time."""

    def __init__(self, world: World, job: Job, sender: Sender) -> None:
        self._world, self._job, self._sender = world, job, sender
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._thread.join()

    def _run(self) -> None:
        ledger = self._world.ledger
        try:
            self._sender.send()
        except NeverCompleted:
            ledger.fail("upload never completed", f"{self._job.label}, sent by a second client")
        except Exception as error:  # a thread's end must not go unnoticed
            ledger.fail("error in the benchmark", f"{self._job.label}: {error!r}")


def _part(job: Job) -> int:
    """Some of its chunks, never all."""
    total = job.file.plan.total
    return min(total - 1, max(1, int(total * Random(f"{job.seed}/part").uniform(0.2, 0.8))))


def _sha256(job: Job, first: int, end: int) -> str:
    if (first, end) == (0, job.file.size):
        return job.file.sha256
    return hashlib.sha256(job.file.slice(first, end)).hexdigest()
