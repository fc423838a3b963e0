"""Send one large file through a running server; print time, memory growth and descriptors.

    python benchmarks/large_file.py --url http://127.0.0.1:8000 --token hft_... --pid PID

`--pid` is the `manage.py serve` process; its children are counted with it. Without `--url` a server
of its own is started on a scratch folder and ended afterwards. With `--stream` the file goes in one
request instead of in chunks. The file is made up as it is sent,
so neither disk nor memory of this script holds it. Memory is what the kernel calls RssAnon: what
the processes hold themselves, without the pages of files that the kernel caches.
"""

import argparse
import hashlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# So that it also runs as a file, not only as a module.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.chaos.traffic import Body
from tests.support.client import NativeClient
from tests.support.server import Server
from tests.support.waiting import wait_until

MIB = 1024 * 1024
CHUNK = 5 * MIB
IN_FLIGHT = 3
#: Repeated with its number in front, so that no two chunks are alike.
_BLOCK = os.urandom(CHUNK - 8)


def chunk_bytes(index: int, length: int) -> bytes:
    return (index.to_bytes(8, "big") + _BLOCK)[:length]


def file_chunks(size: int) -> Iterator[bytes]:
    for index in range(-(-size // CHUNK)):
        yield chunk_bytes(index, min(CHUNK, size - index * CHUNK))


def file_sha256(size: int) -> str:
    digest = hashlib.sha256()
    for chunk in file_chunks(size):
        digest.update(chunk)
    return digest.hexdigest()


class Watch:
    """Samples memory and descriptors of a process and its children until it is left."""

    def __init__(self, pid: int, interval: float = 0.05) -> None:
        self._pid = pid
        self._interval = interval
        self._ended = threading.Event()
        self.start_kib = self.peak_kib = self._memory()
        self.descriptors: list[int] = [self._descriptors()]

    @contextmanager
    def sampling(self) -> Iterator[None]:
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._interval):
            self.peak_kib = max(self.peak_kib, self._memory())
            self.descriptors.append(self._descriptors())

    def _pids(self) -> list[int]:
        children = Path(f"/proc/{self._pid}/task/{self._pid}/children").read_text().split()
        return [self._pid, *map(int, children)]

    def _memory(self) -> int:
        return sum(_anonymous_kib(pid) for pid in self._pids())

    def _descriptors(self) -> int:
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self._pids())


def _anonymous_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1])
    return 0


class Sender:
    """Speaks to one server, with a connection for each thread; sends chunks, or one stream."""

    def __init__(self, url: str, token: str, *, stream: bool = False) -> None:
        self._url, self._token = url, token
        self._stream = stream
        self._local = threading.local()

    @property
    def client(self) -> NativeClient:
        if not hasattr(self._local, "client"):
            self._local.client = NativeClient(self._url, self._token)
        client: NativeClient = self._local.client
        return client

    @property
    def way(self) -> str:
        return "one stream" if self._stream else f"{CHUNK // MIB} MiB chunks, {IN_FLIGHT} at once"

    def send(self, size: int, sha256: str) -> str:
        """Send a file of `size` bytes; the id of its session."""
        answer = self.client.handshake("large.bin", size, sha256=sha256, chunk_size=CHUNK)
        answer.raise_for_status()
        session = answer.json()
        if self._stream:
            body, headers = Body(size, file_chunks(size)), {"Upload-Offset": "0"}
            path = f"/upload/{session['id']}"
            self.client.request("PUT", path, data=body, headers=headers).raise_for_status()
        else:
            self._send_chunks(session, size)
        return str(session["id"])

    def _send_chunks(self, session: dict[str, Any], size: int) -> None:
        def put(index: int) -> None:
            chunk = chunk_bytes(index, min(CHUNK, size - index * CHUNK))
            self.client.put_chunk(session["id"], index, chunk).raise_for_status()

        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            list(pool.map(put, session["missing"]))

    def final_state(self, session_id: str) -> str:
        """The state of the session once it is verified."""

        def state() -> str:
            found = str(self.client.status(session_id).json()["state"])
            return "" if found == "assembling" else found

        return wait_until(state, "the verification", timeout=900)


def measure(sender: Sender, pid: int, size: int) -> None:
    sha256 = file_sha256(size)
    # Imports, connections and the pool warm up.
    sender.final_state(sender.send(16 * CHUNK, file_sha256(16 * CHUNK)))
    watch = Watch(pid)
    begun = time.perf_counter()
    with watch.sampling():
        session_id = sender.send(size, sha256)
        sent = time.perf_counter()
        state = sender.final_state(session_id)
        verified = time.perf_counter()
    growth = (watch.peak_kib - watch.start_kib) / 1024
    descriptors = watch.descriptors
    rate = size / MIB / (sent - begun)
    print(f"size                {size / MIB:,.0f} MiB, {sender.way}")
    print(f"state               {state}, SHA-256 {sha256}")
    print(f"sent                {sent - begun:.1f} s ({rate:,.0f} MiB/s)")
    print(f"sent and verified   {verified - begun:.1f} s")
    print(f"verified            {1000 * (verified - sent):.0f} ms after the last byte")
    print(f"server memory       {watch.start_kib / 1024:.1f} MiB, grew by {growth:.1f} MiB at most")
    print(
        f"server descriptors  {descriptors[0]} before, {max(descriptors)} at most, "
        f"{descriptors[-1]} after"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--url", help="a running server; without it one is started")
    parser.add_argument("--token", help="an access token, with --url")
    parser.add_argument("--pid", type=int, help="the server's process id, with --url")
    parser.add_argument("--gib", type=float, default=5, help="size of the file (5)")
    parser.add_argument("--stream", action="store_true", help="in one request, not in chunks")
    options = parser.parse_args()
    size = int(options.gib * 1024 * MIB)
    if options.url:
        if not (options.token and options.pid):
            parser.error("--url needs --token and --pid")
        sender = Sender(options.url, options.token, stream=options.stream)
        measure(sender, options.pid, size)
        return
    with Server() as server:
        sender = Sender(server.url, server.issue_token(), stream=options.stream)
        measure(sender, server.pid, size)


if __name__ == "__main__":
    main()
