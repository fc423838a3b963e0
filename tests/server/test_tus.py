"""A real server and tus: stalled, cut, chunked and long requests (P3, P5, P8)."""

import base64
import contextlib
import hashlib
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.support.bodies import WAIT_SECONDS, payload, sha256
from tests.support.client import NativeClient
from tests.support.proxy import Proxy
from tests.support.server import Server
from tests.support.threads import Running
from tests.support.tus_log import patches
from tests.support.waiting import wait_until
from uploads import conf
from uploads.core.bodies import READ_SIZE
from uploads.core.plan import MIB

pytestmark = pytest.mark.server

V = {"Tus-Resumable": "1.0.0"}
BODY = "application/offset+octet-stream"
CHUNK = 5 * MIB
POOL = conf.parse({"ROOT": "/unused"}).memory_pool
#: Beside the pool: threads that come up, and what Python does not give back at once.
BESIDE_THE_POOL = 16 * MIB


def create(client: NativeClient, **headers: str) -> str:
    """The path of a new upload."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = client.request("POST", "/files/", headers=V | named)
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"].removeprefix(client.url)


def patch(client: NativeClient, path: str, offset: int, body: Any, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    given = V | {"Content-Type": BODY, "Upload-Offset": str(offset)} | named
    return client.request("PATCH", path, headers=given, data=body)


def told_offset(client: NativeClient, path: str) -> int:
    return int(client.request("HEAD", path, headers=V).headers["Upload-Offset"])


def head_of(path: str, token: str, offset: int, length: int) -> bytes:
    head = (
        f"PATCH {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"Tus-Resumable: 1.0.0\r\nContent-Type: {BODY}\r\nUpload-Offset: {offset}\r\n"
        f"Content-Length: {length}\r\nConnection: close\r\n\r\n"
    )
    return head.encode()


def arrived(client: NativeClient, path: str) -> bytes:
    upload_id = path.rpartition("/")[2]
    wait_until(lambda: client.status(upload_id).json()["state"] == "completed", "completion")
    content = client.content(upload_id).content
    client.delete(upload_id)
    return content


def test_p5_a_live_patch_goes_on_at_once_beside_one_that_is_half_dead(
    server: Server, token: str, client: NativeClient
) -> None:
    """The fault that is reported most of servers with locks: theirs answer 423 for minutes."""
    data = payload(3 * CHUNK, seed=91)
    path = create(client, Upload_Length=str(len(data)))
    with socket.create_connection(("127.0.0.1", server.port)) as stalled:
        stalled.sendall(head_of(path, token, 0, len(data)) + data[: CHUNK + CHUNK // 2])
        wait_until(lambda: told_offset(client, path) >= CHUNK, "the first chunk")

        def goes_on() -> int | None:
            # Half a chunk is the half-dead one's own, until it is slow: then that is kept, perhaps
            # between our question and our PATCH. Any other refusal is none that may be.
            offset = told_offset(client, path)
            status: int = patch(client, path, offset, data[offset:]).status_code
            return None if status == 409 and told_offset(client, path) > offset else status

        assert wait_until(goes_on, "a PATCH from the offset on") == 204
        assert told_offset(client, path) == len(data)
        assert arrived(client, path) == data


def test_p3_what_came_before_a_cut_is_kept_to_the_byte(
    server: Server, token: str, client: NativeClient
) -> None:
    data = payload(8 * MIB, seed=92)
    path = create(client, Upload_Length=str(len(data)))
    passed = 6 * MIB + 12_345
    with Proxy(server.port) as proxy:
        head = head_of(path, token, 0, len(data))
        proxy.cut_after(len(head) + passed)
        with socket.create_connection(("127.0.0.1", proxy.port)) as connection:
            with contextlib.suppress(OSError):
                connection.sendall(head + data)
            assert proxy.was_cut.wait(WAIT_SECONDS)
    upload_id = path.rpartition("/")[2]
    wait_until(lambda: patches(server, upload_id) == 1, "the end of the cut request")
    kept = told_offset(client, path)
    # The application is given whole reads or none: what came of the last one is lost.
    assert passed - READ_SIZE < kept <= passed
    assert patch(client, path, kept, data[kept:]).headers["Upload-Offset"] == str(len(data))
    assert arrived(client, path) == data


def test_a_body_in_chunks_of_http_is_taken_and_its_progress_is_seen(
    server: Server, token: str, client: NativeClient
) -> None:
    data = payload(2 * CHUNK + 12_345, seed=93)
    path = create(client, Upload_Defer_Length="1")
    seen = []
    through = NativeClient(server.url, token)

    def slowly() -> Iterator[bytes]:
        for start in range(0, len(data), MIB):
            yield data[start : start + MIB]
            if start == CHUNK:
                wait_until(lambda: told_offset(client, path) >= CHUNK, "the first chunk to be in")
                seen.append(told_offset(client, path))

    answer = Running(lambda: patch(through, path, 0, slowly()))
    sent: Any = answer.result()
    assert (sent.status_code, sent.headers["Upload-Offset"]) == (204, str(len(data)))
    through.close()
    # What has come of the second is kept too if that took long.
    assert CHUNK <= seen[0] <= CHUNK + MIB
    done = patch(client, path, len(data), b"", Upload_Length=str(len(data)))
    assert done.status_code == 204
    assert arrived(client, path) == data


def test_p8_patches_of_128_mib_with_and_without_checksum_leave_memory_level(
    server: Server, client: NativeClient
) -> None:
    size, block = 128 * MIB, payload(MIB, seed=94)
    digest = hashlib.sha1(usedforsecurity=False)
    warm = create(client, Upload_Length=str(2 * CHUNK))
    assert patch(client, warm, 0, payload(2 * CHUNK)).status_code == 204
    before = server.own_bytes()
    memory: list[int] = []

    class Body:
        def __len__(self) -> int:
            return size

        def __iter__(self) -> Iterator[bytes]:
            for number in range(size // MIB):
                memory.append(server.own_bytes())
                yield number.to_bytes(8, "big") + block[8:]

    for piece in Body():
        digest.update(piece)
    checksum = {"Upload_Checksum": f"sha1 {base64.b64encode(digest.digest()).decode()}"}
    for headers in ({}, checksum):
        path = create(client, Upload_Length=str(size))
        assert patch(client, path, 0, Body(), **headers).status_code == 204
        client.delete(path.rpartition("/")[2])
    growth = max(memory) - before
    print(f"128 MiB in one PATCH: memory grew by {growth / MIB:.1f} MiB at most")
    assert growth < POOL + BESIDE_THE_POOL
    client.delete(warm.rpartition("/")[2])


def test_a_whole_is_joined_in_the_background(client: NativeClient) -> None:
    data = payload(3 * MIB + 17, seed=95)
    cut = MIB + 5
    lengths = (cut, len(data) - cut)
    parts = [create(client, Upload_Length=str(n), Upload_Concat="partial") for n in lengths]
    patch(client, parts[1], 0, data[cut:])
    path = create(client, Upload_Concat=f"final;{' '.join(parts)}")
    pending = client.request("HEAD", path, headers=V)
    assert (pending.status_code, "Upload-Offset" in pending.headers) == (200, False)
    patch(client, parts[0], 0, data[:cut])
    wait_until(
        lambda: "Upload-Offset" in client.request("HEAD", path, headers=V).headers, "the joining"
    )
    assert client.status(path.rpartition("/")[2]).json()["sha256"] == sha256(data)
    assert arrived(client, path) == data


def test_the_connection_of_a_refused_patch_is_of_use_again(
    token: str, client: NativeClient
) -> None:
    """The body is taken in, within bounds, so that the refusal is read."""
    path = create(client, Upload_Length=str(MIB))
    with requests.Session() as http:
        http.headers["Authorization"] = f"Bearer {token}"
        given = V | {"Content-Type": BODY, "Upload-Offset": "7"}
        url = f"{client.url}{path}"
        assert (
            http.patch(url, headers=given, data=b"x" * (MIB // 2), timeout=120).status_code == 409
        )
        assert http.head(url, headers=V, timeout=120).headers["Upload-Offset"] == "0"
    client.delete(path.rpartition("/")[2])
