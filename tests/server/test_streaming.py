"""A real server: several chunks in flight, level memory, level descriptors."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.bodies import SMALL_CHUNK, cut, payload
from tests.support.client import NativeClient
from tests.support.server import Server
from tests.support.waiting import wait_until
from uploads.core.plan import MIB

pytestmark = pytest.mark.server


def test_c1_c2_c5_c10_chunks_in_flight_at_once_give_the_same_bytes(client: NativeClient) -> None:
    data = payload(15 * MIB, seed=1)
    session = client.begin(data)
    with ThreadPoolExecutor(3) as workers:
        answers = list(
            workers.map(
                lambda i: client.put_chunk(session["id"], i, cut(data, 5 * MIB)[i]).status_code,
                [2, 0, 1],
            )
        )
    assert answers == [200] * 3
    wait_until(lambda: client.status(session["id"]).json()["state"] == "completed", "completion")
    assert client.content(session["id"]).content == data


def test_c6_p8_memory_stays_level_whatever_the_size(server: Server, client: NativeClient) -> None:
    chunk, chunks = payload(5 * MIB, seed=2), 60
    session = client.handshake("big", chunks * len(chunk)).json()

    def send(index: int) -> int:
        return client.put_chunk(session["id"], index, chunk, digest=False).status_code

    with ThreadPoolExecutor(4) as workers:
        warm = list(workers.map(send, range(12)))
        before = server.resident_bytes()
        rest = list(workers.map(send, range(12, chunks)))
    assert {*warm, *rest} == {200}
    assert server.resident_bytes() - before < 64 * MIB
    client.delete(session["id"])


def test_c8_descriptors_are_level_after_200_chunks(server: Server, client: NativeClient) -> None:
    data = payload(200 * SMALL_CHUNK, seed=3)
    chunks = cut(data, SMALL_CHUNK)
    session = client.begin(data, chunk_size=SMALL_CHUNK)
    client.put_chunk(session["id"], 0, chunks[0])
    before = server.descriptors()
    for index in range(1, 199):
        assert client.put_chunk(session["id"], index, chunks[index]).status_code == 200
    assert client.put_chunk(session["id"], 0, chunks[1]).status_code == 409
    wait_until(lambda: server.descriptors() <= before + 2, "the descriptors to be level")
    client.delete(session["id"])
