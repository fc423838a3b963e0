"""A real server and streams that do not keep to the grid: cut, stalled, slow, long (P3, P5, P8)."""

import contextlib
import hashlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.bodies import SMALL_CHUNK, WAIT_SECONDS, payload, sha256
from tests.support.client import NativeClient
from tests.support.proxy import Proxy
from tests.support.server import Server
from tests.support.stalled import wait_beside_others
from tests.support.threads import Running
from tests.support.waiting import wait_until
from uploads import conf
from uploads.core.bodies import READ_SIZE
from uploads.core.plan import KIB, MIB

pytestmark = pytest.mark.server

POOL = conf.parse({"ROOT": "/unused"}).memory_pool
#: Beside the pool: threads that come up, and what Python does not give back at once.
BESIDE_THE_POOL = 16 * MIB
#: Connections that clients keep alive, and a request that ends at this moment.
SOME_DESCRIPTORS = 8


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with Proxy(server.port) as proxy:
        yield proxy


def put(client: NativeClient, session: dict[str, Any], offset: int, body: Any) -> Any:
    """The answer to a stream; its status and its JSON."""
    headers = {"Upload-Offset": str(offset)}
    answer = client.request("PUT", f"/upload/{session['id']}", data=body, headers=headers)
    return answer.status_code, answer.json()


def told_offset(client: NativeClient, session: dict[str, Any]) -> int:
    return int(client.request("HEAD", f"/upload/{session['id']}").headers["Upload-Offset"])


def put_rest(client: NativeClient, session: dict[str, Any], data: bytes) -> Any:
    offset = told_offset(client, session)
    return put(client, session, offset, data[offset:])


def head_of(session: dict[str, Any], token: str, offset: int, length: int) -> bytes:
    head = (
        f"PUT /upload/{session['id']} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {token}\r\nUpload-Offset: {offset}\r\n"
        f"Content-Length: {length}\r\nConnection: close\r\n\r\n"
    )
    return head.encode()


def has_ended(server: Server, session: dict[str, Any]) -> bool:
    """Whether the server is through with a stream of this upload: its line is in the log."""
    ends = (line for line in server.log.splitlines() if '"route": "upload-stream"' in line)
    return any(session["id"] in line for line in ends)


def answer_on(connection: socket.socket) -> bytes:
    """All that comes until the server ends the connection."""
    pieces = []
    while piece := connection.recv(64 * KIB):
        pieces.append(piece)
    return b"".join(pieces)


def completed(client: NativeClient, session: dict[str, Any]) -> dict[str, Any]:
    def status() -> dict[str, Any]:
        body: dict[str, Any] = client.status(session["id"]).json()
        return body if body["state"] == "completed" else {}

    return wait_until(status, "completion")


@pytest.mark.parametrize("chunk_size", [SMALL_CHUNK, 5 * MIB])
def test_p3_what_the_server_has_read_before_a_cut_is_kept_to_the_byte(
    server: Server, proxy: Proxy, token: str, client: NativeClient, chunk_size: int
) -> None:
    data = payload(12 * MIB, seed=80)
    session = client.begin(data, chunk_size=chunk_size)
    passed = 7 * MIB + 12_345
    head = head_of(session, token, 0, len(data))
    proxy.cut_after(len(head) + passed)
    with socket.create_connection(("127.0.0.1", proxy.port)) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(head + data)
        assert proxy.was_cut.wait(WAIT_SECONDS)
    wait_until(lambda: has_ended(server, session), "the end of the cut stream")
    kept = told_offset(client, session)
    # The application is given whole reads or none: what came of the last one is lost.
    assert passed - READ_SIZE < kept <= passed
    proxy.heal()
    proxy.reset_count()
    through = NativeClient(proxy.url, token)
    assert put(through, session, kept, data[kept:])[1]["offset"] == len(data)
    assert len(data) - kept < proxy.bytes_upstream < len(data) - kept + 64 * KIB
    through.close()
    completed(client, session)
    assert client.content(session["id"]).content == data
    client.delete(session["id"])


def test_p5_a_stream_that_stalls_for_ever_holds_up_no_other_and_ends_without_harm(
    server: Server, token: str, client: NativeClient
) -> None:
    data = payload(3 * MIB, seed=81)
    session = client.begin(data, sha256="", resume_key="two", chunk_size=MIB)
    head, half = head_of(session, token, 0, len(data)), MIB + MIB // 2
    address = ("127.0.0.1", server.port)
    with socket.create_connection(address) as stalled, socket.create_connection(address) as late:
        # Both are let in before either moves the offset on.
        for connection in (stalled, late):
            connection.sendall(head + data[:1000])
        wait_beside_others(server, lambda: server.arriving() == 2, "both streams to be read")
        for connection in (stalled, late):
            connection.sendall(data[1000:half])
        wait_until(lambda: told_offset(client, session) >= MIB, "the first chunk")

        def goes_on() -> Any:
            # What a half-dead stream has brought of a chunk is its own until it ends or is slow;
            # then the offset moves on, perhaps between our question and our stream.
            answer = put_rest(client, session, data)
            return answer if answer[0] != 409 else None

        status, body = wait_until(goes_on, "a stream from the offset on")
        assert (status, body["offset"]) == (200, len(data))
        late.sendall(data[half:])
        assert answer_on(late).startswith(b"HTTP/1.1 200 ")
        client.complete(session["id"]).raise_for_status()
        assert completed(client, session)["sha256"] == sha256(data)
    assert client.content(session["id"]).content == data
    client.delete(session["id"])


def test_a_slow_stream_is_seen_to_make_progress_within_a_chunk(
    proxy: Proxy, token: str, client: NativeClient
) -> None:
    data = payload(6 * MIB, seed=82)
    session = client.begin(data, chunk_size=4 * MIB)
    through = NativeClient(proxy.url, token)
    proxy.throttle(MIB)
    told = [0]
    stream = Running(lambda: put(through, session, 0, data))

    def is_within_a_chunk() -> bool:
        told.append(told_offset(client, session))
        return told[-1] % (4 * MIB) != 0

    wait_until(is_within_a_chunk, "the first bytes of a chunk to be kept")
    assert 0 < told[-1] < 4 * MIB
    proxy.heal()
    assert stream.result() == (200, {"offset": len(data), "state": "assembling", "size": len(data)})
    told.append(told_offset(client, session))
    assert told == sorted(told)
    completed(client, session)
    assert client.content(session["id"]).content == data
    through.close()
    client.delete(session["id"])


class Numbered:
    """So many bytes, made as they are sent; `at_each` is called after every piece."""

    def __init__(self, pieces: int, at_each: Callable[[], object]) -> None:
        self._pieces, self._at_each = pieces, at_each
        self._block = payload(MIB, seed=83)
        self.digest = hashlib.sha256()

    def __len__(self) -> int:
        return self._pieces * MIB

    def __iter__(self) -> Iterator[bytes]:
        for number in range(self._pieces):
            piece = number.to_bytes(8, "big") + self._block[8:]
            self.digest.update(piece)
            yield piece
            self._at_each()


def test_p8_a_stream_of_256_mib_leaves_memory_and_descriptors_level(
    server: Server, client: NativeClient
) -> None:
    warm = client.begin(payload(12 * MIB, seed=84))
    assert put(client, warm, 0, payload(12 * MIB, seed=84))[0] == 200
    completed(client, warm)
    client.delete(warm["id"])
    before, descriptors = server.own_bytes(), server.descriptors()
    memory: list[int] = []
    body = Numbered(256, lambda: memory.append(server.own_bytes()))
    session = client.handshake("long", len(body)).json()
    assert put(client, session, 0, body)[0] == 200
    client.complete(session["id"]).raise_for_status()
    assert completed(client, session)["sha256"] == body.digest.hexdigest()
    growth = max(memory) - before
    print(f"256 MiB in one stream: memory grew by {growth / MIB:.1f} MiB at most")
    assert growth < POOL + BESIDE_THE_POOL
    wait_until(
        lambda: server.descriptors() <= descriptors + SOME_DESCRIPTORS,
        "the descriptors to be level",
    )
    client.delete(session["id"])
