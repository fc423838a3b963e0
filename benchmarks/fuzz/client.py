"""A client that sends bytes as they are, and reads whatever comes back."""

import contextlib
import socket
from dataclasses import dataclass
from typing import Self

from .making import Ask

#: Longer than any answer may take: a request to complete may wait 30 s for the verifier.
_PATIENCE = 60.0
#: What no HTTP server would answer is waited for so long, and then left.
_GLANCE = 0.25
_READ_BYTES = 64 * 1024
_BODILESS = {204, 304}


class Closed(Exception):
    """The connection has ended, or something else than HTTP came."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers` in the bytes in which they came, names in lower case."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""

    def header(self, name: str) -> str | None:
        wanted = name.lower().encode()
        found = [value for key, value in self.headers if key == wanted]
        return found[0].decode("latin-1") if found else None


class Client:
    """One connection, opened again whenever it has ended."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._socket:
            self._socket.close()
        self._socket, self._buffer = None, b""

    def send(self, ask: Ask) -> list[Answer]:
        """The answers to it; none where the server has ended the connection instead."""
        if ask.ends:
            self.close()
            try:
                return self._send_last(ask)
            finally:
                self.close()
        was_open = self._socket is not None
        answers = self._send(ask)
        if not answers and was_open:
            # A kept connection may have ended before the request came.
            answers = self._send(ask)
        return answers

    def _send(self, ask: Ask) -> list[Answer]:
        connection = self._opened(_PATIENCE)
        with contextlib.suppress(ConnectionError):
            connection.sendall(ask.data)
        try:
            answer = self._read(ask.method == "HEAD")
        except (Closed, OSError):
            self.close()
            return []
        if (answer.header("Connection") or "").lower() == "close":
            self.close()
        return [answer]

    def _send_last(self, ask: Ask) -> list[Answer]:
        waits = ask.half_closes or not ask.may_break
        connection = self._opened(_PATIENCE if waits else _GLANCE)
        answers: list[Answer] = []
        with contextlib.suppress(Closed, OSError):
            with contextlib.suppress(ConnectionError):
                connection.sendall(ask.data)
                if ask.half_closes:
                    connection.shutdown(socket.SHUT_WR)
            while True:
                answers.append(self._read(ask.method == "HEAD"))
                if not ask.half_closes:
                    break
        return answers

    def _opened(self, patience: float) -> socket.socket:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), _PATIENCE)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._buffer = b""
        self._socket.settimeout(patience)
        return self._socket

    def _read(self, is_head: bool) -> Answer:
        """Raises Closed, or OSError for one that takes too long."""
        while True:
            status, headers = self._read_head()
            if status >= 200:
                break
        answer = Answer(status, headers)
        if is_head or status in _BODILESS:
            return answer
        if (answer.header("Transfer-Encoding") or "") == "chunked":
            return Answer(status, headers, self._read_chunked())
        length = answer.header("Content-Length")
        if length is None:
            raise Closed(f"an answer {status} without a length")
        return Answer(status, headers, self._take(int(length)))

    def _read_head(self) -> tuple[int, list[tuple[bytes, bytes]]]:
        first, *lines = self._take_until(b"\r\n\r\n").split(b"\r\n")
        parts = first.split(b" ", 2)
        if not parts[0].startswith(b"HTTP/1.") or len(parts) < 2:
            raise Closed(f"no HTTP: {first[:80]!r}")
        pairs = (line.partition(b":") for line in lines)
        return int(parts[1]), [(name.lower(), value.strip(b" ")) for name, _, value in pairs]

    def _read_chunked(self) -> bytes:
        pieces = []
        while size := int(self._take_until(b"\r\n"), 16):
            pieces.append(self._take(size))
            self._take(2)
        self._take_until(b"\r\n")
        return b"".join(pieces)

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._more()
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def _take_until(self, end: bytes) -> bytes:
        while end not in self._buffer:
            self._more()
        taken, _, self._buffer = self._buffer.partition(end)
        return taken

    def _more(self) -> None:
        assert self._socket is not None
        piece = self._socket.recv(_READ_BYTES)
        if not piece:
            raise Closed("the end")
        self._buffer += piece
