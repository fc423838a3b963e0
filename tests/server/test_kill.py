"""A real server, killed: P3, P7, and a port that can be bound again at once."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
import requests

from tests.support.bodies import SMALL_CHUNK, WAIT_SECONDS, cut, payload
from tests.support.client import NativeClient
from tests.support.server import Server, is_alive
from tests.support.threads import Running
from tests.support.waiting import wait_until
from uploads.core.plan import KIB, MIB

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


def test_p4_what_a_killed_server_had_followed_is_read_again(
    running: Server, client: NativeClient
) -> None:
    chunk_size = 8 * MIB
    data = payload(6 * chunk_size, seed=11)
    session = client.begin(data, chunk_size=chunk_size)
    for index in range(5):
        client.put_chunk(session["id"], index, cut(data, chunk_size)[index]).raise_for_status()
    wait_until(lambda: running.open_files(f"/{session['id']}") == 2, "a follower")
    running.kill9()
    [staging] = running.staging()
    with (staging / "data").open("r+b") as file:
        # As a power cut does, of which no process knows afterwards.
        file.write(bytes(100))
    running.start()
    client.put_chunk(session["id"], 5, data[5 * chunk_size :]).raise_for_status()
    wait_until(lambda: state(client, session["id"]) == "active", "the damage to be found")
    client.send_missing(data, client.begin(data))
    wait_until(lambda: state(client, session["id"]) == "completed", "completion")
    assert client.content(session["id"]).content == data
    wait_until(lambda: running.open_files(f"/{session['id']}") == 0, "the follower's end")


def told_offset(client: NativeClient, upload_id: str) -> int:
    return int(client.request("HEAD", f"/upload/{upload_id}").headers["Upload-Offset"])


def put_stream(client: NativeClient, upload_id: str, body: Any, offset: int) -> int:
    headers = {"Upload-Offset": str(offset)}
    answer = client.request("PUT", f"/upload/{upload_id}", data=body, headers=headers)
    return answer.status_code


class Halting:
    """A body that stops within a chunk: bytes of it are kept by then, and others that came are not.

    `has_halted` is set there; it goes on with `go_on`.
    """

    #: As few at a time as come while the server takes two seconds to keep the first.
    PIECE = 2 * KIB
    #: Behind what is known to be kept.
    MORE = MIB

    def __init__(self, data: bytes, are_kept: Callable[[], object]) -> None:
        self._data, self._are_kept = data, are_kept
        self.has_halted, self.go_on = threading.Event(), threading.Event()

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator[bytes]:
        sent = 0
        while not self._are_kept():
            yield self._data[sent : sent + self.PIECE]
            sent += self.PIECE
        yield self._data[sent : sent + self.MORE]
        self.has_halted.set()
        self.go_on.wait(WAIT_SECONDS)
        yield self._data[sent + self.MORE :]


def test_p3_a_stream_that_is_killed_within_a_chunk_keeps_every_byte_it_was_told_of(
    running: Server, client: NativeClient, token: str
) -> None:
    data = payload(12 * MIB, seed=10)
    session = client.begin(data, chunk_size=8 * MIB)
    sender = NativeClient(running.url, token)
    body = Halting(data, lambda: told_offset(client, session["id"]))
    stream = Running(lambda: put_stream(sender, session["id"], body, 0))
    assert body.has_halted.wait(WAIT_SECONDS)
    told = told_offset(client, session["id"])
    running.kill9()
    body.go_on.set()
    with pytest.raises(requests.ConnectionError):
        stream.result()
    sender.close()
    running.start()
    kept = told_offset(client, session["id"])
    assert 0 < told <= kept < 8 * MIB
    assert put_stream(client, session["id"], data[kept:], kept) == 200
    wait_until(lambda: state(client, session["id"]) == "completed", "completion")
    assert client.content(session["id"]).content == data


def test_a_kill_leaves_no_worker_and_the_port_free(running: Server) -> None:
    pids = running.pids
    assert len(pids) > 1
    running.kill9()
    assert not any(is_alive(pid) for pid in pids)
    running.start()
    running.restart()


def test_p7_a_kill_while_assembling_is_made_good_at_the_next_start() -> None:
    data = payload(3 * SMALL_CHUNK, seed=9)
    with Server(DJANGO_SETTINGS_MODULE="tests.support.held_verifier_settings") as held:
        hold = held.data / "hold"
        hold.touch()
        with closing(NativeClient(held.url, held.issue_token())) as client:
            session = client.begin(data, chunk_size=SMALL_CHUNK)
            client.send_missing(data, session)
            assert state(client, session["id"]) == "assembling"
            held.kill9()
            hold.unlink()
            held.start()
            wait_until(lambda: state(client, session["id"]) == "completed", "recovery")
            assert client.content(session["id"]).content == data
