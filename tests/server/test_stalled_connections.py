"""A real server with 200 stalled clients: nothing that others need is held (P5, P8)."""

import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from tests.support.bodies import WAIT_SECONDS, payload
from tests.support.client import CLIENT_SECONDS, NativeClient
from tests.support.server import Server
from tests.support.stalled import stalled, wait_beside_others
from tests.support.threads import Running
from tests.support.waiting import wait_until
from uploads import conf
from uploads.core.plan import KIB, MIB

pytestmark = pytest.mark.server

STALLED = 200
#: Whose they are: each has less in flight than one person may.
USERS = 5
CHUNK = 5 * MIB
#: What each has sent: together several times the pool.
SENT = MIB
DEFAULTS = conf.parse({"ROOT": "/unused"})
POOL = DEFAULTS.memory_pool
MOST_OF_ONE = DEFAULTS.max_requests_per_user
#: Beside the pool, for each connection: the touched part of its thread's stack, what Django keeps
#: of the request, and up to five buffers of 64 KiB of granian's. Measured: 600 KiB.
BESIDE_THE_POOL = 768 * KIB
#: Connections that clients keep alive, and a request that ends at this moment.
SOME_DESCRIPTORS = 8


def chunk_request(session: dict[str, Any], token: str, data: bytes, sent: int) -> bytes:
    """A PUT of chunk 0 that has got as far as `sent` bytes."""
    head = (
        f"PUT /api/v1/uploads/{session['id']}/chunks/0 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data[:sent]


def json_request(token: str) -> bytes:
    head = (
        "POST /api/v1/uploads/handshake HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        "Content-Length: 400\r\n\r\n"
    )
    return head.encode() + b'{"filename"'


SIGN_IN_REQUEST = (
    b"POST /sign-in/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 400\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n"
    b"Cookie: csrftoken=" + b"a" * 32 + b"\r\n\r\nusername=adm"
)
HALF_A_HEAD = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half: "
NOTHING = b""
KEPT_ALIVE = b"GET /sign-in/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def download_request(session: dict[str, Any], token: str) -> bytes:
    return (
        f"GET /api/v1/uploads/{session['id']}/content HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {token}\r\n\r\n"
    ).encode()


def another_user(server: Server, name: str) -> str:
    """A token of a new user."""
    server.manage("createsuperuser", "--noinput", f"--username={name}", "--email=x@localhost")
    return server.issue_token(name)


@pytest.fixture(scope="module")
def tokens(server: Server, token: str) -> list[str]:
    """One of each of USERS users, the first of whom is the `client`."""
    return [token, *(another_user(server, f"user-{n}") for n in range(1, USERS))]


@pytest.fixture
def clients(server: Server, tokens: list[str]) -> Iterator[list[NativeClient]]:
    clients = [NativeClient(server.url, token) for token in tokens]
    yield clients
    for client in clients:
        client.close()


def sign_in_page(server: Server) -> object:
    """The status that a page is answered with, while others ask for it too."""
    url = f"{server.url}/sign-in/"
    page = Running(lambda: requests.get(url, timeout=CLIENT_SECONDS).status_code)
    wait_beside_others(server, lambda: not page.is_alive(), "the page")
    return page.result()


def is_completed(client: NativeClient, session: dict[str, Any]) -> bool:
    return bool(client.status(session["id"]).json()["state"] == "completed")


def upload(client: NativeClient, data: bytes) -> dict[str, Any]:
    session = client.begin(data)
    client.send_missing(data, session)
    wait_until(lambda: is_completed(client, session), "completion")
    assert client.content(session["id"]).content == data
    return session


def test_p5_p8_200_stalled_chunks_hold_no_page_no_upload_and_no_more_memory_than_the_pool(
    server: Server, tokens: list[str], clients: list[NativeClient]
) -> None:
    client = clients[0]
    upload(client, payload(2 * CHUNK, seed=40))
    payloads = [payload(CHUNK, seed=41 + n) for n in range(USERS)]
    sessions = [one.begin(data) for one, data in zip(clients, payloads, strict=True)]
    memory, descriptors = server.own_bytes(), server.descriptors()
    bodies = [
        chunk_request(session, token, data, SENT)
        for session, token, data in zip(sessions, tokens, payloads, strict=True)
        for _ in range(STALLED // USERS)
    ]
    with stalled(server, bodies):
        wait_beside_others(server, lambda: server.arriving() == STALLED, "every body to be read")
        assert sign_in_page(server) == 200
        assert client.request("GET", "/api/v1/uploads").status_code == 200
        upload(client, payload(2 * CHUNK + 1000, seed=50))
        # A client back beside its own half-dead connections, 40 in this session.
        resumed = client.begin(payloads[0])
        assert (resumed["id"], resumed["missing"]) == (sessions[0]["id"], [0])
        client.send_missing(payloads[0], resumed)
        wait_until(lambda: is_completed(client, resumed), "completion")
        growth = server.own_bytes() - memory
        assert growth < POOL + STALLED * BESIDE_THE_POOL, f"{growth // MIB} MiB"
    wait_until(lambda: not server.arriving(), "the end of the bodies")
    wait_until(
        lambda: server.descriptors() <= descriptors + SOME_DESCRIPTORS,
        "the descriptors to be level",
    )
    assert clients[1].status(sessions[1]["id"]).json()["missing"] == [0]
    assert client.content(sessions[0]["id"]).content == payloads[0]


@pytest.mark.parametrize("kind", ["json", "sign-in", "half a head"])
def test_p5_stalled_json_forms_and_heads_stop_neither_pages_nor_uploads(
    server: Server, tokens: list[str], client: NativeClient, kind: str
) -> None:
    kinds = {
        "json": [json_request(token) for token in tokens],
        "sign-in": [SIGN_IN_REQUEST] * USERS,
        "half a head": [HALF_A_HEAD] * USERS,
    }[kind]
    with stalled(server, kinds * (STALLED // USERS)) as sockets:

        def are_accepted() -> bool:
            # Of forms few are read at once; the others are refused, and their connections ended.
            refused = select.select(sockets, [], [], 0)[0]
            return server.descriptors() + len(refused) >= STALLED

        wait_until(are_accepted, "the connections to be accepted")
        assert sign_in_page(server) == 200
        session = upload(client, payload(300_000, seed=60))
    client.delete(session["id"])


def test_p5_the_stalled_bodies_of_one_user_stop_that_user_and_no_other(
    server: Server, tokens: list[str], clients: list[NativeClient]
) -> None:
    one, other = clients[:2]
    data = payload(CHUNK, seed=65)
    session = one.begin(data)
    with stalled(server, [chunk_request(session, tokens[0], data, SENT)] * 60):
        wait_beside_others(
            server, lambda: server.arriving() == MOST_OF_ONE, "all that one user may have"
        )
        refusal = one.put_chunk(session["id"], 0, data[:CHUNK])
        assert (refusal.status_code, refusal.json()["code"]) == (429, "too_many_requests")
        assert refusal.headers["Retry-After"] == "1"
        assert one.handshake("another.bin", 10).status_code == 429
        assert one.status(session["id"]).json()["missing"] == [0], "to ask is possible"
        upload(other, payload(2 * CHUNK, seed=66))
        assert server.arriving() == MOST_OF_ONE
    wait_until(lambda: not server.arriving(), "the end of the bodies")
    # Nobody is shut out by what has ended, refused or not.
    wait_until(lambda: one.handshake("another.bin", 10).status_code == 201, "a place")
    one.send_missing(data, session)
    wait_until(lambda: is_completed(one, session), "completion")


@contextmanager
def impatience(server: Server, seconds: int) -> Iterator[None]:
    """Within, an `impatient_server` ends connections after so long without news."""
    told = server.data / "impatient"
    told.write_text(str(seconds))
    try:
        yield
    finally:
        told.unlink()


@pytest.fixture(scope="module")
def impatient_server() -> Iterator[Server]:
    """One that can be told to end connections after few seconds without news."""
    with Server(DJANGO_SETTINGS_MODULE="tests.support.impatient_settings") as server:
        yield server


@pytest.fixture
def impatient_client(impatient_server: Server) -> Iterator[NativeClient]:
    client = NativeClient(impatient_server.url, impatient_server.issue_token())
    yield client
    client.close()


def is_ended(connection: socket.socket) -> bool:
    """Whether the server has ended it, whatever it sent before."""
    while select.select([connection], [], [], 0)[0]:
        try:
            if not connection.recv(65536):
                return True
        except ConnectionResetError:
            return True
    return False


def test_p5_p8_whatever_stalls_is_ended_and_leaves_nothing(
    impatient_server: Server, impatient_client: NativeClient
) -> None:
    server, client = impatient_server, impatient_client
    token = server.issue_token()
    complete = upload(client, payload(4 * CHUNK, seed=70))
    data = payload(CHUNK, seed=71)
    session = client.begin(data)
    descriptors = server.descriptors()
    kinds = [
        chunk_request(session, token, data, SENT),
        json_request(token),
        SIGN_IN_REQUEST,
        HALF_A_HEAD,
        NOTHING,
        KEPT_ALIVE,
    ]
    with stalled(server, [kind for kind in kinds for _ in range(20)]) as sockets:
        wait_beside_others(server, lambda: server.arriving() == 20, "the bodies to be read")
        with impatience(server, 3):
            for connection in sockets:
                wait_until(lambda: is_ended(connection), "the end of each connection")  # noqa: B023
            wait_until(lambda: not server.arriving(), "the end of the bodies")
    # Not looked at by their clients: to read an answer would keep it going.
    with stalled(server, [download_request(complete, token)] * 20):
        wait_beside_others(
            server, lambda: server.open_files("/content/") == 20, "the downloads to begin"
        )
        with impatience(server, 3):
            wait_until(lambda: server.descriptors() <= descriptors + SOME_DESCRIPTORS, "their end")
    assert client.begin(data)["missing"] == [0]
    client.send_missing(data, session)
    wait_until(lambda: is_completed(client, session), "completion")
    assert "Traceback" not in server.log
    assert " ERROR " not in server.log


def test_p5_a_slow_client_is_not_ended_while_another_stalls(
    impatient_server: Server, impatient_client: NativeClient
) -> None:
    server, client = impatient_server, impatient_client
    data = payload(MIB, seed=72)
    session = client.begin(data)
    start = chunk_request(session, server.issue_token(), data, 0)
    sent = 0
    # Longer than this test itself is likely to be kept from sending.
    with stalled(server, [start, start]) as (slow, other):
        with impatience(server, 10):
            while not is_ended(other):
                assert sent < len(data) // 2, "the other should have ended long ago"
                slow.sendall(data[sent : sent + 100])
                sent += 100
                select.select([other], [], [], 0.05)
        slow.sendall(data[sent:])
        slow.settimeout(WAIT_SECONDS)
        assert slow.recv(65536).startswith(b"HTTP/1.1 200 ")
    wait_until(lambda: is_completed(client, session), "completion")
