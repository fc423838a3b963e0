"""Clients that send streams: they ask how far the upload is, and send what follows.

What goes wrong with them is what goes wrong with streams: they are cut, stand still while another
one goes on, take longer than a server lives, or begin at a wrong place (see `plan.Stream`). All
that the server tells of the offset goes to the ledger.
"""

from collections.abc import Iterator
from itertools import chain, count, repeat
from typing import Any
from uuid import UUID

from uploads.core.plan import KIB

from .mischief import ENDED
from .plan import Stream, Way
from .sender import GONE, Sender
from .traffic import Answer, Body, HalfStream, Interrupted

#: Bytes of a piece, as powers of two: from a few to some chunks of most files.
_PIECE_POWERS = (3, 21)
#: A slow stream has so many pieces with a pause before each, and is asked about after some of them.
#: It takes longer than the server keeps what has come of a chunk to itself.
_SLOW_PIECES, _SLOW_PIECE, _SLOW_PAUSE, _ASK_AFTER = 14, 16 * KIB, 0.25, 5
#: A wrong offset is off by up to so many bytes.
_ASTRAY = 1000


class StreamSender(Sender):
    """Sends streams; and chunks before each of them, where the plan says so."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._kinds = chain(self._job.streams, repeat(Stream.WHOLE))
        self._turns = count()

    def _send_missing(self, session: dict[str, Any], missing: list[int]) -> None:
        if self._job.way is Way.BOTH and next(self._turns) % 2 == 0:
            self._send_chunks(self._chosen(missing))
            return
        start = self._ask_offset()
        if start is None:
            self._rest()
            return
        plan = self._plan(session)
        if start == plan.size:
            # Its last bytes are in, though not as a chunk yet.
            self._complete()
            return
        # As many chunks as are wanted at most, since some of them may be in.
        end = min(plan.size, plan.offset(start // plan.chunk_size + len(missing)))
        if start < end and not self._stream(next(self._kinds), start, end):
            self._rest()

    def _chosen(self, missing: list[int]) -> list[int]:
        """Those that trouble is planned for, or any one."""
        troubled = [index for index in missing if index in self._job.mischief]
        return troubled or [self._rng.choice(missing)]

    def _ask_offset(self) -> int | None:
        """Where the session goes on; None when it doesn't at this moment, or nobody says so."""
        assert self.session_id
        try:
            answer = self._asked(self._link.offset(self.session_id))
        except Interrupted:
            return None
        if answer is None or answer.status in GONE:
            return None
        if answer.status != 200:
            self._ledger.fail("question refused", f"{self._job.label}: {answer}")
            return None
        self._told_offset(answer)
        offset: int = answer.body["offset"]
        return offset if answer.body["state"] == "active" else None

    # The streams.

    def _stream(self, kind: Stream, start: int, end: int) -> bool:
        """Send bytes from `start` on, up to `end` at most; whether all that was sent is in."""
        self._ledger.count(kind)
        try:
            return self._send_stream(kind, start, end)
        except Interrupted:
            self._ledger.count("requests without an answer")
            return False

    def _send_stream(self, kind: Stream, start: int, end: int) -> bool:
        match kind:
            case Stream.WHOLE:
                return self._put(start, end)
            case Stream.PIECE:
                return self._put(start, self._piece_end(start, end))
            case Stream.FORM:
                return self._post_form(start, self._piece_end(start, end))
            case Stream.SLOW:
                return self._put_slowly(start, end)
            case Stream.CUT:
                return self._put_and_cut(start, end)
            case Stream.TWO:
                return self._put_beside_another(start, end)
            case Stream.ASTRAY:
                astray = self._rng.randint(max(0, start - _ASTRAY), min(start + _ASTRAY, end - 1))
                return self._put(astray, min(end, astray + _ASTRAY))

    def _put(self, start: int, end: int) -> bool:
        assert self.session_id
        body = Body(end - start, self._paced(start, end))
        return self._took(self._link.stream(self.session_id, start, body), end)

    def _post_form(self, start: int, end: int) -> bool:
        assert self.session_id
        fields, headers = {"upload_id": UUID(self.session_id).hex}, {}
        if self._rng.random() < 0.5:
            # Which declares the size, where there is none.
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{self._job.file.size}"
        else:
            fields["offset"] = str(start)
        return self._took(self._link.form(self._form_piece(start, end), fields, headers), end)

    def _put_slowly(self, start: int, end: int) -> bool:
        assert self.session_id
        end = min(end, start + _SLOW_PIECES * _SLOW_PIECE)
        with self._link.half_stream(self.session_id, start, end - start) as stream:
            for number, first in enumerate(range(start, end, _SLOW_PIECE), 1):
                self._world.rest(_SLOW_PAUSE)
                stream.send(self._paced(first, min(end, first + _SLOW_PIECE)))
                if number % _ASK_AFTER == 0:
                    self._ask_offset()
            return self._took(stream.end(), end)

    def _put_and_cut(self, start: int, end: int) -> bool:
        assert self.session_id
        with self._link.half_stream(self.session_id, start, end - start) as stream:
            stream.send(self._paced(start, self._rng.randint(start, end)))
            if self._rng.random() < 0.5:
                stream.will_reset()
        return False

    def _put_beside_another(self, start: int, end: int) -> bool:
        """One that has stopped in its middle, and a live one, which goes on at once."""
        assert self.session_id
        middle = self._piece_end(start, end)
        late_end = min(end, 2 * middle - start)
        with self._link.half_stream(self.session_id, start, late_end - start) as late:
            late.send(self._paced(start, middle))
            # Where the server is by now with the late one.
            live_start = self._ask_offset()
            if live_start is not None and live_start < end:
                self._put(live_start, end)
            return self._end_late(late, middle, late_end)

    def _end_late(self, late: HalfStream, middle: int, end: int) -> bool:
        if self._rng.random() < 0.5:
            return False
        late.send(self._paced(middle, end))
        return self._took(late.end(), end)

    def _took(self, answer: Answer, end: int) -> bool:
        """Whether the server has taken a stream that was sent whole, up to `end`."""
        if answer.status == 200:
            self._told_offset(answer)
            if answer.body["offset"] < end:
                detail = f"up to {end}, {self._job.label}: {answer.body}"
                self._ledger.fail("stream taken in part", detail)
            return True
        if answer.code == "offset_mismatch" or self._was_reopened(answer):
            self._told_offset(answer)
        elif not (answer.is_transient or answer.code in ENDED):
            self._ledger.fail("good stream refused", f"up to {end}, {self._job.label}: {answer}")
        return False

    def _was_reopened(self, answer: Answer) -> bool:
        """All came, and before that was told, damage was found in what was in before."""
        assert self.session_id
        ended_early = answer.code == "length_mismatch" and "offset" in answer.body
        return ended_early and self._ledger.was_damaged(self.session_id)

    def _paced(self, start: int, end: int) -> Iterator[bytes]:
        """These bytes, as fast as all clients together may send. Raises NeverCompleted."""
        for piece in self._job.file.pieces(start, end):
            self._world.check_time()
            self._world.pace.take(len(piece))
            self._ledger.count("bytes of bodies", len(piece))
            self._ledger.count("bytes of streams", len(piece))
            yield piece

    def _form_piece(self, start: int, end: int) -> bytes:
        return b"".join(self._paced(start, end))

    def _piece_end(self, start: int, end: int) -> int:
        return min(end, start + int(2 ** self._rng.uniform(*_PIECE_POWERS)))


class SizelessSender(StreamSender):
    """Begins by chunked-upload, without a size, and knows its session by its id alone."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        #: A session that was begun, and of which its chunk size is not known yet.
        self._begun: Answer | None = None

    def _hash_is_told(self) -> bool:
        # Told or not, no handshake is sent.
        return False

    def _missing(self, session: dict[str, Any]) -> list[int]:
        if session["missing"] is not None:
            return super()._missing(session)
        plan, offset = self._plan(session), session["offset"]
        return list(range(offset // plan.chunk_size, plan.total)) if offset < plan.size else []

    def _ask_to_complete(self, session_id: str) -> Answer:
        """By chunked-upload too, which goes by the MD5. Raises Interrupted."""
        if self._rng.random() < 0.5:
            return super()._ask_to_complete(session_id)
        return self._link.complete_by_md5(UUID(session_id).hex, self._job.file.md5)

    def _offer(self) -> Answer | None:
        """The first piece; then what it was stored as, which only a look tells."""
        try:
            self._begun = self._begun or self._begin()
            return self._begun and self._looked_at(self._begun)
        except Interrupted:
            return None

    def _begin(self) -> Answer | None:
        """Raises Interrupted."""
        size = self._job.file.size
        first = self._form_piece(0, self._piece_end(0, size))
        answer = self._asked(self._link.form(first, {"offset": "0"}, {}))
        if answer and answer.status == 200:
            return answer
        if answer:
            self._ledger.fail("first piece refused", f"{self._job.label}: {answer}")
        return None

    def _looked_at(self, begun: Answer) -> Answer | None:
        """Raises Interrupted."""
        session_id = str(UUID(begun.body["upload_id"]))
        answer = self._asked(self._link.look(session_id))
        if answer is None:
            return None
        self._begun = None
        if answer.status in GONE:
            # A cleanup has come in between, and nobody had heard of the session yet.
            return None
        self._opened(answer.body, begun.asked)
        self.session_id = session_id
        self._told_offset(begun)
        self._ledger.count("uploads without a size")
        return answer
