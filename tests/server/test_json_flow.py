"""A real server and the JSON protocol, spoken with `requests` alone."""

import base64
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from tests.support.bodies import SMALL_CHUNK, WAIT_SECONDS, cut, payload, sha256
from tests.support.server import Server
from tests.support.signatures import content_for
from tests.support.waiting import wait_until
from uploads.core.plan import KIB, MIB
from uploads.protocols.bodies import MAX_DRAIN_BYTES
from uploads.protocols.json_api import MAX_CHUNK_BODY_BYTES, MAX_DECODING

pytestmark = pytest.mark.server

CHUNK = 5 * MIB
AT_ONCE = 8
#: What a chunk is in base64.
ENCODED = -(-CHUNK // 3) * 4
#: Of each chunk in memory: its text twice (as it is parsed, the string beside the whole), as much
#: again that the allocator keeps of what was freed, and a buffer of the pool.
OF_ONE_IN_MEMORY = 4 * ENCODED + CHUNK
#: Of each connection, as in `test_stalled_connections`.
OF_A_CONNECTION = 768 * KIB
#: 69 MiB. Measured: 43 to 62; 150 when all the server's threads decode.
MAX_GROWTH = MAX_DECODING * OF_ONE_IN_MEMORY + AT_ONCE * OF_A_CONNECTION
LOOK_SECONDS = 0.002


@pytest.fixture
def http(token: str) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {token}"
        yield session


def fields_of(upload_id: str, index: int, chunk: bytes) -> dict[str, Any]:
    return {
        "upload_id": upload_id,
        "chunk_index": index,
        "chunk_data": base64.b64encode(chunk).decode(),
        "checksum": sha256(chunk),
    }


def test_a_script_that_was_interrupted_goes_on_where_it_was(
    server: Server, http: requests.Session
) -> None:
    """B3, B10: the way of a file, in the few requests that a script needs."""
    api, data = f"{server.url}/api/v1/upload", content_for("film.mp4", 5 * SMALL_CHUNK - 7, seed=31)
    chunks = cut(data, SMALL_CHUNK)
    offer = {"filename": "film.mp4", "total_size": len(data), "file_hash": sha256(data)}
    begun = http.post(f"{api}/init", json={**offer, "chunk_size": SMALL_CHUNK})
    assert begun.status_code == 201
    upload_id = begun.json()["upload_id"]
    for index in (0, 3):
        sent = http.post(f"{api}/chunk", json=fields_of(upload_id, index, chunks[index]))
        assert sent.status_code == 200
    # A connection that breaks inside a chunk.
    _send_half(server, http, json.dumps(fields_of(upload_id, 1, chunks[1])).encode())
    missing = http.get(f"{api}/status/{upload_id}").json()["progress"]["missing_chunks"]
    assert missing == [1, 2, 4]
    for index in missing:
        sent = http.post(f"{api}/chunk", json=fields_of(upload_id, index, chunks[index]))
        assert (sent.status_code, sent.json()["duplicate"]) == (200, False)

    def verdict() -> Any:
        answer = http.post(f"{api}/complete", json={"upload_id": upload_id})
        # A 202 says that the verification takes longer than a request waits.
        return None if answer.status_code == 202 else answer

    done = wait_until(verdict, "the verdict")
    assert (done.status_code, done.json()["status"]) == (200, "completed")
    assert http.get(server.url + done.json()["file_path"]).content == data


def _send_half(server: Server, http: requests.Session, body: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(_head(http, len(body)) + body[: len(body) // 2])


def _head(http: requests.Session, length: int) -> bytes:
    """The head of a request for a chunk."""
    head = (
        "POST /api/v1/upload/chunk HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: {http.headers['Authorization']!s}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
    return head.encode()


@contextmanager
def watched(server: Server) -> Iterator[list[int]]:
    """The most memory of its own that the server has had within, as the last of the list."""
    peak, done = [server.own_bytes()], threading.Event()

    def look() -> None:
        while not done.wait(LOOK_SECONDS):
            peak.append(max(peak[-1], server.own_bytes()))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


def test_p8_of_chunks_at_once_two_are_in_memory(server: Server, http: requests.Session) -> None:
    api, chunk = f"{server.url}/api/v1/upload", payload(CHUNK, seed=32)
    total = 6 * AT_ONCE
    offer = {"filename": "big", "total_size": total * CHUNK, "chunk_size": CHUNK}
    upload_id = http.post(f"{api}/init", json=offer).json()["upload_id"]
    bodies = [json.dumps(fields_of(upload_id, index, chunk)) for index in range(total)]
    headers = {**http.headers, "Content-Type": "application/json"}

    def send(body: str) -> int:
        return requests.post(f"{api}/chunk", body, headers=headers, timeout=120).status_code

    before = server.own_bytes()
    with watched(server) as peaks, ThreadPoolExecutor(AT_ONCE) as workers:
        assert set(workers.map(send, bodies)) == {200}
    growth = peaks[-1] - before
    print(f"{AT_ONCE} chunks at once: {growth / MIB:.0f} of {MAX_GROWTH / MIB:.0f} MiB")
    assert growth < MAX_GROWTH
    http.post(f"{api}/cancel", json={"upload_id": upload_id})


def test_p8_a_body_over_the_bound_is_refused_before_it_has_come(
    server: Server, http: requests.Session
) -> None:
    """What is taken in, so that the answer is read, is dropped as it comes."""
    head = _head(http, MAX_CHUNK_BODY_BYTES + 1)
    assert MAX_DRAIN_BYTES < MAX_CHUNK_BODY_BYTES
    with (
        watched(server) as peaks,
        socket.create_connection(("127.0.0.1", server.port)) as connection,
    ):
        connection.sendall(head + bytes(MAX_DRAIN_BYTES))
        connection.settimeout(WAIT_SECONDS)
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert peaks[-1] - peaks[0] < MAX_DRAIN_BYTES // 2
