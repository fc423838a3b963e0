"""Requests as the clients send them, and bodies that stop in the middle."""

import contextlib
import hashlib
import http.client
import json
import socket
import struct
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

import requests

from tests.support.bodies import content_digest
from tests.support.client import NativeClient
from uploads.core.plan import MIB

#: Answers that ask for patience; the same request may succeed later.
TRANSIENT = {429, 503, 507}
#: Close with a reset instead of a farewell: struct linger, on and 0 seconds.
_RESET = struct.pack("ii", 1, 0)


class Interrupted(Exception):
    """No answer came: refused, cut, or given up."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: dict[str, Any]
    #: When the request was sent.
    asked: float

    @property
    def code(self) -> str:
        return str(self.body.get("code", ""))

    @property
    def is_transient(self) -> bool:
        return self.status in TRANSIENT

    def __str__(self) -> str:
        return f"{self.status} {self.code} {self.body.get('detail', '')}"


class Pace:
    """All clients together send at most so many bytes a second."""

    def __init__(self, bytes_per_second: int) -> None:
        self._rate = bytes_per_second
        self._lock = threading.Lock()
        self._next = time.monotonic()

    def take(self, count: int) -> None:
        """Return when `count` bytes may be sent."""
        with self._lock:
            now = time.monotonic()
            begin = max(self._next, now)
            self._next = begin + count / self._rate
        time.sleep(begin - now)


class Link:
    """One user's way to the server, with a connection for each thread."""

    def __init__(self, url: str, token: str, seconds: float) -> None:
        self._url, self._token, self._seconds = url, token, seconds
        self._local = threading.local()
        self._clients: list[NativeClient] = []
        self._lock = threading.Lock()

    def close(self) -> None:
        with self._lock:
            clients, self._clients = self._clients, []
        self._local = threading.local()
        for client in clients:
            client.close()

    def close_own(self) -> None:
        """Close the connection of this thread, which is about to end."""
        client = self._local.__dict__.pop("client", None)
        if client:
            client.close()
            with self._lock:
                self._clients.remove(client)

    @property
    def _client(self) -> NativeClient:
        if not hasattr(self._local, "client"):
            self._local.client = NativeClient(self._url, self._token, timeout=self._seconds)
            with self._lock:
                self._clients.append(self._local.client)
        client: NativeClient = self._local.client
        return client

    def call(self, method: str, path: str, **given: Any) -> Answer:
        """Raises Interrupted."""
        asked = time.time()
        try:
            with self._client.request(method, path, **given) as response:
                return Answer(response.status_code, _body(response.content), asked)
        except requests.RequestException as error:
            raise Interrupted(str(error)) from error

    def handshake(self, **fields: Any) -> Answer:
        return self.call("POST", "/api/v1/uploads/handshake", json=fields)

    def look(self, session_id: str) -> Answer:
        return self.call("GET", f"/api/v1/uploads/{session_id}/handshake")

    def put(
        self, session_id: str, index: int, chunk: bytes, headers: dict[str, str] | None = None
    ) -> Answer:
        path = f"/api/v1/uploads/{session_id}/chunks/{index}"
        return self.call("PUT", path, data=chunk, headers=headers or {})

    def complete(self, session_id: str, sha256: str = "") -> Answer:
        body = {"sha256": sha256} if sha256 else {}
        return self.call("POST", f"/api/v1/uploads/{session_id}/complete", json=body)

    def delete(self, session_id: str) -> Answer:
        return self.call("DELETE", f"/api/v1/uploads/{session_id}")

    def content(self, session_id: str, headers: dict[str, str] | None = None) -> "Download":
        """The status and the digest of what comes. Raises Interrupted, also in the middle."""
        path = f"/api/v1/uploads/{session_id}/content"
        try:
            with self._client.request("GET", path, stream=True, headers=headers or {}) as response:
                return Download.of(response)
        except requests.RequestException as error:
            raise Interrupted(str(error)) from error

    def offset(self, session_id: str) -> Answer:
        """How far the session is: `offset` and `state` of the answer's body."""
        asked = time.time()
        try:
            with self._client.request("HEAD", _stream_path(session_id)) as response:
                body = _told_in_headers(response) if response.ok else {}
                return Answer(response.status_code, body, asked)
        except requests.RequestException as error:
            raise Interrupted(str(error)) from error

    def stream(self, session_id: str, offset: int, body: "Body") -> Answer:
        headers = {"Upload-Offset": str(offset)}
        return self.call("PUT", _stream_path(session_id), data=body, headers=headers)

    def form(self, piece: bytes, fields: dict[str, str], headers: dict[str, str]) -> Answer:
        """A piece as chunked-upload takes it; without `upload_id` the first of a new upload.

        Raises Interrupted.
        """
        files = {"file": ("stream.bin", piece)}
        path = "/api/chunked-upload/"
        return self.call("POST", path, data=fields, files=files, headers=headers)

    def complete_by_md5(self, upload_id: str, md5: str) -> Answer:
        """As chunked-upload does. Raises Interrupted."""
        fields = {"upload_id": upload_id, "md5": md5}
        return self.call("POST", "/api/chunked-upload/complete/", data=fields)

    @contextlib.contextmanager
    def half_stream(self, session_id: str, offset: int, length: int) -> Iterator["HalfStream"]:
        """A stream of `length` bytes whose client decides when they go. Raises Interrupted."""
        with ExitStack() as stack:
            asked = time.time()
            head = self._head(_stream_path(session_id), length, f"Upload-Offset: {offset}\r\n")
            try:
                connection = stack.enter_context(self._connected())
                connection.sendall(head)
            except OSError as error:
                raise Interrupted(str(error)) from error
            yield HalfStream(connection, asked)

    def put_half(self, session_id: str, index: int, chunk: bytes, pause: float | None) -> Answer:
        """Send half of a chunk; after `pause` seconds the rest, or cut the connection if None.

        Raises Interrupted when there is no answer, as there never is after a cut.
        """
        asked = time.time()
        try:
            with self._connected() as connection:
                path = f"/api/v1/uploads/{session_id}/chunks/{index}"
                connection.sendall(self._head(path, len(chunk)))
                connection.sendall(chunk[: len(chunk) // 2])
                if pause is None:
                    if index % 2:
                        _will_reset(connection)
                    raise Interrupted("cut on purpose")
                time.sleep(pause)
                connection.sendall(chunk[len(chunk) // 2 :])
                return _answer(connection, asked)
        except (OSError, http.client.HTTPException) as error:
            raise Interrupted(str(error)) from error

    @contextlib.contextmanager
    def _connected(self) -> Any:
        parts = urlsplit(self._url)
        assert parts.hostname
        assert parts.port
        with socket.create_connection((parts.hostname, parts.port), self._seconds) as connection:
            yield connection

    def _head(self, path: str, length: int, more: str = "") -> bytes:
        return (
            f"PUT {path} HTTP/1.1\r\n{more}"
            f"Host: {urlsplit(self._url).netloc}\r\nAuthorization: Bearer {self._token}\r\n"
            f"Content-Type: application/octet-stream\r\nContent-Length: {length}\r\n"
            "Connection: close\r\n\r\n"
        ).encode()


class Body:
    """Bytes of a known length that are made while they are sent."""

    def __init__(self, length: int, pieces: Iterable[bytes]) -> None:
        self._length, self._pieces = length, pieces

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)


class HalfStream:
    """Made by `Link.half_stream`. Left without `end`, the connection is cut."""

    def __init__(self, connection: socket.socket, asked: float) -> None:
        self._connection, self._asked = connection, asked

    def send(self, pieces: Iterable[bytes]) -> Self:
        """Raises Interrupted."""
        try:
            for piece in pieces:
                self._connection.sendall(piece)
        except OSError as error:
            raise Interrupted(str(error)) from error
        return self

    def end(self) -> Answer:
        """Once all is sent. Raises Interrupted."""
        try:
            return _answer(self._connection, self._asked)
        except (OSError, http.client.HTTPException) as error:
            raise Interrupted(str(error)) from error

    def will_reset(self) -> None:
        """When it is cut, then with a reset instead of a farewell."""
        _will_reset(self._connection)


def _told_in_headers(response: requests.Response) -> dict[str, Any]:
    told = response.headers
    return {"offset": int(told["Upload-Offset"]), "state": told["Upload-State"]}


def _stream_path(session_id: str) -> str:
    return f"/upload/{session_id}"


def _will_reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


def _answer(connection: socket.socket, asked: float) -> Answer:
    with http.client.HTTPResponse(connection) as response:
        response.begin()
        return Answer(response.status, _body(response.read()), asked)


@dataclass(frozen=True, slots=True)
class Download:
    """What came of a request for content."""

    status: int
    sha256: str
    length: int
    body: dict[str, Any]

    @classmethod
    def of(cls, response: requests.Response) -> "Download":
        if response.status_code not in {200, 206}:
            return cls(response.status_code, "", 0, _body(response.content))
        digest, length = hashlib.sha256(), 0
        for piece in response.iter_content(MIB // 4):
            digest.update(piece)
            length += len(piece)
        return cls(response.status_code, digest.hexdigest(), length, {})


def digest_header(chunk: bytes, algorithm: str) -> dict[str, str]:
    return {"Content-Digest": content_digest(chunk, algorithm)} if algorithm else {}


def _body(content: bytes) -> dict[str, Any]:
    """The JSON object of an answer; what is none is shown as its text."""
    try:
        found = json.loads(content)
    except ValueError:
        return {"detail": content[:300].decode(errors="replace")}
    return found if isinstance(found, dict) else {}
