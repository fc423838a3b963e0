"""Several workers take the chunks of one upload in; the one that follows it verifies it."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.bodies import payload
from tests.support.client import NativeClient
from tests.support.server import Server, is_alive
from tests.support.waiting import wait_until
from uploads.core.plan import MIB
from uploads.engine.following import FOLLOW_FROM
from uploads.management.commands.serve import MAX_WORKERS

pytestmark = pytest.mark.server

CHUNK = 4 * MIB
DATA = payload(FOLLOW_FROM + 4 * CHUNK, seed=91)
BEFORE_THE_LAST = len(DATA) // CHUNK - 1


@pytest.fixture(scope="module")
def pair() -> Iterator[Server]:
    with Server(workers=2) as server:
        wait_until(lambda: len(server.worker_pids) == 2, "both workers")
        yield server


@pytest.fixture(scope="module")
def token(pair: Server) -> str:
    return pair.issue_token()


def send(server: Server, token: str, session: dict[str, Any], *indices: int) -> None:
    """Each over a connection of its own: the system gives it to one worker or the other."""
    for index in indices:
        with closing(NativeClient(server.url, token)) as client:
            chunk = DATA[index * CHUNK : (index + 1) * CHUNK]
            client.put_chunk(session["id"], index, chunk).raise_for_status()


def begin(server: Server, token: str) -> dict[str, Any]:
    with closing(NativeClient(server.url, token)) as client:
        return client.begin(DATA, chunk_size=CHUNK)


def expect_whole(server: Server, token: str, session: dict[str, Any]) -> None:
    with closing(NativeClient(server.url, token)) as client:
        wait_until(
            lambda: client.status(session["id"]).json()["state"] == "completed", "completion"
        )
        assert client.content(session["id"]).content == DATA
        client.delete(session["id"]).raise_for_status()


def follower(server: Server, session: dict[str, Any]) -> int | None:
    """The worker that holds the folder of what is staged."""
    folder = str(server.data / "uploads" / "staging" / session["id"])
    for pid in server.worker_pids:
        links = [os.path.realpath(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
        if folder in links:
            return pid
    return None


def test_an_upload_is_followed_and_verified_whichever_worker_takes_its_chunks(
    pair: Server, token: str
) -> None:
    session = begin(pair, token)
    send(pair, token, session, *range(BEFORE_THE_LAST))
    wait_until(lambda: follower(pair, session), "a worker that follows")
    send(pair, token, session, BEFORE_THE_LAST)
    expect_whole(pair, token, session)
    wait_until(lambda: follower(pair, session) is None, "the folder to be let go of")


def test_p7_when_the_worker_that_follows_is_killed_the_upload_is_verified_by_the_other(
    pair: Server, token: str
) -> None:
    session = begin(pair, token)
    send(pair, token, session, *range(BEFORE_THE_LAST))
    killed = wait_until(lambda: follower(pair, session), "a worker that follows")
    assert killed
    os.kill(killed, 9)
    wait_until(lambda: not is_alive(killed), "its end")
    wait_until(lambda: len(pair.worker_pids) == 2, "its successor")
    send(pair, token, session, BEFORE_THE_LAST)
    expect_whole(pair, token, session)


def test_there_is_a_worker_for_each_processor_up_to_a_bound() -> None:
    count = min(len(os.sched_getaffinity(0)), MAX_WORKERS)
    with Server(workers=None) as server:
        wait_until(lambda: len(server.worker_pids) == count, f"{count} workers")
