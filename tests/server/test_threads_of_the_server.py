"""A real server whose threads wait for bodies: it answers, and it keeps nothing (P5, P8, P10)."""

import select
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.support.bodies import payload
from tests.support.client import NativeClient
from tests.support.server import Server
from tests.support.stalled import stalled, wait_beside_others
from tests.support.waiting import wait_until
from uploads import conf
from uploads.core.plan import MIB

pytestmark = pytest.mark.server

DATA = payload(MIB, seed=21)
READERS = conf.parse({"ROOT": "/unused"}).max_readers


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One where a single person may use up what is there for all."""
    with Server(DJANGO_SETTINGS_MODULE="tests.support.unshared_settings") as server:
        yield server


def begun(path: str, *headers: str) -> bytes:
    """A PUT at `path` whose body stops arriving after a few bytes."""
    lines = [f"PUT {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {MIB}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + DATA[:1000]


def chunk_path(session: dict[str, Any]) -> str:
    return f"/api/v1/uploads/{session['id']}/chunks/0"


def test_p5_refused_clients_that_stall_do_not_stop_chunks(
    server: Server, client: NativeClient
) -> None:
    """Refusals are drained so that clients can read them; that must not use up the readers."""
    session = client.begin(DATA)
    with stalled(server, [begun(chunk_path(session))] * READERS) as sockets:
        wait_until(
            lambda: len(select.select(sockets, [], [], 0)[0]) > READERS // 2,
            "most of the refusals",
        )
        answer = client.put_chunk(session["id"], 0, DATA)
        assert answer.status_code == 200, answer.text
    client.delete(session["id"])


def test_p10_more_bodies_at_once_than_readers_are_told_to_come_back(
    server: Server, token: str, client: NativeClient
) -> None:
    session = client.begin(payload(MIB, seed=22))
    request = begun(chunk_path(session), f"Authorization: Bearer {token}")
    with stalled(server, [request] * READERS):
        wait_beside_others(
            server, lambda: server.arriving() == READERS, "every reader to be in use"
        )
        answer = client.put_chunk(session["id"], 0, DATA)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        assert client.status(session["id"]).json()["missing"] == [0], "pages are still answered"
    wait_until(lambda: not server.arriving(), "the readers to be free")
    assert client.put_chunk(session["id"], 0, payload(MIB, seed=22)).status_code == 200
    client.delete(session["id"])


@pytest.fixture
def fresh_server() -> Iterator[Server]:
    """One whose threads have answered nothing yet."""
    with Server() as server:
        yield server


def test_c8_p8_descriptors_are_level_after_bursts_of_many_threads(fresh_server: Server) -> None:
    """Each thread that had ever answered used to keep a connection to the database open."""
    token = fresh_server.issue_token()
    client = NativeClient(fresh_server.url, token)
    data = payload(300_000, seed=23)
    session = client.begin(data)
    client.put_chunk(session["id"], 0, data).raise_for_status()
    wait_until(lambda: client.status(session["id"]).json()["state"] == "completed", "completion")
    before = fresh_server.descriptors()
    headers = {"Authorization": f"Bearer {token}", "Connection": "close"}

    def look(number: int) -> int:
        method = "HEAD" if number % 4 == 0 else "GET"
        path = f"/api/v1/uploads/{session['id']}" + ("/content" if number % 2 else "")
        return requests.request(
            method, fresh_server.url + path, headers=headers, timeout=120
        ).status_code

    for _ in range(3):
        with ThreadPoolExecutor(48) as threads:
            assert set(threads.map(look, range(96))) == {200}
    wait_until(lambda: fresh_server.descriptors() <= before + 4, "the descriptors to be level")
    wait_until(fresh_server.holds_few_databases, "the database to be let go of")
    client.close()
