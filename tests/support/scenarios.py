"""What the engine does, operation by operation, each with the failpoints that it passes in order.

The lists are literal on purpose: they are the order of the steps, which the promises depend on.
"""

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from unittest import mock
from uuid import UUID

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.test import override_settings
from django.utils import timezone

from uploads import conf
from uploads.core.digests import fingerprint
from uploads.engine import appending, buffers, committing, finishing, leftovers, renaming, trash
from uploads.engine.admitting import Admission
from uploads.engine.appending import append
from uploads.engine.buffers import BufferPool
from uploads.engine.claiming import claim
from uploads.engine.completing import complete
from uploads.engine.opening import Offer, open_session, open_whole
from uploads.engine.rechecking import drop_damaged
from uploads.engine.recovery import recover_all, recover_if_stuck
from uploads.engine.removing import remove
from uploads.engine.rereading import damaged_content, reread_content, reread_damaged
from uploads.engine.sizing import declare_size
from uploads.engine.sweeping import sweep
from uploads.engine.usage import usage_of
from uploads.errors import OffsetMismatch, SessionGone
from uploads.failpoints import Failpoint
from uploads.models import (
    EventKind,
    FileChunk,
    FileSession,
    Role,
    SessionStatus,
    StoredFile,
    Usage,
)
from uploads.storage import filesystem, get_store

from .bodies import InPieces, cut, flipped, payload, sha256
from .following import follow
from .sessions import (
    TINY_CHUNK,
    age,
    begin,
    content_files,
    content_of,
    damage,
    fresh,
    handshake,
    send,
    staging_of,
)
from .tasks import drop_tasks, run_tasks

P = Failpoint
DATA = payload(350)
CHUNKS = cut(DATA, TINY_CHUNK)
KEY = "a key of the client's own"


class World:
    """Two people, and what has been promised to them."""

    def __init__(self) -> None:
        self.alice = User.objects.create_user("alice")
        self.bob = User.objects.create_user("bob")
        #: Chunks of alice's file that the engine has acknowledged.
        self.acknowledged: set[int] = set()
        #: Bytes that a stream of alice's was told are in, from the beginning.
        self.offset = 0
        #: The sessions that there were before the operation.
        self.sessions: list[UUID] = []

    @property
    def session(self) -> FileSession:
        """Alice's only session, as it is now."""
        return FileSession.objects.get(owner=self.alice)

    def begin(self, **given: Any) -> None:
        begin(self.alice, DATA, **given)

    def send(self, *indices: int) -> None:
        for index in indices:
            send(self.session, index, CHUNKS[index])
            self.acknowledged.add(index)

    def append(self, length: int, piece: int = len(DATA)) -> None:
        """So many bytes more of alice's file, as a stream that gives at most `piece` at a time."""
        session = self.session
        source = InPieces(DATA[session.offset :], piece)
        self.offset = append(session, session.offset, source, length).offset

    def upload(self, owner: User) -> None:
        session = begin(owner, DATA)
        for index, chunk in enumerate(CHUNKS):
            send(session, index, chunk)
        run_tasks()
        if owner == self.alice:
            self.acknowledged = set(range(4))

    def restart(self) -> None:
        """A server starts, and cron checks the content and cleans up what is old enough."""
        drop_tasks()
        recover_all()
        run_tasks()
        with mock.patch.object(leftovers, "ORPHAN_AGE", -timedelta(hours=1)):
            sweep(48)
        list(reread_content(timezone.now()))

    def remove_all(self) -> None:
        """What alice does when she wants her uploads to be gone: as often as it takes."""
        for session in FileSession.objects.filter(owner=self.alice):
            with contextlib.suppress(SessionGone):
                remove(session)

    def finish_upload(self) -> None:
        """What alice's client does: ask what is missing, send it, complete; once more if need be.

        The second round is for chunks that the verifier found to be damaged.
        """
        for _ in range(2):
            session = handshake(self.alice, DATA, resume_key=KEY)[1]
            for index in session.bitmap.missing():
                send(session, index, CHUNKS[index])
            if fresh(session).status == SessionStatus.ACTIVE:
                complete(fresh(session))
            run_tasks()
        assert content_of(fresh(session)) == DATA


@dataclass(frozen=True)
class Scenario:
    #: Up to the operation; what it has done is done.
    prepare: Callable[[World], object]
    operate: Callable[[World], object]
    #: What the operation passes, in order.
    points: list[Failpoint]
    #: Whether acknowledged chunks go in it: they are damaged, or their time is over.
    losing: bool = False
    #: Whether alice's upload is to be gone in the end, instead of complete.
    removing: bool = False
    surroundings: Callable[[ExitStack], object] = field(default=lambda _: None)


def _ready(world: World) -> None:
    """Everything is in; the verifier that was enqueued has not begun."""
    world.begin()
    world.send(0, 1, 2, 3)
    drop_tasks()


def _finish(world: World) -> None:
    recover_all()
    run_tasks()


def _follow_and_finish(world: World) -> None:
    follow(world.session)
    _finish(world)


def _begun_with(*indices: int) -> Callable[[World], None]:
    def prepare(world: World) -> None:
        world.begin()
        world.send(*indices)

    return prepare


def _quiet(world: World) -> None:
    world.begin()
    age(world.session, hours=1)


def _known(world: World) -> None:
    world.upload(world.bob)
    _ready(world)


def _damaged(world: World) -> None:
    _ready(world)
    damage(world.session, 120)


def _resized(world: World) -> None:
    _ready(world)
    with (staging_of(world.session) / "data").open("ab") as file:
        file.write(b"more")


def _wrong_hash(world: World) -> None:
    world.begin(sha256="f" * 64)
    for index, chunk in enumerate(CHUNKS):
        send(world.session, index, chunk)
    drop_tasks()


def _without_hash(world: World) -> None:
    world.begin(sha256="", resume_key=KEY)


def _streaming(length: int) -> Callable[[World], None]:
    def prepare(world: World) -> None:
        world.begin()
        world.append(length)

    return prepare


def _unsized(length: int, sha256: str = "") -> Callable[[World], None]:
    def prepare(world: World) -> None:
        open_session(world.alice, Offer("file.bin", None, sha256, chunk_size=TINY_CHUNK))
        world.append(length)

    return prepare


def _damaged_tail(world: World) -> None:
    _streaming(150)(world)
    [tail] = staging_of(world.session).glob("tail-*")
    tail.write_bytes(flipped(tail.read_bytes(), 7))
    world.offset = 0


def _append_in_vain(world: World) -> None:
    with contextlib.suppress(OffsetMismatch):
        world.append(50)


def _damaged_end(world: World) -> None:
    _unsized(350)(world)
    [tail] = staging_of(world.session).glob("tail-*")
    tail.unlink()
    world.offset = 0


def _declare_in_vain(world: World) -> None:
    with contextlib.suppress(OffsetMismatch):
        declare_size(world.session, len(DATA))


def _damaged_early(world: World) -> None:
    _streaming(250)(world)
    damage(world.session, 120)
    [tail] = staging_of(world.session).glob("tail-*")
    tail.unlink()
    world.offset = 0


def _part(world: World, data: bytes) -> FileSession:
    """With all its bytes."""
    session = open_session(
        world.alice, Offer("part", len(data), chunk_size=TINY_CHUNK, role=Role.PART)
    )[1]
    return append(session, 0, InPieces(data, len(data)), len(data))


def _two_parts(world: World) -> None:
    for data in (DATA[:250], DATA[250:]):
        _part(world, data)


def _open_whole(world: World) -> None:
    """Of all parts that there are, in the order in which they were begun."""
    parts = list(FileSession.objects.filter(role=Role.PART).order_by("created_at"))
    open_whole(world.alice, Offer("file.bin", None, sha256(DATA)), parts)


def _to_join(world: World) -> None:
    _two_parts(world)
    _open_whole(world)
    drop_tasks()


def _whole_without_hash(world: World) -> None:
    _without_hash(world)
    world.send(0, 1, 2, 3)


def _stuck(world: World) -> None:
    _ready(world)
    age(world.session, hours=1)


def _completed(world: World) -> None:
    world.upload(world.alice)


def _trashed(world: World) -> None:
    _completed(world)
    trash.trash(world.alice, [world.session.pk])


def _long_trashed(world: World) -> None:
    _trashed(world)
    FileSession.objects.update(trashed_at=timezone.now() - trash.UNDO)


def _claim(world: World) -> None:
    with transaction.atomic():
        claim([world.session])


def _long_unclaimed(world: World) -> None:
    world.begin(admission=Admission("a form"))
    world.send(0, 1, 2, 3)
    run_tasks()
    age(world.session, hours=49)


def _miscounted(world: World) -> None:
    _completed(world)
    Usage.objects.update(stored_files=7)


def _shared(world: World) -> None:
    world.upload(world.bob)
    world.upload(world.alice)


def _old(world: World) -> None:
    world.begin()
    world.send(0)
    age(world.session, hours=49)


def _long_expired(world: World) -> None:
    _old(world)
    FileSession.objects.update(status=SessionStatus.EXPIRED)


def _long_completed(world: World) -> None:
    _completed(world)
    age(world.session, hours=49)


def _orphans(world: World) -> None:
    """Everything that a crash can leave: folders, files and rows that nothing refers to."""
    world.upload(world.bob)
    store = get_store()
    world.begin()
    session_id = world.session.pk
    (conf.current().root / "content" / ("c" * 64)).mkdir()
    FileSession.objects.filter(pk=session_id).delete()
    stored = StoredFile.objects.create(sha256="a" * 64, size=10)
    store.create(stored.pk, 10)
    store.adopt(stored.pk, stored.sha256, stored.pk)
    store.discard(stored.pk)
    other = StoredFile.objects.create(sha256="b" * 64, size=10)
    other_id = other.pk
    store.create(other_id, 10)
    store.adopt(other_id, other.sha256, other_id)
    store.discard(other_id)
    other.delete()
    world.begin()


def _rotten(world: World) -> None:
    _completed(world)
    path = content_files()[0]
    path.write_bytes(flipped(path.read_bytes(), 7))


def _marked(world: World) -> None:
    """Bob's file is known to be damaged; alice has sent the same content."""
    world.upload(world.bob)
    path = content_files()[0]
    path.write_bytes(flipped(path.read_bytes(), 7))
    _reread(world)
    _ready(world)


def _restored(world: World) -> None:
    """Alice's file is known to be damaged, and has been brought back."""
    _rotten(world)
    _reread(world)
    path = content_files()[0]
    path.write_bytes(flipped(path.read_bytes(), 7))


def _reread(world: World) -> None:
    list(reread_content(timezone.now()))


def _sweep(world: World) -> None:
    sweep(48)


def _no_pool(stack: ExitStack) -> None:
    stack.enter_context(mock.patch.object(buffers, "get_pool", return_value=BufferPool(1, 0)))


def _always_touching(stack: ExitStack) -> None:
    stack.enter_context(mock.patch.object(filesystem, "TOUCH_SECONDS", -1))


def _always_beating(stack: ExitStack) -> None:
    stack.enter_context(mock.patch.object(finishing, "HEARTBEAT_SECONDS", -1))


def _each_chunk_synced(stack: ExitStack) -> None:
    config = {"ROOT": conf.current().root, "DURABILITY": "chunk"}
    stack.enter_context(override_settings(UPLOADS=config))


def refuse(_: object) -> None:
    raise ValidationError("not this one")


def _validating(stack: ExitStack) -> None:
    config = {"ROOT": conf.current().root, "VALIDATORS": [f"{__name__}.refuse"]}
    stack.enter_context(override_settings(UPLOADS=config))


def _everything_old(stack: ExitStack) -> None:
    stack.enter_context(mock.patch.object(leftovers, "ORPHAN_AGE", -timedelta(hours=1)))


def _always_flushing(stack: ExitStack) -> None:
    stack.enter_context(mock.patch.object(appending, "FLUSH_SECONDS", -1))


class _InPlace:
    """In the place of a thread: what two do side by side they do in no certain order."""

    def __init__(self, *_: object) -> None: ...

    def submit(self, job: Callable[..., object], *arguments: object) -> "Future[object]":
        done: Future[object] = Future()
        done.set_result(job(*arguments))
        return done

    def shutdown(self) -> None: ...


def _committing_in_place(stack: ExitStack) -> None:
    stack.enter_context(mock.patch.object(committing, "ThreadPoolExecutor", _InPlace))


_CHUNK_OF_TAIL = [
    P.INCOMING_CREATE,
    P.CHUNK_WRITE,
    P.CHUNK_RECORD,
    P.TAIL_REMOVE,
    P.CHUNK_ACKNOWLEDGE,
]
_KEEP_TAIL = [P.TAIL_CREATE, P.TAIL_WRITE, P.TAIL_RECORD]
_STAGE = [P.STAGING_FOLDER, P.STAGING_DATA, P.STAGING_SIZE]
_UNSTAGE = [P.STAGING_REMOVE_FILE, P.STAGING_REMOVE_FOLDER]
_UNLINK_CONTENT = [P.CONTENT_REMOVE_FILE, P.CONTENT_REMOVE_FOLDER]
_REMOVE_CONTENT = [P.CONTENT_MARK, *_UNLINK_CONTENT, P.CONTENT_DELETE]
#: Its own folder, content, the root, and the staging that it came from.
_SYNC_FOLDERS = [P.FOLDER_SYNC] * 4
#: Is it known? No: synced, announced, renamed, and completed.
_ADOPT = [
    P.FINISH_COMPLETE,
    P.DATA_SYNC,
    P.CONTENT_INSERT,
    P.CONTENT_FOLDER,
    P.CONTENT_RENAME,
    *_SYNC_FOLDERS,
    P.FINISH_COMPLETE,
    P.SESSION_MOVE,
]
_END = [P.STAGING_REMOVE_FOLDER, P.FINISH_SIGNAL]

SCENARIOS: dict[str, Scenario] = {
    "open a session": Scenario(
        lambda w: None,
        lambda w: w.begin(),
        [P.STORE_FOLDERS, *_STAGE, P.SESSION_INSERT],
    ),
    "open a session, synced": Scenario(
        lambda w: None,
        lambda w: w.begin(),
        [P.STORE_FOLDERS, *_STAGE, P.DATA_SYNC, *[P.FOLDER_SYNC] * 3, P.SESSION_INSERT],
        surroundings=_each_chunk_synced,
    ),
    "open a session for an empty file": Scenario(
        lambda w: None,
        lambda w: begin(w.alice, b""),
        [P.STORE_FOLDERS, *_STAGE, P.SESSION_INSERT, *_ADOPT, *_END],
    ),
    "open a whole": Scenario(
        _two_parts, _open_whole, [*_STAGE, P.SESSION_INSERT, P.FINISH_ENQUEUE]
    ),
    "join two parts": Scenario(
        _to_join,
        _finish,
        [
            P.FINISH_ENQUEUE,
            P.DATA_RESIZE,
            *[P.JOIN_COPY] * 2,
            P.JOIN_RECORD,
            *_ADOPT,
            *_END,
            *[P.SESSION_MOVE, *_UNSTAGE] * 2,
        ],
    ),
    "find a session again": Scenario(
        lambda w: w.begin(),
        lambda w: w.begin(),
        [P.SESSION_TOUCH],
    ),
    "find a session again after long": Scenario(
        _quiet,
        lambda w: w.begin(),
        [P.SESSION_TOUCH],
    ),
    "find content under another name": Scenario(
        _completed,
        lambda w: w.begin(filename="other.bin"),
        [P.SESSION_COPY, P.FINISH_SIGNAL],
    ),
    "declare the hash by a handshake": Scenario(
        _whole_without_hash,
        lambda w: w.begin(resume_key=KEY),
        [P.SESSION_DECLARE, P.SESSION_MOVE, P.FINISH_ENQUEUE, *_ADOPT, *_END],
    ),
    "receive a chunk": Scenario(
        lambda w: w.begin(),
        lambda w: w.send(1),
        [
            P.INCOMING_CREATE,
            P.CHUNK_WRITE,
            P.CHUNK_RECORD,
            P.CHUNK_ACKNOWLEDGE,
            P.INCOMING_REMOVE,
        ],
    ),
    "receive a chunk, synced": Scenario(
        lambda w: w.begin(),
        lambda w: w.send(1),
        [
            P.INCOMING_CREATE,
            P.CHUNK_WRITE,
            P.DATA_SYNC,
            P.CHUNK_RECORD,
            P.CHUNK_ACKNOWLEDGE,
            P.INCOMING_REMOVE,
        ],
        surroundings=_each_chunk_synced,
    ),
    "receive a chunk without memory": Scenario(
        lambda w: w.begin(),
        lambda w: w.send(1),
        [
            P.INCOMING_CREATE,
            P.INCOMING_SPILL,
            P.CHUNK_WRITE,
            P.CHUNK_RECORD,
            P.CHUNK_ACKNOWLEDGE,
            P.INCOMING_REMOVE,
        ],
        surroundings=_no_pool,
    ),
    "receive a chunk for long": Scenario(
        lambda w: w.begin(),
        lambda w: w.send(1),
        [
            P.INCOMING_CREATE,
            P.INCOMING_TOUCH,
            P.CHUNK_WRITE,
            P.CHUNK_RECORD,
            P.CHUNK_ACKNOWLEDGE,
            P.INCOMING_REMOVE,
        ],
        surroundings=_always_touching,
    ),
    "receive a chunk after long": Scenario(
        _quiet,
        lambda w: w.send(1),
        [
            P.SESSION_TOUCH,
            P.INCOMING_CREATE,
            P.CHUNK_WRITE,
            P.CHUNK_RECORD,
            P.CHUNK_ACKNOWLEDGE,
            P.INCOMING_REMOVE,
        ],
    ),
    "receive the last chunk": Scenario(
        _begun_with(0, 1, 2),
        lambda w: w.send(3),
        [
            P.INCOMING_CREATE,
            P.CHUNK_WRITE,
            P.CHUNK_RECORD,
            P.SESSION_MOVE,
            P.FINISH_ENQUEUE,
            P.CHUNK_ACKNOWLEDGE,
            P.INCOMING_REMOVE,
        ],
    ),
    "append a part of a chunk": Scenario(
        lambda w: w.begin(),
        lambda w: w.append(30),
        [P.INCOMING_CREATE, *_KEEP_TAIL, P.INCOMING_REMOVE],
    ),
    "append a part of a chunk, synced": Scenario(
        lambda w: w.begin(),
        lambda w: w.append(30),
        [
            P.INCOMING_CREATE,
            P.TAIL_CREATE,
            P.TAIL_WRITE,
            P.TAIL_SYNC,
            P.FOLDER_SYNC,
            P.TAIL_RECORD,
            P.INCOMING_REMOVE,
        ],
        surroundings=_each_chunk_synced,
    ),
    "append a part of a chunk without memory": Scenario(
        lambda w: w.begin(),
        lambda w: w.append(30),
        [P.INCOMING_CREATE, P.INCOMING_SPILL, *_KEEP_TAIL, P.INCOMING_REMOVE],
        surroundings=_no_pool,
    ),
    "append to a tail": Scenario(
        _streaming(30),
        lambda w: w.append(40),
        [P.INCOMING_CREATE, *_KEEP_TAIL, P.TAIL_REMOVE, P.INCOMING_REMOVE],
    ),
    "append the rest of a chunk": Scenario(
        _streaming(130),
        lambda w: w.append(70),
        [*_CHUNK_OF_TAIL, P.INCOMING_REMOVE],
    ),
    "append across chunks": Scenario(
        _streaming(30),
        lambda w: w.append(100),
        [*_CHUNK_OF_TAIL, P.INCOMING_REMOVE, P.INCOMING_CREATE, *_KEEP_TAIL, P.INCOMING_REMOVE],
        surroundings=_committing_in_place,
    ),
    "append slowly": Scenario(
        lambda w: w.begin(),
        lambda w: w.append(90, piece=30),
        [P.INCOMING_CREATE, *_KEEP_TAIL, *[P.TAIL_WRITE, P.TAIL_RECORD] * 2, P.INCOMING_REMOVE],
        surroundings=_always_flushing,
    ),
    "append all that is left": Scenario(
        _streaming(310),
        lambda w: w.append(40),
        [
            P.INCOMING_CREATE,
            P.CHUNK_WRITE,
            P.CHUNK_RECORD,
            P.SESSION_MOVE,
            P.FINISH_ENQUEUE,
            P.TAIL_REMOVE,
            P.CHUNK_ACKNOWLEDGE,
            P.INCOMING_REMOVE,
        ],
    ),
    "receive the chunk of a tail": Scenario(
        _streaming(130),
        lambda w: w.send(1),
        [*_CHUNK_OF_TAIL, P.INCOMING_REMOVE],
    ),
    "find a damaged tail": Scenario(
        _damaged_tail,
        _append_in_vain,
        [P.INCOMING_CREATE, P.TAIL_DROP, P.TAIL_REMOVE, P.INCOMING_REMOVE],
    ),
    "find a damaged tail when the size is declared": Scenario(
        _damaged_end,
        _declare_in_vain,
        [P.TAIL_DROP, P.TAIL_REMOVE],
    ),
    "find damage before all is in": Scenario(
        _damaged_early,
        lambda w: drop_damaged(w.session),
        [P.TAIL_DROP, P.TAIL_REMOVE, P.CHUNKS_DROP],
        losing=True,
    ),
    "declare the size of a stream": Scenario(
        _unsized(150),
        lambda w: declare_size(w.session, len(DATA)),
        [P.SESSION_SIZE],
    ),
    "declare the size where a stream has ended": Scenario(
        _unsized(350, sha256=sha256(DATA)),
        lambda w: declare_size(w.session, len(DATA)),
        [P.CHUNK_WRITE, P.SESSION_SIZE, P.SESSION_MOVE, P.FINISH_ENQUEUE, P.TAIL_REMOVE],
    ),
    "complete a stream without a size": Scenario(
        _unsized(350),
        lambda w: complete(w.session),
        [P.CHUNK_WRITE, P.SESSION_SIZE, P.TAIL_REMOVE, P.SESSION_MOVE, P.FINISH_ENQUEUE],
    ),
    "complete without a hash": Scenario(
        _whole_without_hash,
        lambda w: complete(w.session),
        [P.SESSION_MOVE, P.FINISH_ENQUEUE],
    ),
    "take up a stuck session": Scenario(
        _stuck,
        lambda w: recover_if_stuck(w.session),
        [P.FINISH_CLAIM, P.FINISH_ENQUEUE],
    ),
    "finish new content": Scenario(
        _ready,
        _finish,
        [P.FINISH_ENQUEUE, *_ADOPT, *_END],
    ),
    "finish new content for long": Scenario(
        _ready,
        _finish,
        [P.FINISH_ENQUEUE, *[P.FINISH_HEARTBEAT] * 4, *_ADOPT, *_END],
        surroundings=_always_beating,
    ),
    "finish what was followed": Scenario(
        _ready,
        _follow_and_finish,
        [P.FINISH_ENQUEUE, P.DATA_SYNC, *_ADOPT, *_END],
    ),
    "finish known content": Scenario(
        _known,
        _finish,
        [P.FINISH_ENQUEUE, P.FINISH_COMPLETE, P.SESSION_MOVE, *_UNSTAGE, P.FINISH_SIGNAL],
    ),
    "finish content that is known as damaged": Scenario(
        _marked,
        _finish,
        [P.FINISH_ENQUEUE, *_ADOPT, *_REMOVE_CONTENT, *_END],
    ),
    "find a damaged chunk": Scenario(
        _damaged,
        _finish,
        [P.FINISH_ENQUEUE, P.FINISH_REOPEN, P.SESSION_MOVE],
        losing=True,
    ),
    "find a file of the wrong size": Scenario(
        _resized,
        _finish,
        [P.FINISH_ENQUEUE, P.DATA_RESIZE, *_ADOPT, *_END],
    ),
    "find the wrong hash": Scenario(
        _wrong_hash,
        _finish,
        [P.FINISH_ENQUEUE, P.SESSION_MOVE, *_UNSTAGE, P.FAILURE_SIGNAL],
    ),
    "find content that a validator refuses": Scenario(
        _ready,
        _finish,
        [P.FINISH_ENQUEUE, P.SESSION_MOVE, *_UNSTAGE, P.FAILURE_SIGNAL],
        surroundings=_validating,
        removing=True,
    ),
    "cancel": Scenario(
        _begun_with(0),
        lambda w: remove(w.session),
        [P.SESSION_MOVE, *_UNSTAGE],
        removing=True,
    ),
    "cancel while verifying": Scenario(
        _ready,
        lambda w: remove(w.session),
        [P.SESSION_MOVE, *_UNSTAGE],
        removing=True,
    ),
    "delete": Scenario(
        _completed,
        lambda w: remove(w.session),
        [P.SESSION_DELETE, *_REMOVE_CONTENT],
        removing=True,
    ),
    "delete shared content": Scenario(
        _shared,
        lambda w: remove(w.session),
        [P.SESSION_DELETE],
        removing=True,
    ),
    "rename": Scenario(
        _completed,
        lambda w: renaming.rename(w.session, "other.bin"),
        [P.SESSION_RENAME],
    ),
    "trash": Scenario(
        _completed,
        lambda w: trash.trash(w.alice, [w.session.pk]),
        [P.SESSION_TRASH],
    ),
    "restore": Scenario(
        _trashed,
        lambda w: trash.restore(w.alice, [w.session.pk]),
        [P.SESSION_RESTORE],
    ),
    "claim": Scenario(
        _completed,
        _claim,
        [P.SESSION_CLAIM, P.CLAIM_SIGNAL, P.SESSION_DELETE, *_REMOVE_CONTENT],
        removing=True,
    ),
    "purge what no form has claimed": Scenario(
        _long_unclaimed,
        _sweep,
        [P.SESSION_DELETE, *_REMOVE_CONTENT],
        removing=True,
    ),
    "purge the trash": Scenario(
        _long_trashed,
        lambda _: trash.purge_trash(),
        [P.SESSION_DELETE, *_REMOVE_CONTENT],
        removing=True,
    ),
    "correct what a user stores": Scenario(
        _miscounted,
        _sweep,
        [P.USAGE_RECOUNT],
    ),
    "expire": Scenario(
        _old,
        _sweep,
        [P.SESSION_EXPIRE, *_UNSTAGE],
        losing=True,
    ),
    "purge what has expired": Scenario(
        _long_expired,
        _sweep,
        [P.SESSION_PURGE, *_UNSTAGE],
        losing=True,
    ),
    "purge what is completed": Scenario(
        _long_completed,
        lambda w: sweep(48, completed_hours=48),
        [P.SESSION_DELETE, *_REMOVE_CONTENT],
        removing=True,
    ),
    "sweep what a crash left": Scenario(
        _orphans,
        _sweep,
        [*_UNSTAGE, *_UNLINK_CONTENT, *_REMOVE_CONTENT, P.CONTENT_REMOVE_FOLDER],
        surroundings=_everything_old,
    ),
    "read content again": Scenario(
        _completed,
        _reread,
        [P.CONTENT_VERIFIED],
    ),
    "find damaged content whole again": Scenario(
        _restored,
        lambda w: list(reread_damaged(damaged_content())),
        [P.CONTENT_VERIFIED],
    ),
    "find damaged content": Scenario(
        _rotten,
        _reread,
        [P.CONTENT_DAMAGED],
    ),
}


@contextmanager
def prepared(name: str) -> Iterator[tuple[World, Callable[[], object], Scenario]]:
    """The world before the operation of that scenario, and the operation."""
    scenario = SCENARIOS[name]
    world = World()
    scenario.prepare(world)
    with ExitStack() as stack:
        scenario.surroundings(stack)
        yield world, lambda: scenario.operate(world), scenario


def assert_sound() -> None:
    """Whatever happened, what is there now belongs together."""
    folders = (conf.current().root / "content").glob("*")
    assert all(list(folder.iterdir()) for folder in folders)
    _assert_content_sound()
    assert_sums()
    for session in FileSession.objects.select_related("stored_file"):
        if session.status == SessionStatus.COMPLETED:
            assert sha256(content_of(session)) == session.sha256
            told = [event.kind for event in session.events.order_by("pk")]
            assert told[0] == EventKind.OPENED
            assert told.count(EventKind.COMPLETED) == 1
        if session.status == SessionStatus.ACTIVE:
            _assert_chunks_sound(session)
    staged = {folder.name for folder in get_store().staging_folders()}
    active = FileSession.objects.filter(status=SessionStatus.ACTIVE).values_list("pk", flat=True)
    assert staged == set(map(str, active))


def assert_sums() -> None:
    """What is kept of each user's files is what they add up to."""
    for owner in User.objects.all():
        sizes = [
            session.size
            for session in FileSession.objects.owned_by(owner)
            if session.status == SessionStatus.COMPLETED and session.size is not None
        ]
        usage = usage_of(owner)
        assert (usage.stored_files, usage.stored_bytes) == (len(sizes), sum(sizes))


def _assert_content_sound() -> None:
    kept = {path.name for path in content_files()}
    stored = list(StoredFile.objects.all())
    assert kept == {str(row.pk) for row in stored}
    for row in stored:
        assert row.state == StoredFile.State.LIVE
        assert row.sessions.exists()
        with get_store().read(row.sha256, row.pk) as file:
            assert sha256(file.read()) == row.sha256


def _assert_chunks_sound(session: FileSession) -> None:
    """What is called received is there, byte for byte."""
    rows = {chunk.index: chunk for chunk in FileChunk.objects.filter(session=session)}
    assert set(rows) == {i for i in range(session.plan.total) if i in session.bitmap}
    assert session.received_count == len(rows)
    with get_store().open(session.pk) as data:
        for index, row in rows.items():
            buffer = bytearray(session.plan.length(index))
            data.read_into(session.plan.offset(index), memoryview(buffer))
            digest = fingerprint()
            digest.update(bytes(buffer))
            assert digest.digest() == bytes(row.fingerprint)
