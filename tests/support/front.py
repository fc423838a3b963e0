"""A proxy of HTTP in front of a server, that knows pieces of files: it counts, loses, refuses."""

import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

#: Of answers, what is about the connection or set anew here.
_OWN_HEADERS = {"connection", "content-length", "date", "server", "transfer-encoding"}


@dataclass
class Front:
    """What passes at `url`. A piece is a request with a chunk or a part of a file."""

    url: str = ""
    #: The number or offset of each piece that the server has answered 200.
    passed: list[int] = field(default_factory=list)
    #: Set once a piece has been lost.
    was_lost: threading.Event = field(default_factory=threading.Event)
    #: Of each refused request that came again: after how many seconds, and what it was asked for.
    waited: list[tuple[float, int]] = field(default_factory=list)

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ended: threading.Event = field(default_factory=threading.Event)
    _room: int | None = None
    _refusals: dict[bool, list[tuple[int, int]]] = field(default_factory=dict)
    _refused: dict[tuple[str, int | None], tuple[float, int]] = field(default_factory=dict)

    def lose_after(self, count: int) -> None:
        """Let `count` more pieces pass. Those behind them get no answer until the end."""
        with self._lock:
            self._room = count

    def refuse(self, *, pieces: list[tuple[int, int]], others: list[tuple[int, int]]) -> None:
        """Refuse one after the other by these statuses and `Retry-After`, none twice."""
        with self._lock:
            self._refusals = {True: [*pieces], False: [*others]}

    def refusal(self, path: str, piece: int | None) -> tuple[int, int] | None:
        """The status and `Retry-After` of a request that is refused."""
        with self._lock:
            if before := self._refused.pop((path, piece), None):
                self.waited.append((time.monotonic() - before[0], before[1]))
                return None
            due = self._refusals.get(piece is not None)
            if not due:
                return None
            refusal = due.pop(0)
            self._refused[path, piece] = (time.monotonic(), refusal[1])
            return refusal

    def loses(self) -> bool:
        """Whether the piece at hand is lost. If it is, this returns only at the end."""
        with self._lock:
            if self._room is None:
                return False
            self._room -= 1
            if self._room >= 0:
                return False
        self.was_lost.set()
        self._ended.wait()
        return True

    def end(self) -> None:
        """From now on nothing passes, what a client has sent before it was killed neither."""
        self._ended.set()

    @property
    def has_ended(self) -> bool:
        return self._ended.is_set()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, front: Front, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.front, self.target = front, target
        front.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: Any) -> None:
        """Clients that are killed are no error."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def answer(self) -> None:
        front = self.server.front
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        piece = _piece(self.path, self.headers, body)
        if front.has_ended:
            self.close_connection = True
        elif refusal := front.refusal(self.path, piece):
            self._reply(refusal[0], {"Retry-After": str(refusal[1])}, b"Come back.")
        elif piece is not None and front.loses():
            self.close_connection = True
        else:
            self._forward(body, piece)

    do_GET = do_POST = do_PUT = answer  # noqa: N815 (the names that http.server looks for)

    def _forward(self, body: bytes, piece: int | None) -> None:
        headers = {name: text for name, text in self.headers.items() if name.lower() != "host"}
        url = self.server.target + self.path
        got = requests.request(self.command, url, data=body, headers=headers, timeout=120)
        if piece is not None and got.ok:
            self.server.front.passed.append(piece)
        kept = {k: v for k, v in got.headers.items() if k.lower() not in _OWN_HEADERS}
        self._reply(got.status_code, kept, got.content)

    def _reply(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, text in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def front_of(target: str) -> Iterator[Front]:
    """A front of the server at `target`."""
    front = Front()
    with _Server(front, target) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield front
        finally:
            front.end()
            server.shutdown()
            thread.join()


def _piece(path: str, headers: Message, body: bytes) -> int | None:
    if match := re.search(r"/chunks/(\d+)$", path):
        return int(match[1])
    if path == "/api/v1/upload/chunk":
        index: int = json.loads(body)["chunk_index"]
        return index
    if match := re.match(r"bytes (\d+)-", headers.get("Content-Range") or ""):
        return int(match[1])
    return None
