"""Print where the time of a chunk of 5 MiB goes: CPU of its thread, in milliseconds, as a table.

    python -m benchmarks.comparison.phases

In this process, through the whole site and without the network, on data in memory. A phase is a few
functions, without the time of other phases within them.
"""

import atexit
import functools
import io
import logging
import os
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .room import MEMORY

_DATA = tempfile.mkdtemp(prefix="holdfast-phases-", dir=MEMORY)
atexit.register(shutil.rmtree, _DATA, ignore_errors=True)
os.environ["HOLDFAST_DATA"] = _DATA
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "site"))
import django

django.setup()

from config.wsgi import application
from django.contrib.auth.models import User
from django.core.management import call_command

from uploads.core.plan import MIB
from uploads.engine import buffers, database, receiving
from uploads.engine.opening import Offer, open_session
from uploads.engine.tokens import issue_token
from uploads.protocols import auth, native

CHUNK = 5 * MIB
#: Chunks that are not counted, and those that are.
WARM_UP, COUNTED = 10, 200
_REST = "middleware, routes, checks, the answer"
_PHASES: list[tuple[str, Any, str]] = [
    ("who it is: the token and its owner, 2 queries", auth, "_by_token"),
    ("the session, 1 query", native, "get_session"),
    ("into a buffer of the pool", buffers.Body, "write"),
    ("BLAKE3", receiving.IncomingChunk, "_hash"),
    ("the session and the chunk's row, under the lock, 1 query", receiving, "reread_with_chunk"),
    ("into the file", buffers.Body, "copy_to"),
    (
        "the row, the bit and the count: 3 queries, BEGIN, COMMIT",
        receiving.IncomingChunk,
        "_recorded",
    ),
]


class Clock:
    """CPU of this thread by phase, in seconds."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)
        #: Of each phase under way, what others have spent within.
        self._within: list[float] = []

    def timed(self, phase: str, work: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(work)
        def wrapped(*given: Any, **named: Any) -> Any:
            begun = time.thread_time()
            self._within.append(0.0)
            try:
                return work(*given, **named)
            finally:
                spent = time.thread_time() - begun
                self.spent[phase] += spent - self._within.pop()
                if self._within:
                    self._within[-1] += spent

        return wrapped


def _put(session_id: object, index: int, body: bytes, token: str) -> None:
    statuses: list[str] = []
    environ = {
        "REQUEST_METHOD": "PUT",
        "PATH_INFO": f"/api/v1/uploads/{session_id}/chunks/{index}",
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "HTTP_HOST": "localhost",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_AUTHORIZATION": f"Bearer {token}",
        "wsgi.input": io.BytesIO(body),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
    }
    answer: Any = application(environ, lambda status, headers: statuses.append(status))
    text = b"".join(answer)
    answer.close()
    if not statuses[0].startswith("200"):
        raise RuntimeError(f"{statuses[0]}: {text!r}")


def main() -> None:
    logging.getLogger("uploads.requests").setLevel(logging.WARNING)
    call_command("migrate", verbosity=0)
    database.keep_few()
    user = User.objects.create_user("phases")
    token = issue_token(user, "phases")
    offer = Offer("phases.bin", (1 + WARM_UP + COUNTED) * CHUNK, chunk_size=CHUNK)
    session = open_session(user, offer)[1]
    body = os.urandom(CHUNK)
    clock = Clock()
    for phase, owner, name in _PHASES:
        setattr(owner, name, clock.timed(phase, getattr(owner, name)))
    send = clock.timed(_REST, _put)
    # The first never comes, so nobody follows.
    for index in range(1, WARM_UP + 1):
        send(session.pk, index, body, token)
    clock.spent.clear()
    for index in range(WARM_UP + 1, WARM_UP + COUNTED + 1):
        send(session.pk, index, body, token)
    print("| of a chunk of 5 MiB | ms |\n|---|--:|")
    for phase in [*(phase for phase, _, _ in _PHASES), _REST]:
        print(f"| {phase} | {clock.spent[phase] / COUNTED * 1000:.2f} |")
    print(f"| together | {sum(clock.spent.values()) / COUNTED * 1000:.2f} |")


if __name__ == "__main__":
    main()
