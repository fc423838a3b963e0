"""A real server: downloads are cut off and go on, wait for nobody, and leave nothing behind."""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from hashlib import sha256 as new_sha256
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.bodies import WAIT_SECONDS, payload, sha256
from tests.support.client import NativeClient
from tests.support.proxy import Proxy
from tests.support.server import Server
from tests.support.stalled import wait_beside_others
from tests.support.waiting import wait_until
from uploads import conf
from uploads.core.plan import KIB, MIB
from uploads.engine.database import KEPT

pytestmark = pytest.mark.server

#: More than the buffers between the server's disk and a client that reads nothing.
SIZE = 16 * MIB
DATA = payload(SIZE, seed=40)
DOWNLOADS = conf.parse({"ROOT": "/unused"}).max_downloads
#: Headers, and what is on its way when a connection is cut.
SMALL_TALK = 64 * KIB
#: What curl says of a transfer that ended before its time: partial file, or receive error.
CUT_OFF = {18, 56}
#: What `curl --fail` says of a status from 400.
REFUSED = 22


@pytest.fixture(scope="module")
def url(server: Server, token: str) -> str:
    """The path of the content of a file of SIZE."""
    with closing(NativeClient(server.url, token)) as client:
        path: str = send(client, DATA)["urls"]["content"]
        return path


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with Proxy(server.port) as proxy:
        yield proxy


def send(client: NativeClient, data: bytes) -> dict[str, Any]:
    session = client.begin(data)
    client.send_missing(data, session)
    wait_until(lambda: client.status(session["id"]).json()["state"] == "completed", "completion")
    return session


def curl(address: str, token: str, target: Path, *options: str) -> int:
    """Run `curl -C -`; its exit code."""
    command = ["curl", "-sS", "--fail", "-C", "-", "-o", str(target), *options]
    done = subprocess.run(
        [*command, "-H", f"Authorization: Bearer {token}", address],
        check=False,
        capture_output=True,
        timeout=120,
    )
    return done.returncode


@contextmanager
def waiting_readers(server: Server, token: str, url: str, count: int) -> Iterator[None]:
    """So many downloads whose clients read nothing."""
    request = (
        f"GET {url} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n"
    ).encode()
    with ExitStack() as stack:
        for _ in range(count):
            one = stack.enter_context(socket.socket())
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * KIB)
            one.connect(("127.0.0.1", server.port))
            one.sendall(request)
        wait_beside_others(
            server, lambda: server.open_files("/content/") == count, "the downloads to begin"
        )
        yield


def test_curl_goes_on_with_half_a_file(proxy: Proxy, token: str, url: str, tmp_path: Path) -> None:
    target = tmp_path / "film"
    target.write_bytes(DATA[: SIZE // 2])
    assert curl(proxy.url + url, token, target) == 0
    assert sha256(target.read_bytes()) == sha256(DATA)
    assert proxy.bytes_downstream < SIZE // 2 + SMALL_TALK


def test_curl_leaves_a_complete_file_alone(
    proxy: Proxy, token: str, url: str, tmp_path: Path
) -> None:
    target = tmp_path / "film"
    target.write_bytes(DATA)
    assert curl(proxy.url + url, token, target, "--no-fail") == 0
    assert curl(proxy.url + url, token, target) == REFUSED, "a 416"
    assert target.read_bytes() == DATA
    assert proxy.bytes_downstream < SMALL_TALK


def test_curl_puts_no_refusal_into_the_file(proxy: Proxy, url: str, tmp_path: Path) -> None:
    target = tmp_path / "film"
    target.write_bytes(DATA[:1000])
    assert curl(proxy.url + url, "unknown", target) == REFUSED
    assert target.read_bytes() == DATA[:1000]


def test_curl_gets_through_one_cut_after_another_and_nothing_comes_twice(
    proxy: Proxy, token: str, url: str, tmp_path: Path
) -> None:
    target = tmp_path / "film"
    for _ in range(3):
        proxy.cut_down_after(5 * MIB)
        assert curl(proxy.url + url, token, target) in CUT_OFF
        assert proxy.was_cut.wait(WAIT_SECONDS)
        proxy.heal()
    assert curl(proxy.url + url, token, target) == 0
    assert sha256(target.read_bytes()) == sha256(DATA)
    assert proxy.bytes_downstream < SIZE + SMALL_TALK


def test_head_tells_the_length_over_a_real_connection(client: NativeClient, url: str) -> None:
    head, whole = client.request("HEAD", url), client.request("GET", url)
    assert (head.status_code, head.content) == (200, b"")
    assert sha256(whole.content) == sha256(DATA)
    for name in ("Content-Length", "ETag", "Last-Modified", "Repr-Digest", "Accept-Ranges"):
        assert head.headers[name] == whole.headers[name]
    unmodified = client.request("GET", url, headers={"If-None-Match": head.headers["ETag"]})
    assert (unmodified.status_code, unmodified.content) == (304, b"")
    assert client.request("GET", url, headers={"Range": "bytes=-3"}).content == DATA[-3:]


def test_p8_memory_is_level_while_a_large_file_is_read_slowly(
    server: Server, token: str, client: NativeClient
) -> None:
    piece, pieces = payload(5 * MIB, seed=41), 50
    session = client.handshake("large", pieces * len(piece)).json()
    for index in range(pieces):
        client.put_chunk(session["id"], index, piece, digest=False).raise_for_status()
    client.complete(session["id"]).raise_for_status()
    wait_until(lambda: client.status(session["id"]).json()["state"] == "completed", "completion")
    expected, received = new_sha256(piece * pieces), new_sha256()
    before = server.resident_bytes()
    most, count = before, 0
    with client.content(session["id"], stream=True) as answer:
        for part in answer.iter_content(64 * KIB):
            received.update(part)
            count += 1
            if count % 100 == 0:
                most = max(most, server.resident_bytes())
    assert received.digest() == expected.digest()
    assert most - before < 16 * MIB
    client.delete(session["id"])


def test_p5_a_client_that_reads_nothing_holds_no_connection_to_the_database(
    server: Server, token: str, url: str
) -> None:
    with waiting_readers(server, token, url, 2 * KEPT):
        wait_until(server.holds_few_databases, "the database to be let go of")
        assert server.open_files("/content/") == 2 * KEPT


def test_p8_places_and_descriptors_come_back_when_clients_go(
    server: Server, token: str, client: NativeClient, url: str
) -> None:
    client.request("HEAD", url).raise_for_status()
    before = server.descriptors()
    for _ in range(2):
        with waiting_readers(server, token, url, DOWNLOADS):
            answer = client.request("GET", url, headers={"Range": "bytes=0-0"})
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert int(answer.headers["Retry-After"]) > 0
            assert client.request("HEAD", url).status_code == 200, "others are still answered"
        wait_until(lambda: server.open_files("/content/") == 0, "the downloads to end")
    assert client.request("GET", url).content == DATA
    wait_until(lambda: server.descriptors() <= before + 4, "the descriptors to be level")


def test_p1_a_file_that_shrinks_on_its_way_out_does_not_arrive_as_if_it_were_whole(
    server: Server, token: str, client: NativeClient
) -> None:
    data = payload(SIZE, seed=42)
    session = send(client, data)
    (path,) = (server.data / "uploads" / "content" / sha256(data)).iterdir()
    with client.content(session["id"], stream=True) as answer:
        assert answer.raw.read(MIB) == data[:MIB]
        os.truncate(path, 0)
        with pytest.raises(requests.exceptions.RequestException):
            list(answer.iter_content(MIB))
    again = client.content(session["id"])
    assert (again.status_code, again.json()["code"]) == (409, "content_damaged")
    client.delete(session["id"])
