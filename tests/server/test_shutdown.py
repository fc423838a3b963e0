"""A real server told to stop: what is on its way may end, what has stalled may not delay it."""

import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
import requests

from tests.support.bodies import SMALL_CHUNK, WAIT_SECONDS, cut, payload
from tests.support.client import NativeClient
from tests.support.server import Server, is_alive
from tests.support.stalled import stalled, wait_beside_others
from tests.support.waiting import wait_until
from uploads.core.plan import MIB

pytestmark = pytest.mark.server

HELD = {"DJANGO_SETTINGS_MODULE": "tests.support.held_verifier_settings"}
#: Of a server that is to end by itself: whatever delays it would delay it for longer than END.
LONG = 120
#: Of one that has to end what has stalled. Its worker then has LONG, before it is killed.
SHORT = 3
#: Less than LONG, and than the 75 s after which connections without news end anyway.
END = 60


class EndingServer(Server):
    """Told to stop by a test, which looks at how it ends."""

    def __init__(self, shutdown_seconds: int) -> None:
        #: The processes that were there when it was told.
        self._told: list[int] = []
        self._times = [str(shutdown_seconds), str(LONG)]
        super().__init__(workers=1, **HELD)

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "tests.support.unhurried_manage", *self._times, *arguments]

    def tell(self, how: signal.Signals = signal.SIGTERM, *, whole_group: bool = False) -> None:
        """As a service manager does: the main process, or all processes of the service."""
        self._told += self.pids
        (os.killpg if whole_group else os.kill)(self.pid, how)

    def exit_code(self) -> int:
        """Of the main process, waited for; afterwards it can be started again."""
        process = self._process
        assert process is not None
        code = process.wait(END)
        # The last of its children learns of its end by that.
        wait_until(lambda: not any(map(is_alive, self._told)), "the end of all it had started")
        self._process = None
        return code


@pytest.fixture
def shutdown_seconds() -> int:
    return LONG


@pytest.fixture
def ending(shutdown_seconds: int) -> Iterator[EndingServer]:
    with EndingServer(shutdown_seconds) as server:
        yield server


@pytest.fixture
def sender(ending: EndingServer) -> Iterator[NativeClient]:
    with closing(NativeClient(ending.url, ending.issue_token())) as client:
        yield client


def put_head(session: dict[str, Any], index: int, length: int, token: str) -> bytes:
    return (
        f"PUT /api/v1/uploads/{session['id']}/chunks/{index} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def refuses(server: Server) -> bool:
    try:
        requests.get(f"{server.url}/sign-in/", timeout=5)
    except requests.Timeout:
        return False
    except requests.ConnectionError:
        return True
    return False


def state(client: NativeClient, session: dict[str, Any]) -> str:
    text: str = client.status(session["id"]).json()["state"]
    return text


def assert_completed(client: NativeClient, session: dict[str, Any], data: bytes) -> None:
    wait_until(lambda: state(client, session) == "completed", "completion")
    assert client.content(session["id"]).content == data


def test_p3_a_chunk_that_goes_on_arriving_is_taken_in_and_new_requests_are_refused(
    ending: EndingServer, sender: NativeClient
) -> None:
    data = payload(MIB, seed=80)
    session = sender.begin(data)
    with socket.create_connection(("127.0.0.1", ending.port)) as flying:
        flying.sendall(put_head(session, 0, len(data), ending.issue_token()) + data[: MIB // 2])
        wait_until(ending.arriving, "the body to be read")
        ending.tell()
        wait_until(lambda: refuses(ending), "new connections to be refused")
        flying.sendall(data[MIB // 2 :])
        flying.settimeout(WAIT_SECONDS)
        assert flying.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert ending.exit_code() == 0
    ending.start()
    assert_completed(sender, session, data)


@pytest.mark.parametrize("shutdown_seconds", [SHORT])
def test_p3_p5_stalled_bodies_end_with_the_time_and_nothing_acknowledged_is_lost(
    ending: EndingServer, sender: NativeClient
) -> None:
    data = payload(8 * SMALL_CHUNK, seed=81)
    chunks = cut(data, SMALL_CHUNK)
    session = sender.begin(data, chunk_size=SMALL_CHUNK)
    for index in (6, 1, 3):
        sender.put_chunk(session["id"], index, chunks[index]).raise_for_status()
    token = ending.issue_token()
    bodies = [
        put_head(session, index, SMALL_CHUNK, token) + chunks[index][:-1]
        for index in (0, 2, 4, 5, 7)
    ]
    with stalled(ending, bodies * 4):
        wait_beside_others(ending, lambda: ending.arriving() == 20, "every body to be read")
        ending.tell()
        assert ending.exit_code() == 0
    assert ending.arriving() == 0, "it was not killed: it has tidied up"
    ending.start()
    assert "Traceback" not in ending.log
    resumed = sender.begin(data)
    assert (resumed["id"], resumed["missing"]) == (session["id"], [0, 2, 4, 5, 7])
    sender.send_missing(data, resumed)
    assert_completed(sender, session, data)


@pytest.mark.parametrize("whole_group", [False, True])
def test_p7_neither_a_verifier_at_work_nor_an_idle_connection_delays_the_end(
    ending: EndingServer, sender: NativeClient, whole_group: bool
) -> None:
    data = payload(3 * SMALL_CHUNK, seed=82)
    hold = ending.data / "hold"
    hold.touch()
    session = sender.begin(data, chunk_size=SMALL_CHUNK)
    sender.send_missing(data, session)
    assert state(sender, session) == "assembling"
    with socket.create_connection(("127.0.0.1", ending.port)) as idle:
        idle.sendall(b"GET /sign-in/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert idle.recv(100).startswith(b"HTTP/1.1 200 ")
        ending.tell(whole_group=whole_group)
        # Sooner than it would be if they were given the time of a body on its way.
        assert ending.exit_code() == 0
    hold.unlink()
    ending.start()
    assert_completed(sender, session, data)


def test_p3_more_signals_lose_nothing_that_was_acknowledged(
    ending: EndingServer, sender: NativeClient
) -> None:
    """As when somebody presses Ctrl-C again and again. The chunk under way may make it or not."""
    data = payload(2 * SMALL_CHUNK, seed=83)
    chunks = cut(data, SMALL_CHUNK)
    session = sender.begin(data, chunk_size=SMALL_CHUNK)
    sender.put_chunk(session["id"], 1, chunks[1]).raise_for_status()
    head = put_head(session, 0, len(chunks[0]), ending.issue_token())
    answer = b""
    with socket.create_connection(("127.0.0.1", ending.port)) as flying:
        flying.sendall(head + chunks[0][:1000])
        wait_until(ending.arriving, "the body to be read")
        for _ in range(4):
            ending.tell(signal.SIGINT, whole_group=True)
            wait_until(lambda: refuses(ending), "new connections to be refused")
        flying.settimeout(WAIT_SECONDS)
        with suppress(ConnectionError):
            flying.sendall(chunks[0][1000:])
            answer = flying.recv(65536)
    assert ending.exit_code() == 0
    ending.start()
    resumed = sender.begin(data)
    assert resumed["missing"] in ([], [0])
    if answer.startswith(b"HTTP/1.1 200 "):
        assert resumed["missing"] == []
    sender.send_missing(data, resumed)
    assert_completed(sender, session, data)
