"""The engine against a small model, by hypothesis: any order of operations, crashes and damage.

The model knows only what clients know: which chunks they have sent, and which of them were
acknowledged. Every promise is an invariant over that and what is stored. In the end a server
starts, clients send what is missing, and all must be complete and whole, with nothing left over.
"""

import contextlib
import io
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from unittest import mock
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.support.bodies import cut, flipped, payload, sha256
from tests.support.crashes import hooked
from tests.support.following import follow, forget_followed
from tests.support.scenarios import assert_sound, assert_sums
from tests.support.sessions import TINY_CHUNK, content_of, damage, staging_of
from tests.support.tasks import drop_tasks, run_tasks
from uploads import conf
from uploads.core.digests import Digest, fingerprint
from uploads.engine import leftovers
from uploads.engine.access import get_session
from uploads.engine.admitting import Admission
from uploads.engine.appending import append
from uploads.engine.claiming import UploadClaimed, claim
from uploads.engine.completing import complete
from uploads.engine.opening import Offer, Outcome, open_session
from uploads.engine.receiving import receive_chunk
from uploads.engine.recovery import recover_all
from uploads.engine.removing import remove
from uploads.engine.renaming import rename
from uploads.engine.rereading import reread_content
from uploads.engine.sweeping import sweep
from uploads.engine.trash import purge_trash, restore, trash
from uploads.errors import ChunkConflict, SessionNotFound, UploadError
from uploads.failpoints import Failpoint
from uploads.models import (
    EventKind,
    FileChunk,
    FileSession,
    SessionEvent,
    SessionStatus,
    StoredFile,
)

#: Two of them share their first chunk; one is empty; one ends with a whole chunk.
FILES = [payload(350), payload(100) + payload(130, seed=2), b"", payload(200, seed=3)]
FINAL = {SessionStatus.COMPLETED, SessionStatus.FAILED, SessionStatus.CANCELLED}

#: In what state a session is after each of these; the others change none.
STATES = {
    EventKind.OPENED: SessionStatus.ACTIVE,
    EventKind.RECEIVED: SessionStatus.ASSEMBLING,
    EventKind.REOPENED: SessionStatus.ACTIVE,
    EventKind.COMPLETED: SessionStatus.COMPLETED,
    EventKind.FAILED: SessionStatus.FAILED,
    EventKind.CANCELLED: SessionStatus.CANCELLED,
    EventKind.EXPIRED: SessionStatus.EXPIRED,
}

#: Where the disk may refuse: what writes, syncs, makes or renames.
ON_THE_DISK = [
    Failpoint.STAGING_FOLDER,
    Failpoint.STAGING_DATA,
    Failpoint.STAGING_SIZE,
    Failpoint.INCOMING_CREATE,
    Failpoint.CHUNK_WRITE,
    Failpoint.TAIL_CREATE,
    Failpoint.TAIL_WRITE,
    Failpoint.TAIL_REMOVE,
    Failpoint.DATA_RESIZE,
    Failpoint.DATA_SYNC,
    Failpoint.FOLDER_SYNC,
    Failpoint.CONTENT_FOLDER,
    Failpoint.CONTENT_RENAME,
    Failpoint.CONTENT_REMOVE_FILE,
    Failpoint.STAGING_REMOVE_FILE,
]

some_file = st.integers(0, len(FILES) - 1)
#: Of the latest sessions: things have to meet.
some_one = st.integers(0, 2)
some_chunk = st.integers(0, 3)


class Crash(BaseException):
    """The process ends here."""


@dataclass
class Sent:
    """What the client of one session knows."""

    owner: User
    data: bytes
    declared: str
    #: Whether it was made of content that its owner had already: nothing is sent for it.
    copied: bool
    #: Bytes that may have been taken as a chunk, acknowledged or not.
    offered: dict[int, set[bytes]] = field(default_factory=dict)
    #: Bytes that the engine said it has.
    acknowledged: dict[int, bytes] = field(default_factory=dict)
    #: Bytes from the beginning that a stream was told are in.
    offset: int = 0
    #: Whether a disk has damaged the tail.
    tail_damaged: bool = False
    #: Chunks whose bytes a disk has damaged since.
    damaged: set[int] = field(default_factory=set)
    #: The last final state that was seen: it never changes again.
    final: str = ""
    #: Whether the client has been told that the session is gone.
    removed: bool = False


class EngineMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        _empty_everything()
        self.owners = [User.objects.create_user(name) for name in ("alice", "bob")]
        self.sent: dict[UUID, Sent] = {}
        #: Where the process ends when it comes there, and what the disk refuses; once each.
        self.crash_at: Failpoint | None = None
        self.refused: Failpoint | None = None
        self.dead = False

    # ------------------------------------------------------------ what clients do

    @initialize(file=some_file, declare=st.booleans())
    def begin(self, file: int, declare: bool) -> None:
        self.open(0, file, declare, wrong=False)

    @rule(
        owner=st.integers(0, 1),
        file=some_file,
        declare=st.booleans(),
        wrong=st.booleans(),
        folder=st.sampled_from(["", "folder"]),
        scope=st.sampled_from(["", "", "a form"]),
    )
    def open(
        self,
        owner: int,
        file: int,
        declare: bool,
        wrong: bool,
        folder: str = "",
        scope: str = "",
    ) -> None:
        data, person = FILES[file], self.owners[owner]
        declared = "" if not declare else "e" * 64 if wrong and data else sha256(data)
        offer = Offer(
            "file",
            len(data),
            declared,
            f"key {file} {declared}",
            chunk_size=TINY_CHUNK,
            folder=folder,
            admission=Admission(scope),
        )
        with self.attempt() as done:
            outcome, session = open_session(person, offer)
            done()
            assert (session.owner, session.scope) == (person, scope), "P9"
            if outcome == Outcome.FILE_EXISTS:
                assert content_of(session) == data
                assert (session.folder, session.trashed_at) == (folder, None)
        for found in FileSession.objects.exclude(pk__in=self.sent):
            copied = bool(found.received_count) and not found.chunks.exists()
            self.sent[found.pk] = Sent(person, data, declared, copied)

    @precondition(lambda self: self.sent)
    @rule(one=some_one, indices=st.lists(some_chunk, min_size=1, max_size=6))
    def send(self, one: int, indices: list[int]) -> None:
        session_id, sent = self.pick(one)
        chunks = cut(sent.data, TINY_CHUNK)
        for index in indices:
            if index < len(chunks):
                self.offer(session_id, sent, index, chunks[index])

    @precondition(lambda self: self.sent)
    @rule(one=some_one, length=st.integers(1, 250), cut_after=st.none() | st.integers(0, 250))
    def stream(self, one: int, length: int, cut_after: int | None) -> None:
        """Bytes from where the upload is; the connection may be cut."""
        session_id, sent = self.pick(one)
        with self.attempt() as done:
            session = self.found(session_id, sent)
            offset = session.offset
            piece = sent.data[offset : offset + length]
            for index, chunk in enumerate(cut(sent.data, TINY_CHUNK)):
                if offset < (index + 1) * TINY_CHUNK and index * TINY_CHUNK < offset + length:
                    sent.offered.setdefault(index, set()).add(chunk)
            came = piece if cut_after is None else piece[:cut_after]
            after = append(session, offset, io.BytesIO(came), len(piece))
            done()
            assert after.offset >= offset + len(came)
            sent.offset = max(sent.offset, offset + len(came))

    @precondition(lambda self: self.sent)
    @rule(one=some_one, damaged=st.booleans(), index=some_chunk)
    def send_all_and_complete(self, one: int, damaged: bool, index: int) -> None:
        self.send(one, [2, 0, 3, 1])
        if damaged:
            self.a_staged_chunk_is_damaged(one, index)
        self.complete(one, declare=False)

    @precondition(lambda self: self.sent)
    @rule(one=some_one, index=some_chunk)
    def send_other_bytes(self, one: int, index: int) -> None:
        """A client whose file has changed."""
        session_id, sent = self.pick(one)
        chunks = cut(sent.data, TINY_CHUNK)
        if index < len(chunks):
            self.offer(session_id, sent, index, flipped(chunks[index]))

    @precondition(lambda self: self.sent)
    @rule(one=some_one, index=some_chunk, short=st.booleans())
    def send_what_is_damaged_on_its_way(self, one: int, index: int, short: bool) -> None:
        session_id, sent = self.pick(one)
        chunks = cut(sent.data, TINY_CHUNK)
        if index >= len(chunks):
            return
        before, taken = self.received(session_id), []
        body = chunks[index][:-1] if short else flipped(chunks[index])
        digest = Digest("sha-256", bytes.fromhex(sha256(chunks[index])))
        declared = [] if short else [digest]
        with self.attempt() as done:
            session = self.found(session_id, sent)
            taken.append(receive_chunk(session, index, io.BytesIO(body), declared))
            done()
        assert taken == []
        assert self.received(session_id) == before

    @precondition(lambda self: self.sent)
    @rule(one=some_one, declare=st.booleans())
    def complete(self, one: int, declare: bool) -> None:
        session_id, sent = self.pick(one)
        with self.attempt() as done:
            complete(self.found(session_id, sent), sha256(sent.data) if declare else "")
            done()

    @precondition(lambda self: self.sent)
    @rule(one=some_one)
    def remove(self, one: int) -> None:
        session_id, sent = self.pick(one)
        with self.attempt() as done:
            remove(self.found(session_id, sent))
            done()
            sent.removed = True

    @precondition(lambda self: self.sent)
    @rule(one=some_one, then=st.lists(st.sampled_from(["trash", "restore", "empty"]), max_size=4))
    def finish_and_think_again(self, one: int, then: list[str]) -> None:
        session_id, sent = self.pick(one)
        self.send_all_and_complete(one, damaged=False, index=0)
        self.work_in_the_background("verify")
        for doing in then:
            if doing == "empty":
                self.work_in_the_background("empty")
                continue
            with self.attempt() as done:
                (trash if doing == "trash" else restore)(sent.owner, [session_id])
                done()
                with contextlib.suppress(SessionNotFound):
                    assert self.found(session_id, sent).trashed_at is None

    @precondition(lambda self: self.sent)
    @rule(one=some_one, rolled_back=st.booleans())
    def finish_and_claim(self, one: int, rolled_back: bool) -> None:
        """A form takes it, once and for good, or thinks better of it."""
        session_id, sent = self.pick(one)
        self.send_all_and_complete(one, damaged=False, index=0)
        self.work_in_the_background("verify")
        with self.attempt() as done:
            session = self.found(session_id, sent)
            with transaction.atomic():
                claim([session])
                transaction.set_rollback(rolled_back)
            done()
            sent.removed = not rolled_back

    @precondition(lambda self: self.sent)
    @rule(one=some_one, folder=st.sampled_from(["", "folder"]))
    def finish_and_send_it_again(self, one: int, folder: str) -> None:
        _, sent = self.pick(one)
        self.send_all_and_complete(one, damaged=False, index=0)
        self.work_in_the_background("verify")
        owner, file = self.owners.index(sent.owner), FILES.index(sent.data)
        self.open(owner, file, declare=True, wrong=False, folder=folder)

    @precondition(lambda self: self.sent)
    @rule(one=some_one, name=st.sampled_from(["file", "other"]))
    def rename(self, one: int, name: str) -> None:
        session_id, sent = self.pick(one)
        with self.attempt() as done:
            assert rename(self.found(session_id, sent), name).filename == name
            done()

    # ------------------------------------------------------------ what the server does

    @rule(
        doing=st.sampled_from(
            ["verify", "verify", "restart", "clean up", "purge", "empty", "reread"]
        )
    )
    def work_in_the_background(self, doing: str) -> None:
        work: dict[str, Callable[[], object]] = {
            "verify": run_tasks,
            "restart": self.restart,
            "clean up": self.clean_up,
            "purge": lambda: self.clean_up(completed_hours=48),
            "empty": lambda: purge_trash(timezone.now() + timedelta(hours=1)),
            "reread": lambda: list(reread_content(timezone.now())),
        }
        with self.attempt():
            work[doing]()

    def restart(self) -> None:
        drop_tasks()
        recover_all()
        run_tasks()

    def clean_up(self, completed_hours: float | None = None) -> None:
        with mock.patch.object(leftovers, "ORPHAN_AGE", -timedelta(hours=1)):
            assert sweep(48, completed_hours=completed_hours).recounted == 0

    # ------------------------------------------------------------ what happens to it

    @precondition(lambda self: self.sent)
    @rule(one=some_one)
    def a_follower_reads_on(self, one: int) -> None:
        session_id, _ = self.pick(one)
        session = FileSession.objects.filter(pk=session_id).first()
        if session:
            with self.attempt() as done:
                follow(session)
                done()

    @precondition(lambda self: self.sent)
    @rule(one=some_one)
    def time_passes(self, one: int) -> None:
        session_id, _ = self.pick(one)
        long_ago = timezone.now() - timedelta(hours=49)
        FileSession.objects.filter(pk=session_id).update(updated_at=long_ago, expires_at=long_ago)

    @precondition(lambda self: self.sent)
    @rule(one=some_one, index=some_chunk)
    def a_staged_chunk_is_damaged(self, one: int, index: int) -> None:
        session_id, sent = self.pick(one)
        session = FileSession.objects.filter(pk=session_id).first()
        received = sorted(self.received(session_id))
        if session is None or not received or not self.is_staged(session):
            return
        index = received[index % len(received)]
        # By a power cut: what disks damage between two readings of one process, nobody is promised.
        forget_followed()
        # Damaged twice, it would be whole again.
        if index not in sent.damaged:
            damage(session, index * TINY_CHUNK)
        sent.damaged.add(index)

    @precondition(lambda self: self.sent)
    @rule(one=some_one)
    def a_tail_is_damaged(self, one: int) -> None:
        session_id, sent = self.pick(one)
        session = FileSession.objects.filter(pk=session_id).first()
        if session and session.tail_length and self.is_staged(session):
            tail_of(session).write_bytes(b"")
            sent.tail_damaged = True

    @rule(point=st.sampled_from(list(Failpoint)))
    def the_process_will_end(self, point: Failpoint) -> None:
        self.crash_at = point

    @rule(point=st.sampled_from(ON_THE_DISK))
    def the_disk_will_refuse(self, point: Failpoint) -> None:
        self.refused = point

    # ------------------------------------------------------------ the promises

    @invariant()
    def p3_what_was_acknowledged_is_there(self) -> None:
        for session_id, sent in self.sent.items():
            session = FileSession.objects.filter(pk=session_id).first()
            if session is None or session.status != SessionStatus.ACTIVE:
                continue
            received = self.received(session_id)
            staged = (staging_of(session) / "data").read_bytes()
            for index, chunk in sent.acknowledged.items():
                if index not in sent.damaged:
                    assert index in received
                    assert staged[index * TINY_CHUNK :][: len(chunk)] == chunk

    @invariant()
    def p3_the_offset_that_a_stream_was_told_does_not_go_back(self) -> None:
        for session_id, sent in self.sent.items():
            session = FileSession.objects.filter(pk=session_id).first()
            if session is None or session.status != SessionStatus.ACTIVE:
                continue
            if sent.damaged or sent.tail_damaged:
                sent.offset = min(sent.offset, session.offset)
            assert session.offset >= sent.offset
            if not session.tail_length:
                sent.tail_damaged = False
            elif not sent.tail_damaged:
                start = session.offset - session.tail_length
                assert (
                    tail_of(session).read_bytes()[: session.tail_length]
                    == (sent.data[start : session.offset])
                )

    @invariant()
    def p2_what_is_received_was_sent(self) -> None:
        for session_id, sent in self.sent.items():
            session = FileSession.objects.filter(pk=session_id).first()
            if session is None or sent.copied:
                continue
            rows = self.received(session_id)
            assert set(rows) == {i for i in range(session.plan.total) if i in session.bitmap}
            assert session.received_count == len(rows)
            for index, digest in rows.items():
                assert digest in {_fingerprint(chunk) for chunk in sent.offered.get(index, set())}

    @invariant()
    def p1_what_is_complete_is_what_was_sent(self) -> None:
        for session in FileSession.objects.filter(status=SessionStatus.COMPLETED):
            sent = self.sent[session.pk]
            assert session.stored_file is not None
            content = content_of(session)
            assert sha256(content) == session.sha256
            assert len(content) == session.size
            assert sent.declared in {"", session.sha256}
            if sent.copied:
                assert content == sent.data
                continue
            for index, chunk in enumerate(cut(content, TINY_CHUNK)):
                assert chunk in sent.offered[index]

    @invariant()
    def p4_a_session_fails_only_by_what_its_client_sent(self) -> None:
        """Whatever disks and crashes do, it is mended, not failed."""
        for session in FileSession.objects.filter(status=SessionStatus.FAILED):
            sent = self.sent[session.pk]
            chunks = cut(sent.data, TINY_CHUNK)
            others = any(sent.offered[index] - {chunks[index]} for index in sent.offered)
            assert others or sent.declared not in {"", sha256(sent.data)}, session.error

    @invariant()
    def final_states_are_final(self) -> None:
        for session_id, sent in self.sent.items():
            session = FileSession.objects.filter(pk=session_id).first()
            if session is None:
                continue
            assert not (sent.removed and session.status == SessionStatus.COMPLETED)
            assert sent.final in {"", session.status}
            if session.status in FINAL:
                sent.final = session.status

    @invariant()
    def one_live_copy_of_each_content(self) -> None:
        live = StoredFile.objects.filter(state=StoredFile.State.LIVE)
        assert len(set(live.values_list("sha256", flat=True))) == live.count()

    @invariant()
    def what_each_user_stores_adds_up(self) -> None:
        assert_sums()

    @invariant()
    def the_story_of_a_session_ends_where_it_is(self) -> None:
        told = SessionEvent.objects.filter(kind__in=STATES).order_by("pk")
        latest = dict(told.values_list("session", "kind"))
        for session in FileSession.objects.all():
            assert STATES[EventKind(latest[session.pk])] == session.status

    def teardown(self) -> None:
        """Faults end; then everything comes to its end."""
        self.crash_at = self.refused = None
        try:
            for _ in range(2):
                self.restart()
                for session_id, sent in list(self.sent.items()):
                    self.bring_to_its_end(session_id, sent)
            self.restart()
            # Beside a database that knows of no upload, the cleanup removes nothing.
            open_session(self.owners[0], Offer("last", 1))
            self.clean_up()
            assert_sound()
            for session in FileSession.objects.all():
                assert session.status != SessionStatus.ASSEMBLING
            self.p1_what_is_complete_is_what_was_sent()
        finally:
            drop_tasks()

    def bring_to_its_end(self, session_id: UUID, sent: Sent) -> None:
        session = FileSession.objects.filter(pk=session_id).first()
        if session is None or session.status != SessionStatus.ACTIVE:
            return
        if get_session(sent.owner, session_id).status == SessionStatus.EXPIRED:
            return
        chunks = cut(sent.data, TINY_CHUNK)
        for index in session.bitmap.missing():
            self.offer(session_id, sent, index, chunks[index])
        with contextlib.suppress(UploadError):
            complete(get_session(sent.owner, session_id))
        run_tasks()
        after = FileSession.objects.get(pk=session_id).status
        # Active again only if chunks were damaged; the second round sends those.
        assert after in {SessionStatus.COMPLETED, SessionStatus.FAILED} or sent.damaged

    # ------------------------------------------------------------ how it is driven

    def offer(self, session_id: UUID, sent: Sent, index: int, chunk: bytes) -> None:
        offered = sent.offered.setdefault(index, set())
        new = chunk not in offered
        offered.add(chunk)
        with self.attempt() as done:
            try:
                receipt = receive_chunk(self.found(session_id, sent), index, io.BytesIO(chunk))
            except ChunkConflict:
                # P6: other bytes are there, and stay.
                if new:
                    offered.discard(chunk)
                raise
            done()
            assert receipt.duplicate or index not in sent.acknowledged or index in sent.damaged
            sent.acknowledged[index] = chunk
            if not receipt.duplicate:
                sent.damaged.discard(index)

    def found(self, session_id: UUID, sent: Sent) -> FileSession:
        return get_session(sent.owner, session_id)

    def pick(self, one: int) -> tuple[UUID, Sent]:
        items = list(self.sent.items())
        return items[-1 - one % len(items)]

    def received(self, session_id: UUID) -> dict[int, bytes]:
        rows = FileChunk.objects.filter(session=session_id)
        return {row.index: bytes(row.fingerprint) for row in rows}

    def is_staged(self, session: FileSession) -> bool:
        return (staging_of(session) / "data").exists()

    @contextlib.contextmanager
    def attempt(self) -> Iterator[Callable[[], None]]:
        """One operation, which may be refused, or end with its process.

        What is called within it says that it has come to its end.
        """
        self.dead = False

        def done() -> None:
            if self.dead:
                raise Crash

        with hooked(self.reached):
            try:
                yield done
            except Crash:
                drop_tasks()
                forget_followed()
            except (UploadError, UploadClaimed):
                # A refusal is an answer; what it must leave as it was, the invariants say.
                pass

    def reached(self, point: Failpoint) -> None:
        """Nothing reaches the disk once the process is dead."""
        if self.dead or point == self.crash_at:
            self.dead, self.crash_at = True, None
            raise Crash
        if point == self.refused:
            self.refused = None
            raise OSError(28, "No space left on device")


def tail_of(session: FileSession) -> Path:
    return staging_of(session) / f"tail-{session.tail_name}"


def _fingerprint(chunk: bytes) -> bytes:
    digest = fingerprint()
    digest.update(chunk)
    return digest.digest()


def _empty_everything() -> None:
    drop_tasks()
    forget_followed()
    for model in (FileChunk, FileSession, StoredFile):
        model.objects.all().delete()
    User.objects.all().delete()
    shutil.rmtree(conf.current().root, ignore_errors=True)


@pytest.mark.thorough
@pytest.mark.timeout(900)
def test_every_promise_holds_in_any_order_of_operations_crashes_and_damage(
    transactional_db: None,
) -> None:
    run_state_machine_as_test(
        EngineMachine, settings=hypothesis_settings(max_examples=60, stateful_step_count=40)
    )
