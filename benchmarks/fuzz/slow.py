"""Bodies that hardly move: a byte now and then, never the last one, while all others go on."""

import itertools
import socket
import threading
from typing import Self

from tests.support.bodies import SMALL_CHUNK

from .drafts import BOUNDARY
from .population import OWNERS, Population

#: Seconds between two bytes of each connection. The server ends those that stand still for 75 s.
_PAUSE = 0.3
_FORM = f"multipart/form-data; boundary={BOUNDARY}"


class SlowBodies:
    """`with SlowBodies(...)`: so many connections drip. One that the server ends begins anew."""

    def __init__(self, port: int, population: Population, count: int) -> None:
        self._port = port
        self._population = population
        self._count = count
        self._over = threading.Event()
        self._open: list[socket.socket] = []
        #: Connections that were begun, and bytes of bodies that were sent on them.
        self.begun = self.bytes = 0
        self._heads = itertools.cycle(self._requests())

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._drip, name="slow bodies")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Every body ends where it is."""
        self._over.set()
        self._thread.join()
        for connection in self._open:
            connection.close()

    @property
    def ids(self) -> set[str]:
        """The uploads that they are about, in hex. Nothing of them may change in the end."""
        return {self._population.uploads[owner, "slow"].hex for owner in OWNERS}

    def _drip(self) -> None:
        while not self._over.wait(_PAUSE):
            while len(self._open) < self._count:
                self._open.append(self._begin(next(self._heads)))
            self._open = [connection for connection in self._open if self._feed(connection)]

    def _begin(self, request: bytes) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self._port), 30)
        connection.sendall(request)
        self.begun += 1
        return connection

    def _feed(self, connection: socket.socket) -> bool:
        try:
            connection.sendall(b" ")
        except OSError:
            connection.close()
            return False
        self.bytes += 1
        return True

    def _requests(self) -> list[bytes]:
        """Of each kind of body one, for each of the two people; each with room for many bytes."""
        found = []
        for owner in OWNERS:
            upload = self._population.uploads[owner, "slow"]
            token = f"Bearer {self._population.people[owner].token}"
            chunk = f"/api/v1/uploads/{upload.id}/chunks/0"
            part = f"/uploads/sessions/{upload.id}/parts/1"
            asked = [
                ("PUT", chunk, "application/octet-stream", SMALL_CHUNK),
                ("POST", chunk, _FORM, SMALL_CHUNK),
                ("PUT", part, "", SMALL_CHUNK),
                ("POST", "/api/v1/uploads/handshake", "application/json", 60_000),
                ("POST", "/api/v1/upload/chunk", "application/json", SMALL_CHUNK),
                ("POST", "/api/chunked-upload/", _FORM, SMALL_CHUNK),
                ("POST", "/uploads/send", _FORM, SMALL_CHUNK),
                ("POST", "/sign-in/", "application/x-www-form-urlencoded", 60_000),
            ]
            for method, path, kind, length in asked:
                head = [
                    f"{method} {path} HTTP/1.1",
                    "Host: localhost",
                    f"Authorization: {token}",
                    f"Content-Type: {kind}",
                    f"Content-Length: {length}",
                ]
                found.append("\r\n".join([*head, "", ""]).encode())
        return found
