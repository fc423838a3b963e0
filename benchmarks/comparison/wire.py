"""A client that costs little: one connection, and bytes that are sent as they lie in memory."""

import json
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPMessage, HTTPResponse
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from .payload import Parts

TIMEOUT = 300.0


class Refused(Exception):
    """An answer that nobody expects here: then there is nothing to measure."""


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    parts: Parts = ()

    @property
    def head(self) -> bytes:
        length = sum(len(part) for part in self.parts)
        headers = {"Host": "127.0.0.1", **self.headers, "Content-Length": str(length)}
        lines = [f"{self.method} {self.path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: HTTPMessage
    body: bytes
    #: When the last byte of the request had gone to the system, as `perf_counter` has it.
    sent: float


class Connection:
    """To 127.0.0.1, kept open. One request at a time."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def ask(self, request: Request) -> Answer:
        """Raises Refused unless the answer is a success, and OSError when the connection ends."""
        self._send(request.head, request.parts)
        sent = time.perf_counter()
        response = HTTPResponse(self._socket, method=request.method)
        try:
            response.begin()
            body = response.read()
        finally:
            response.close()
        if not 200 <= response.status < 300:
            raise Refused(
                f"{request.method} {request.path} was answered {response.status}: {body[:500]!r}"
            )
        return Answer(response.status, response.headers, body, sent)

    def _send(self, head: bytes, parts: Iterable[bytes | memoryview]) -> None:
        for part in parts:
            if len(head) + len(part) < 4096:
                head += part
                continue
            if head:
                self._socket.sendall(head)
                head = b""
            self._socket.sendall(part)
        if head:
            self._socket.sendall(head)


def path_of(location: str) -> str:
    """The path of a URL, be it absolute or not."""
    return urlsplit(location).path


def json_request(
    method: str, path: str, headers: Mapping[str, str], body: Mapping[str, object]
) -> Request:
    given = {**headers, "Content-Type": "application/json"}
    return Request(method, path, given, (json.dumps(body).encode(),))


def json_of(answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.body)
    return found
