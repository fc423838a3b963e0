"""The bare limit: what a WSGI application under granian must do for a chunk, and nothing else.

    python -m benchmarks.comparison.bare PORT FOLDER

`PUT /hash/<name>/<offset>` reads the body in pieces of 64 KiB into a buffer that its thread keeps,
computes SHA-256 of them, and writes the whole at its offset; `PUT /write/…` does not hash. Nobody
is asked who they are, nothing is recorded, and nothing is compared.
"""

import hashlib
import os
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import Server

READ_SIZE = 64 * 1024
#: The variable that tells a worker where to write.
FOLDER = "HOLDFAST_BENCHFOLDER"

_of_thread = threading.local()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    _, work, name, offset = environ["PATH_INFO"].split("/")
    length = int(environ["CONTENT_LENGTH"])
    buffer = _buffer(length)
    digest = hashlib.sha256() if work == "hash" else None
    read = environ["wsgi.input"].read
    filled = 0
    while filled < length:
        piece = read(min(READ_SIZE, length - filled))
        if not piece:
            raise ValueError("the body ended early")
        buffer[filled : filled + len(piece)] = piece
        filled += len(piece)
        if digest:
            digest.update(piece)
    descriptor = os.open(f"{os.environ[FOLDER]}/{name}", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        _write(descriptor, memoryview(buffer)[:length], int(offset))
    finally:
        os.close(descriptor)
    answer = digest.hexdigest().encode() if digest else b"written"
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]


def _buffer(length: int) -> bytearray:
    """The thread's own: fresh memory for each body would be most of the cost."""
    kept: bytearray | None = getattr(_of_thread, "buffer", None)
    if kept is None or len(kept) < length:
        kept = _of_thread.buffer = bytearray(length)
    return kept


def _write(descriptor: int, view: memoryview, offset: int) -> None:
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def main() -> None:
    port, folder = sys.argv[1:]
    os.environ[FOLDER] = folder
    Server(
        "benchmarks.comparison.bare:application",
        address="127.0.0.1",
        port=int(port),
        interface=Interfaces.WSGI,
        # As `manage.py serve` has it.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(max_buffer_size=READ_SIZE),
        blocking_threads=8,
        log_level=LogLevels.error,
        websockets=False,
    ).serve()


if __name__ == "__main__":
    main()
