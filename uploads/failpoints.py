"""Named points before every step that leaves something behind, where tests make the engine fail.

A step is what a crash cannot take back: a commit, a file made, written, synced, renamed or removed.
Right before each stands one call of `reach`. It does nothing unless a test has set a hook, which
may end the process there, raise an OSError as a failing disk would, or only take note.
`tests/engine/test_every_crash.py` crashes at each point; `tests/engine/test_failpoints.py` fails
for a step that has none.
"""

from collections.abc import Callable
from enum import StrEnum


class Failpoint(StrEnum):
    """One for each step, named `<what>.<the step that would come next>`."""

    # A session begins.
    STORE_FOLDERS = "store.make_folders"
    STAGING_FOLDER = "staging.make_folder"
    STAGING_DATA = "staging.make_data"
    STAGING_SIZE = "staging.set_size"
    SESSION_INSERT = "session.insert"
    SESSION_COPY = "session.copy"
    # A chunk comes in.
    INCOMING_CREATE = "incoming.create"
    INCOMING_SPILL = "incoming.spill"
    INCOMING_TOUCH = "incoming.touch"
    INCOMING_REMOVE = "incoming.remove"
    CHUNK_WRITE = "chunk.write"
    CHUNK_RECORD = "chunk.record"
    CHUNK_ACKNOWLEDGE = "chunk.acknowledge"
    # A stream ends, or pauses, inside a chunk.
    TAIL_CREATE = "tail.create"
    TAIL_WRITE = "tail.write"
    TAIL_SYNC = "tail.sync"
    TAIL_RECORD = "tail.record"
    TAIL_DROP = "tail.drop"
    TAIL_REMOVE = "tail.remove"
    # What a disk has damaged is missing again before all is in.
    CHUNKS_DROP = "chunks.drop"
    # A session changes its state, or says that it lives.
    SESSION_MOVE = "session.move"
    SESSION_DECLARE = "session.declare"
    SESSION_SIZE = "session.set_size"
    SESSION_TOUCH = "session.touch"
    FINISH_ENQUEUE = "finish.enqueue"
    FINISH_CLAIM = "finish.claim"
    # A file is finished.
    JOIN_COPY = "join.copy"
    JOIN_RECORD = "join.record"
    DATA_RESIZE = "data.resize"
    DATA_SYNC = "data.sync"
    FOLDER_SYNC = "folder.sync"
    FINISH_HEARTBEAT = "finish.heartbeat"
    FINISH_REOPEN = "finish.reopen"
    CONTENT_INSERT = "content.insert"
    CONTENT_FOLDER = "content.make_folder"
    CONTENT_RENAME = "content.rename"
    FINISH_COMPLETE = "finish.complete"
    FINISH_SIGNAL = "finish.signal"
    FAILURE_SIGNAL = "failure.signal"
    CLAIM_SIGNAL = "claim.signal"
    # Things go.
    STAGING_REMOVE_FILE = "staging.remove_file"
    STAGING_REMOVE_FOLDER = "staging.remove_folder"
    SESSION_TRASH = "session.trash"
    SESSION_CLAIM = "session.claim"
    SESSION_DELETE = "session.delete"
    SESSION_EXPIRE = "session.expire"
    SESSION_PURGE = "session.purge"
    CONTENT_MARK = "content.mark"
    CONTENT_REMOVE_FILE = "content.remove_file"
    CONTENT_REMOVE_FOLDER = "content.remove_folder"
    CONTENT_DELETE = "content.delete"
    # What was said of a file is taken back, or corrected.
    SESSION_RESTORE = "session.restore"
    SESSION_RENAME = "session.rename"
    USAGE_RECOUNT = "usage.recount"
    # Content is read again.
    CONTENT_VERIFIED = "content.verified"
    CONTENT_DAMAGED = "content.damaged"


Hook = Callable[[Failpoint], None]

_hook: Hook | None = None


def reach(point: Failpoint) -> None:
    """Say that the step `point` comes next. Raises whatever a test's hook raises."""
    if _hook is not None:
        _hook(point)


def set_hook(hook: Hook | None) -> Hook | None:
    """Have `hook` called at every point of this process, from any thread; the one before it."""
    global _hook
    before, _hook = _hook, hook
    return before
