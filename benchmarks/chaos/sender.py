"""A faithful resumable client: one file, one session, until the file is complete.

It does what a well-made client does (a handshake after every interruption, then only what is
missing) and some of what others do (see `plan.Mischief`), and tells the ledger all it hears.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from random import Random
from threading import Event
from typing import Any

from uploads.core.plan import ChunkPlan

from .mischief import Troublemaker
from .plan import Declared, Job
from .traffic import Answer, Interrupted, Link, digest_header
from .world import World

#: Less than the server asks for, so that a run has more to tell.
_LONGEST_REST = 0.5
#: A verification that takes longer than this has been cut off, and another upload may go on.
_PATIENCE = 2.0
GONE = {404, 410}
#: What completing says where a disk has damaged what was in.
_LESS_IS_HERE = {"chunks_missing", "offset_mismatch", "length_mismatch"}


class Sender:
    """Sends `job.file` under `key`; several may send the same session."""

    def __init__(
        self, world: World, job: Job, link: Link, key: str, declared: Declared, *, in_slot: bool
    ) -> None:
        self._world, self._job, self._link = world, job, link
        self._ledger = world.ledger
        self._key, self._declared = key, declared
        #: Whether this sender holds one of the slots, and may let others have it.
        self._in_slot = in_slot
        self._rng = Random(f"{job.seed}/{key}")
        self._trouble = Troublemaker(world, job, link)
        self._asked_to_complete = False
        self.session_id: str | None = None

    def send(self) -> bool:
        """Return once the file is complete; False if the server says that it never will be.

        Raises NeverCompleted.
        """
        while True:
            session = self._look()
            state = session["state"] if session else ""
            if session is None:
                self._rest()
            elif state == "completed":
                self._completed(session)
                return True
            elif state == "assembling":
                self._await_verification()
            elif state != "active":
                self._ledger.fail("upload failed", f"{self._job.label}: {session}")
                return False
            elif missing := self._missing(session):
                self._send_missing(session, missing)
            else:
                self._complete()

    def send_some(self, count: int) -> None:
        """Return once `count` chunks are in, or more by the doing of others. Raises NeverCompleted.

        Only for a session that this does not complete.
        """
        while True:
            session = self._look()
            if session is None:
                self._rest()
            elif session["state"] != "active" or session["received_chunks"] >= count:
                return
            else:
                wanted = count - session["received_chunks"]
                self._send_missing(session, self._missing(session)[:wanted])

    # The handshake.

    def _look(self) -> dict[str, Any] | None:
        """The session as the server sees it now; None when it has to be asked again."""
        known = self.session_id
        # A completed session is found by its id, or by a hash that the server has been told.
        by_id = not self._hash_is_told() or self._rng.random() < 0.5
        answer = self._asked(self._look_at(known) if known and by_id else self._offer())
        if answer is None:
            return None
        if answer.status in GONE and known and by_id:
            self._ledger.told_gone(known, time.time(), str(answer))
            self.session_id = None
            return None
        if answer.status not in {200, 201}:
            self._ledger.fail("handshake refused", f"{self._job.label}: {answer}")
            return None
        return self._understood(answer)

    def _understood(self, answer: Answer) -> dict[str, Any]:
        session = answer.body
        if self.session_id not in {None, session["id"]}:
            # Another than before: then the one before must have had its reason to go.
            instead = f"{session['status']} {session['id']}, {session['state']}"
            self._ledger.told_gone(str(self.session_id), time.time(), f"answered was {instead}")
        self.session_id = session["id"]
        if "status" in session:
            # Answered to an offer; a mere look is no news of the session.
            self._opened(session, answer.asked)
        # Without a size nobody says what is missing: the offset tells.
        self._ledger.told_missing(session["id"], session["missing"] or [], answer.asked)
        self._told_offset(answer)
        return session

    def _opened(self, session: dict[str, Any], asked: float) -> None:
        self._ledger.opened(
            session["id"],
            self._job.label,
            self._plan(session),
            asked,
            flippable=self._job.flippable and session["state"] != "completed",
        )

    def _plan(self, session: dict[str, Any]) -> ChunkPlan:
        return ChunkPlan(self._job.file.size, session["chunk_size"])

    def _missing(self, session: dict[str, Any]) -> list[int]:
        missing: list[int] = session["missing"]
        return missing

    def _told_offset(self, answer: Answer) -> None:
        """`answer` says how far the session is."""
        assert self.session_id
        offset = answer.body["offset"]
        self._ledger.told_offset(self.session_id, offset, answer.asked, time.time())

    def _look_at(self, session_id: str) -> Answer | None:
        try:
            return self._link.look(session_id)
        except Interrupted:
            return None

    def _offer(self) -> Answer | None:
        file = self._job.file
        fields: dict[str, Any] = {
            "filename": f"{self._job.number}.bin",
            "size": file.size,
            "chunk_size": file.chunk_size,
            "resume_key": self._key,
        }
        if self._hash_is_told():
            fields["sha256"] = file.sha256
        try:
            return self._link.handshake(**fields)
        except Interrupted:
            return None

    def _hash_is_told(self) -> bool:
        late = self._declared is Declared.LAST and self._asked_to_complete
        return late or self._declared is Declared.FIRST

    def _asked(self, answer: Answer | None) -> Answer | None:
        """`answer`, unless it only asks for patience. A 500 is never right (P10)."""
        if answer is None or answer.is_transient:
            return None
        if answer.status >= 500:
            self._ledger.fail("P10 error of the server", f"{self._job.label}: {answer}")
            return None
        return answer

    # The chunks.

    def _send_missing(self, session: dict[str, Any], missing: list[int]) -> None:
        """Send these chunks of `session`, or some of them."""
        self._send_chunks(missing)

    def _send_chunks(self, missing: list[int]) -> None:
        """Send these in an order of our own, until something goes wrong with one of them."""
        order = list(missing)
        self._rng.shuffle(order)
        stop = Event()
        with ThreadPoolExecutor(self._job.in_flight) as lanes:
            for lane in [
                lanes.submit(self._send_in_turn, order, stop) for _ in range(self._job.in_flight)
            ]:
                lane.result()
        if stop.is_set():
            self._rest()

    def _send_in_turn(self, waiting: list[int], stop: Event) -> None:
        try:
            while not stop.is_set():
                self._world.check_time()
                index = _next(waiting)
                if index is None:
                    return
                if not self._send_chunk(index):
                    stop.set()
        except BaseException:
            stop.set()
            raise
        finally:
            self._link.close_own()

    def _send_chunk(self, index: int) -> bool:
        """Whether it is in."""
        session_id = self.session_id
        assert session_id
        chunk = self._job.file.chunk(index)
        kind = self._job.mischief.get(index)
        if kind and self._trouble.makes(kind, session_id, index, chunk):
            return False
        self._world.pace.take(len(chunk))
        self._ledger.count("bytes of bodies", len(chunk))
        algorithm = ("", "sha-256", "blake3")[index % 3]
        try:
            answer = self._link.put(session_id, index, chunk, digest_header(chunk, algorithm))
        except Interrupted:
            self._ledger.count("requests without an answer")
            return False
        return self._trouble.took(answer, session_id, index, chunk)

    # The end.

    def _complete(self) -> None:
        assert self.session_id
        self._asked_to_complete = True
        try:
            answer = self._asked(self._ask_to_complete(self.session_id))
        except Interrupted:
            answer = None
        if answer is None:
            self._rest()
        elif "missing" in answer.body and answer.code == "chunks_missing":
            self._ledger.told_missing(self.session_id, answer.body["missing"], answer.asked)
        elif answer.code in _LESS_IS_HERE and "offset" in answer.body:
            # What excuses that is for the ledger to know.
            self._told_offset(answer)
        elif answer.status not in {200, 202, *GONE} and answer.code != "wrong_state":
            self._ledger.fail("completion refused", f"{self._job.label}: {answer}")

    def _ask_to_complete(self, session_id: str) -> Answer:
        """Raises Interrupted."""
        sha256 = self._job.file.sha256 if self._declared is Declared.LAST else ""
        return self._link.complete(session_id, sha256)

    def _await_verification(self) -> None:
        """Wait while the session is assembling; aside, when that takes long."""
        begun = time.time()
        while time.time() < begun + _PATIENCE:
            self._world.rest(0.05)
            if not self._is_assembling():
                return
        self._ledger.count("verifications waited for")
        if not self._in_slot:
            self._wait_on()
            return
        with self._world.aside():
            self._wait_on()

    def _wait_on(self) -> None:
        while self._is_assembling():
            self._world.rest(0.5)

    def _is_assembling(self) -> bool:
        """What we don't hear of is taken for unchanged."""
        assert self.session_id
        answer = self._asked(self._look_at(self.session_id))
        return answer is None or answer.body.get("state") == "assembling"

    def _completed(self, session: dict[str, Any]) -> None:
        self._ledger.finished(session["id"])
        if session["sha256"] != self._job.file.sha256 or session["missing"]:
            self._ledger.fail("P1 wrong file complete", f"{self._job.label}: {session}")

    def _rest(self) -> None:
        self._world.rest(self._rng.uniform(0.05, _LONGEST_REST))


def _next(waiting: list[int]) -> int | None:
    """The next chunk for one of several lanes."""
    try:
        return waiting.pop()
    except IndexError:
        return None
