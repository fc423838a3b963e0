"""A real server, killed: P3, P7, and a port that can be bound again at once."""

from collections.abc import Iterator

import pytest
import requests

from tests.support.bodies import SMALL_CHUNK, cut, payload
from tests.support.client import NativeClient
from tests.support.proxy import Proxy
from tests.support.server import Server, is_alive
from tests.support.threads import Running
from tests.support.waiting import wait_until
from uploads.core.plan import MIB

pytestmark = pytest.mark.server


@pytest.fixture
def running(server: Server) -> Iterator[Server]:
    """The module's server, running again after a test that killed it."""
    yield server
    server.restart()


def state(client: NativeClient, upload_id: str) -> str:
    text: str = client.status(upload_id).json()["state"]
    return text


def test_p3_nothing_acknowledged_is_lost(running: Server, client: NativeClient) -> None:
    data = payload(8 * SMALL_CHUNK, seed=8)
    session = client.begin(data, chunk_size=SMALL_CHUNK)
    for index in (6, 1, 3, 0):
        client.put_chunk(session["id"], index, cut(data, SMALL_CHUNK)[index]).raise_for_status()
    running.kill9()
    running.start()
    resumed = client.begin(data)
    assert (resumed["status"], resumed["missing"]) == ("resumed", [2, 4, 5, 7])
    client.send_missing(data, resumed)
    wait_until(lambda: state(client, session["id"]) == "completed", "completion")
    assert client.content(session["id"]).content == data


def told_offset(client: NativeClient, upload_id: str) -> int:
    return int(client.request("HEAD", f"/upload/{upload_id}").headers["Upload-Offset"])


def put_stream(client: NativeClient, upload_id: str, data: bytes, offset: int) -> int:
    headers = {"Upload-Offset": str(offset)}
    answer = client.request("PUT", f"/upload/{upload_id}", data=data[offset:], headers=headers)
    return answer.status_code


def test_p3_a_stream_that_is_killed_within_a_chunk_keeps_every_byte_it_was_told_of(
    running: Server, client: NativeClient, token: str
) -> None:
    data, bytes_per_second = payload(12 * MIB, seed=10), MIB
    session = client.begin(data, chunk_size=8 * MIB)
    with Proxy(running.port) as proxy:
        proxy.throttle(bytes_per_second)
        through = NativeClient(proxy.url, token)
        stream = Running(lambda: put_stream(through, session["id"], data, 0))
        told = wait_until(lambda: told_offset(client, session["id"]), "the first bytes to be kept")
        wait_until(
            lambda: proxy.bytes_upstream > told + bytes_per_second, "bytes that are not kept yet"
        )
        told = told_offset(client, session["id"])
        running.kill9()
        with pytest.raises(requests.ConnectionError):
            stream.result()
        through.close()
    running.start()
    kept = told_offset(client, session["id"])
    assert told <= kept < 8 * MIB
    assert put_stream(client, session["id"], data, kept) == 200
    wait_until(lambda: state(client, session["id"]) == "completed", "completion")
    assert client.content(session["id"]).content == data


def test_a_kill_leaves_no_worker_and_the_port_free(running: Server) -> None:
    pids = running.pids
    assert len(pids) > 1
    running.kill9()
    assert not any(is_alive(pid) for pid in pids)
    running.start()
    running.restart()


def test_p7_a_kill_while_assembling_is_made_good_at_the_next_start(
    running: Server, client: NativeClient
) -> None:
    chunk = payload(16 * MIB, seed=9)
    for attempt in range(5):
        session = client.handshake(f"{attempt}", 12 * len(chunk), chunk_size=len(chunk)).json()
        for index in range(12):
            client.put_chunk(session["id"], index, chunk, digest=False).raise_for_status()
        client.complete(session["id"]).raise_for_status()
        running.kill9()
        running.start()
        seen = state(client, session["id"])
        wait_until(lambda: state(client, session["id"]) == "completed", "recovery")  # noqa: B023
        client.delete(session["id"])
        if seen == "assembling":
            return
    pytest.skip("the verifier was faster than the kill, five times")
