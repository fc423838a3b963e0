"""What clients do besides sending chunks as they should, and what must come of it."""

import time
from concurrent.futures import ThreadPoolExecutor
from random import Random

from tests.support.bodies import flipped

from .plan import Job, Mischief
from .traffic import Answer, Interrupted, Link, digest_header
from .world import World

#: How many send the same chunk at once.
_CROWD = 3
#: While one body stands still others go on, and a cleanup may come by.
_LONGEST_STALL = 3.0
#: The session has ended, or is being verified: then that is the answer to anything.
ENDED = {"session_not_found", "session_cancelled", "session_expired", "wrong_state"}


class Troublemaker:
    """Makes trouble for one file. Each kind once for each chunk that it is planned for."""

    def __init__(self, world: World, job: Job, link: Link) -> None:
        self._world, self._job, self._link = world, job, link
        self._ledger = world.ledger
        self._done: set[int] = set()

    def makes(self, kind: Mischief, session_id: str, index: int, chunk: bytes) -> bool:
        """Do it, if it was not done; True when the connection was lost over it."""
        if index in self._done:
            return False
        self._done.add(index)
        self._world.pace.take(len(chunk))
        try:
            self._make(kind, session_id, index, chunk)
        except Interrupted:
            self._ledger.count(kind)
            return True
        return False

    def _make(self, kind: Mischief, session_id: str, index: int, chunk: bytes) -> None:
        copies = _CROWD if kind is Mischief.AT_ONCE else 1
        self._ledger.count("bytes of bodies", copies * len(chunk))
        match kind:
            case Mischief.AT_ONCE:
                self._at_once(session_id, index, chunk)
            case Mischief.CUT:
                self._link.put_half(session_id, index, chunk, None)
            case Mischief.STALLED:
                pause = self._rng(index).uniform(0.2, _LONGEST_STALL)
                answer = self._link.put_half(session_id, index, chunk, pause)
                self.took(answer, session_id, index, chunk)
            case _:
                self._send_bad(kind, session_id, index, chunk)
        self._ledger.count(kind)

    def _send_bad(self, kind: Mischief, session_id: str, index: int, chunk: bytes) -> None:
        """What must be refused, and change nothing."""
        put, rng = self._link.put, self._rng(index)
        wrong = flipped(chunk, rng.randrange(len(chunk)))
        match kind:
            case Mischief.CORRUPTED:
                answer = put(session_id, index, wrong, digest_header(chunk, "sha-256"))
                self._must_be(answer, 422, "digest_mismatch", kind)
            case Mischief.WRONG_LENGTH:
                longer = rng.random() < 0.5
                answer = put(session_id, index, chunk + b"x" if longer else chunk[:-1])
                self._must_be(answer, 400, "length_mismatch", kind)
            case Mischief.WRONG_RANGE:
                header = {"Content-Range": f"bytes 1-{len(chunk)}/{self._job.file.size + 1}"}
                self._must_be(put(session_id, index, chunk, header), 400, "range_mismatch", kind)
            case Mischief.STRANGER:
                stranger = next(link for link in self._world.links if link is not self._link)
                try:
                    answer = stranger.put(session_id, index, chunk)
                finally:
                    stranger.close_own()
                self._must_be(answer, 404, "session_not_found", kind)
            case Mischief.CONFLICTING:
                # Only once it is in: a chunk that is missing may be anything.
                if self.took(put(session_id, index, chunk), session_id, index, chunk):
                    self._must_be(put(session_id, index, wrong), 409, "chunk_conflict", kind)

    def _rng(self, index: int) -> Random:
        return Random(f"{self._job.seed}/{index}")

    def _at_once(self, session_id: str, index: int, chunk: bytes) -> None:
        def put(_: int) -> Answer | None:
            try:
                return self._link.put(session_id, index, chunk)
            except Interrupted:
                return None
            finally:
                self._link.close_own()

        with ThreadPoolExecutor(_CROWD) as crowd:
            for answer in crowd.map(put, range(_CROWD)):
                if answer:
                    self.took(answer, session_id, index, chunk)

    def took(self, answer: Answer, session_id: str, index: int, chunk: bytes) -> bool:
        """Whether the server has taken a chunk that was sent as it should be."""
        if answer.status == 200:
            was_in = answer.body["duplicate"]
            if self._ledger.acknowledged(
                session_id, index, answer.asked, time.time(), duplicate=was_in
            ):
                self._ledger.count("bytes acknowledged", len(chunk))
            return True
        if not (answer.is_transient or answer.code in ENDED):
            self._ledger.fail("good chunk refused", f"chunk {index}, {self._job.label}: {answer}")
        return False

    def _must_be(self, answer: Answer, status: int, code: str, kind: Mischief) -> None:
        right = (answer.status, answer.code) == (status, code)
        if not (right or answer.is_transient or answer.code in ENDED):
            self._ledger.fail("P2 bad chunk not refused", f"{kind}, {self._job.label}: {answer}")
