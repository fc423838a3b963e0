"""This server, through each of its protocols. Every `send_…` returns what was timed, and tidies up.

An upload that was sent is verified and deleted before the next begins, so that nothing of it goes
on behind the back of who is measured then, and the same content is never known already.
"""

import base64
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from tests.support.server import Server

from .figures import MIB
from .loads import IN_FLIGHT, Pace, Times, send
from .payload import Payload
from .shapes import TUS, send_forms, tus_patches
from .wire import Answer, Connection, Request, json_of, json_request, path_of

#: The digest of each chunk that is declared.
SHA256, BLAKE3, NONE = "sha-256", "blake3", ""

_UPLOADS = "/api/v1/uploads"
_JSON = "/api/v1/upload"
_CHUNKED = "/api/chunked-upload/"
#: Seconds between two questions whether an upload is complete.
_POLL = 0.005
_TIMEOUT = 300.0


@dataclass(frozen=True)
class Finished:
    """An upload and its verification. `completed` is when an answer first said so."""

    times: Times
    completed: float

    @property
    def seconds(self) -> float:
        return self.completed - self.times.begun

    @property
    def after_last_byte(self) -> float:
        return self.completed - self.times.sent


class Holdfast:
    """Speaks to one server as the holder of a token of its first account."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.port = server.port
        self.headers = {"Authorization": f"Bearer {server.issue_token()}"}

    def send_native(self, payload: Payload, declared: str) -> Times:
        """Chunks of 5 MiB, three in flight; until the last is acknowledged.

        Where no digest is declared, the file's own isn't either.
        """
        session_id = self.open(payload, with_hash=declared != NONE)
        with self._deleted(session_id):
            times = send(self.port, self.chunks(session_id, payload, declared), IN_FLIGHT)
            if declared == NONE:
                self.ask("POST", f"{_UPLOADS}/{session_id}/complete", {})
            self.wait_until_completed(session_id)
        return times

    def send_and_verify(
        self, payload: Payload, declared: str = BLAKE3, pace: Pace | None = None
    ) -> Finished:
        """As `send_native`, until the upload is complete."""
        session_id = self.open(payload)
        requests = self.chunks(session_id, payload, declared)
        with self._deleted(session_id):
            times = send(self.port, requests, IN_FLIGHT, pace)
            return Finished(times, self.wait_until_completed(session_id))

    def send_json(self, payload: Payload) -> Times:
        """Chunks of 5 MiB as base64, three in flight; SHA-256 of each, as this protocol wants."""
        fields = {"filename": payload.name, "total_size": payload.size}
        begun = {**fields, "chunk_size": payload.chunk_size, "file_hash": payload.sha256}
        session_id = str(json_of(self.ask("POST", f"{_JSON}/init", begun))["upload_id"])
        headers = {**self.headers, "Content-Type": "application/json"}
        requests = [
            Request("POST", f"{_JSON}/chunk", headers, (head.encode(), text, b'"}'))
            for head, text in zip(
                _json_heads(session_id, payload), payload.base64_of_chunks, strict=True
            )
        ]
        with self._deleted(session_id):
            times = send(self.port, requests, IN_FLIGHT)
            self.ask("POST", f"{_JSON}/complete", {"upload_id": session_id})
            self.wait_until_completed(session_id)
        return times

    def send_tus(self, payload: Payload, *, in_one: bool) -> Times:
        """One PATCH, or one of 5 MiB after another; until the last is answered."""
        created = {**TUS, **self.headers, "Upload-Length": str(payload.size)}
        with Connection(self.port) as connection:
            location = connection.ask(Request("POST", "/files/", created)).headers["Location"]
        path = path_of(location)
        session_id = path.rpartition("/")[2]
        with self._deleted(session_id):
            times = send(self.port, tus_patches(path, payload, self.headers, in_one=in_one))
            self.wait_until_completed(session_id)
        return times

    def send_chunked_upload(self, payload: Payload) -> Times:
        """Forms of 5 MiB one after another, then the MD5 of all; until that is answered."""
        times, upload_id = send_forms(
            self.port, _CHUNKED, f"{_CHUNKED}complete/", payload, self.headers
        )
        session_id = str(UUID(upload_id))
        with self._deleted(session_id):
            self.wait_until_completed(session_id)
        return times

    def open(self, payload: Payload, *, with_hash: bool = True) -> str:
        """The id of a new session, nothing of it sent."""
        declared = {"sha256": payload.sha256} if with_hash else {}
        wanted = {"filename": payload.name, "size": payload.size, **declared}
        answer = self.ask(
            "POST", f"{_UPLOADS}/handshake", {**wanted, "chunk_size": payload.chunk_size}
        )
        session = json_of(answer)
        assert session["status"] == "created", f"the file is known already: {session['status']}"
        return str(session["id"])

    def chunks(self, session_id: str, payload: Payload, declared: str) -> list[Request]:
        """All of them, in order."""
        digests: Sequence[bytes | None] = [None] * len(payload.chunks)
        if declared != NONE:
            by_sha256 = declared == SHA256
            digests = payload.sha256_of_chunks if by_sha256 else payload.blake3_of_chunks
        path = f"{_UPLOADS}/{session_id}/chunks/"
        return [
            Request("PUT", f"{path}{chunk.index}", self._digest(declared, digest), chunk.parts)
            for chunk, digest in zip(payload.chunks, digests, strict=True)
        ]

    def ask(self, method: str, path: str, body: dict[str, object] | None = None) -> Answer:
        """On a connection of its own. Raises Refused."""
        with Connection(self.port) as connection:
            if body is None:
                return connection.ask(Request(method, path, self.headers))
            return connection.ask(json_request(method, path, self.headers, body))

    def wait_until_completed(self, session_id: str) -> float:
        """The moment when an answer said so. Raises AssertionError for any other end."""
        question = Request("GET", f"{_UPLOADS}/{session_id}", self.headers)
        end = time.monotonic() + _TIMEOUT
        with Connection(self.port) as connection:
            while True:
                state = json_of(connection.ask(question))["state"]
                if state == "completed":
                    return time.perf_counter()
                assert state in {"active", "assembling"}, f"the upload is {state}"
                assert time.monotonic() < end, f"not verified within {_TIMEOUT:.0f} s"
                time.sleep(_POLL)

    def delete(self, session_id: str) -> None:
        self.ask("DELETE", f"{_UPLOADS}/{session_id}")

    def warm_up(self) -> None:
        """Imports, and the first connections of the database; hardly any of the pool of buffers.

        Several times, for the system gives each connection to a worker at random.
        """
        for _ in range(6 * len(self.server.worker_pids)):
            self.send_native(Payload(MIB), SHA256)

    @contextmanager
    def _deleted(self, session_id: str) -> Iterator[None]:
        try:
            yield
        finally:
            self.delete(session_id)

    def _digest(self, algorithm: str, value: bytes | None) -> dict[str, str]:
        if value is None:
            return self.headers
        encoded = base64.b64encode(value).decode()
        return {**self.headers, "Content-Digest": f"{algorithm}=:{encoded}:"}


def _json_heads(session_id: str, payload: Payload) -> Iterator[str]:
    for chunk, digest in zip(payload.chunks, payload.sha256_of_chunks, strict=True):
        yield (
            f'{{"upload_id": "{session_id}", "chunk_index": {chunk.index}, '
            f'"checksum": "{digest.hex()}", "chunk_data": "'
        )


@contextmanager
def running_holdfast(**environment: str) -> Iterator[Holdfast]:
    """A server of its own as it comes, warm."""
    with Server(workers=None, **environment) as server:
        holdfast = Holdfast(server)
        holdfast.warm_up()
        yield holdfast
