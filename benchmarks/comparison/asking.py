"""Requests that are about many chunks, and what one chunk costs."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from blake3 import blake3

from tests.support.server import REPOSITORY, USER

from .holdfast import Holdfast
from .payload import Payload
from .verdicts import Condition, Row, at_most
from .wire import Connection, Request, json_request

HANDSHAKE_ROW = "handshake of a session of 10,000 chunks, all missing"
CHUNK_ROW = "a chunk request"
CHUNKS = 10_000
#: The smallest chunk that a session may have: what a request costs besides its bytes shows best.
SMALL_CHUNK = 256 * 1024
ASKED = 60
#: Ticks of the kernel's clock are 10 ms; over so many requests that is nothing.
SENT = 500
_TICKS = os.sysconf("SC_CLK_TCK")
_HANDSHAKE = "/api/v1/uploads/handshake"

#: A browser that is signed in: prints its cookie.
_SIGN_IN = """
from django.contrib.auth.models import User
from django.test import Client
client = Client()
client.force_login(User.objects.get(username={user!r}))
print(client.cookies["sessionid"].value)
"""
_CSRF = "c" * 32


def handshakes(holdfast: Holdfast) -> Row:
    """Medians of many answers: of the session's own handshake, and of the one that resumes it."""
    declared = {"filename": "many-chunks.bin", "size": CHUNKS * SMALL_CHUNK, "sha256": "ab" * 32}
    resuming = json_request(
        "POST", _HANDSHAKE, holdfast.headers, {**declared, "chunk_size": SMALL_CHUNK}
    )
    with Connection(holdfast.port) as connection:
        session = json.loads(connection.ask(resuming).body)
        assert len(session["missing"]) == CHUNKS
        own = Request("GET", f"{session['urls']['self']}/handshake", holdfast.headers)
        seen = {"GET": _asked(connection, own), "POST": _asked(connection, resuming)}
    holdfast.delete(session["id"])
    conditions: list[Condition] = []
    for method, (ms, length) in seen.items():
        conditions.append(at_most(f"{method}, time", ms, 20, "ms", 1))
        conditions.append(at_most(f"{method}, answer", length / 1000, 64, "KB", 1))
    return Row(HANDSHAKE_ROW, tuple(conditions), f"medians of {ASKED} requests each")


def _asked(connection: Connection, request: Request) -> tuple[float, int]:
    """Milliseconds, the median, and bytes of the answer."""
    seconds, length = [], 0
    for _ in range(ASKED):
        begun = time.perf_counter()
        length = len(connection.ask(request).body)
        seconds.append(time.perf_counter() - begun)
    return median(seconds) * 1000, length


def chunk_cost(holdfast: Holdfast, folder: Path) -> Row:
    """Statements of one request, and its CPU besides hash and write; by token and by cookie.

    Statements are counted in a process of its own (`statements.py`), BEGIN and COMMIT aside. CPU is
    what the kernel has charged the worker for some hundred requests of 256 KiB, one after another,
    all its threads; less BLAKE3 and one write of as many bytes, measured in this process. Reading
    from the network is thus part of the cost. The file's first chunk never comes, so that nothing
    is hashed in the background.
    """
    counted = statements()
    cookie = holdfast.server.manage("shell", "--no-imports", "-c", _SIGN_IN.format(user=USER))
    signed_in = {
        "Cookie": f"sessionid={cookie.split()[-1]}; csrftoken={_CSRF}",
        "X-CSRFToken": _CSRF,
    }
    besides = _hash_and_write_ms(folder)
    ways = {"token": holdfast.headers, "cookie": signed_in}
    conditions = [at_most(f"queries, {way}", counted[way], 8, digits=0) for way in ways]
    conditions += [
        at_most(f"CPU, {way}", _cpu_ms(holdfast, headers) - besides, 4, "ms")
        for way, headers in ways.items()
    ]
    note = f"256 KiB chunks; hash and write of one, taken off: {besides:.2f} ms"
    return Row(CHUNK_ROW, tuple(conditions), note)


def statements() -> dict[str, int]:
    """How many statements a chunk request makes, by the way its sender is known."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.comparison.statements"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    )
    counted: dict[str, int] = json.loads(done.stdout)
    return counted


def _cpu_ms(holdfast: Holdfast, headers: dict[str, str]) -> float:
    """Of all workers, for each of `SENT` chunks."""
    payload = Payload((SENT + 2) * SMALL_CHUNK, SMALL_CHUNK)
    session_id = holdfast.open(payload)
    requests = [
        Request("PUT", f"/api/v1/uploads/{session_id}/chunks/{chunk.index}", headers, chunk.parts)
        for chunk in payload.chunks[1:-1]
    ]
    pids = holdfast.server.worker_pids
    try:
        with Connection(holdfast.port) as connection:
            for request in requests[: SENT // 10]:
                connection.ask(request)
            counted = requests[SENT // 10 :]
            before = _ticks(pids)
            for request in counted:
                connection.ask(request)
            spent = _ticks(pids) - before
    finally:
        holdfast.delete(session_id)
    return spent / _TICKS / len(counted) * 1000


def _ticks(pids: Sequence[int]) -> int:
    """User and system time of all threads of processes (proc_pid_stat(5), fields 14 and 15)."""
    count = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        count += int(fields[11]) + int(fields[12])
    return count


def _hash_and_write_ms(folder: Path) -> float:
    """CPU of the fingerprint and the write of one chunk into a new place of a file."""
    chunk = os.urandom(SMALL_CHUNK)
    path = folder / "written"
    with path.open("wb", buffering=0) as file:
        begun = time.thread_time()
        for index in range(SENT):
            blake3(chunk).digest()
            os.pwrite(file.fileno(), chunk, index * SMALL_CHUNK)
        spent = time.thread_time() - begun
    path.unlink()
    return spent / SENT * 1000
