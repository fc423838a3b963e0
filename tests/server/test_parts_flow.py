"""A real server and a real curl: the script of the documentation, many at once, cuts."""

import hashlib
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.bodies import SMALL_CHUNK, WAIT_SECONDS, cut, flipped, payload, sha256
from tests.support.client import NativeClient
from tests.support.proxy import Proxy
from tests.support.server import REPOSITORY, Server
from tests.support.stalled import stalled, wait_beside_others
from tests.support.threads import Running, at_once
from tests.support.waiting import wait_until
from uploads import conf
from uploads.core.plan import MIB

pytestmark = pytest.mark.server

SCRIPT = REPOSITORY / "docs" / "examples" / "parts.sh"


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with Proxy(server.port) as proxy:
        yield proxy


def run_script(url: str, token: str, file: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["sh", str(SCRIPT)],
        check=False,
        env={"PATH": os.environ["PATH"], "URL": url, "TOKEN": token, "FILE": str(file)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def curl(token: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """One request, with what went over the wire on standard error."""
    return subprocess.run(
        ["curl", "-sSv", "-H", f"Authorization: Bearer {token}", *arguments],
        check=False,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=120,
    )


def begin(client: NativeClient, size: int, **fields: Any) -> dict[str, Any]:
    given = {"filename": "file.bin", "size": size, "part_size": SMALL_CHUNK, **fields}
    answer = client.request("POST", "/uploads/sessions", json=given)
    answer.raise_for_status()
    body: dict[str, Any] = answer.json()
    return body


def path_of(session: dict[str, Any], number: int) -> str:
    path: str = session["urls"]["part"]
    return path.replace("{number}", str(number))


def head_of(session: dict[str, Any], number: int, token: str) -> bytes:
    """Of a request for a part of SMALL_CHUNK bytes."""
    head = (
        f"PUT {path_of(session, number)} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: {SMALL_CHUNK}\r\n\r\n"
    )
    return head.encode()


def has_ended(server: Server, session: dict[str, Any]) -> bool:
    """Whether the server is through with a stream of this upload: its line is in the log."""
    lines = (line for line in server.log.splitlines() if '"route": "upload-stream"' in line)
    return any(session["id"] in line for line in lines)


def told(client: NativeClient, session: dict[str, Any], header: str) -> str:
    return str(client.request("HEAD", session["urls"]["upload"]).headers[header])


def wait_until_completed(client: NativeClient, session: dict[str, Any]) -> None:
    wait_until(lambda: told(client, session, "Upload-State") == "completed", "completion")


def downloaded_sha256(client: NativeClient, upload_id: str) -> str:
    digest = hashlib.sha256()
    for piece in client.content(upload_id, stream=True).iter_content(MIB):
        digest.update(piece)
    return digest.hexdigest()


def test_d1_d2_d3_the_script_sends_100_mib_in_any_order_one_part_twice_and_one_wrong(
    server: Server, token: str, client: NativeClient, tmp_path: Path
) -> None:
    file = tmp_path / 'a "quoted" name.bin'
    data = payload(100 * MIB + 12_345, seed=50)
    file.write_bytes(data)
    done = run_script(server.url, token, file)
    assert done.returncode == 0, done.stderr
    assert "sent again: 200, duplicate: true" in done.stderr
    assert "sent with other bytes: 409, chunk_conflict" in done.stderr
    upload_id = done.stdout.strip()
    status = client.status(upload_id).json()
    assert (status["filename"], status["state"]) == (file.name, "completed")
    assert downloaded_sha256(client, upload_id) == sha256(data)


def test_the_script_goes_on_after_a_cut_and_sends_nothing_twice_when_it_is_run_again(
    proxy: Proxy, token: str, client: NativeClient, tmp_path: Path
) -> None:
    file = tmp_path / "file.bin"
    file.write_bytes(payload(16 * MIB, seed=51))
    proxy.cut_after(12 * MIB)
    script = Running(lambda: run_script(proxy.url, token, file))
    assert proxy.was_cut.wait(WAIT_SECONDS)
    proxy.heal()
    done: Any = script.result()
    assert done.returncode == 0, done.stderr
    proxy.reset_count()
    again = run_script(proxy.url, token, file)
    assert (again.returncode, again.stdout) == (0, done.stdout)
    assert proxy.bytes_upstream < 4 * 1024
    assert downloaded_sha256(client, done.stdout.strip()) == sha256(file.read_bytes())


def test_the_script_waits_when_the_server_tells_it_to_come_back(
    server: Server, token: str, client: NativeClient, tmp_path: Path
) -> None:
    file = tmp_path / "file.bin"
    file.write_bytes(payload(6 * MIB, seed=56))
    most = conf.current().max_requests_per_user
    session = begin(client, most * SMALL_CHUNK)
    bodies = [head_of(session, number, token) + b"x" for number in range(1, most + 1)]
    with stalled(server, bodies):
        wait_beside_others(server, lambda: server.arriving() == most, "all of its share")
        script = Running(lambda: run_script(server.url, token, file))
        wait_until(lambda: "too_many_requests" in server.log, "a refusal of the script")
    done: Any = script.result()
    assert done.returncode == 0, done.stderr
    assert downloaded_sha256(client, done.stdout.strip()) == sha256(file.read_bytes())
    client.delete(session["id"])


def test_the_script_ends_with_what_the_server_said(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "file.bin"
    file.write_bytes(b"x")
    done = run_script(server.url, "wrong", file)
    assert (done.returncode, done.stdout) == (1, "")
    assert "answered 401" in done.stderr
    assert "not_authenticated" in done.stderr


def test_d1_curl_sends_a_part_that_it_calls_a_form_and_asks_whether_to_go_on(
    server: Server, token: str, client: NativeClient, tmp_path: Path
) -> None:
    data = b"a=1&b=2&" * (5 * MIB // 8)
    part = tmp_path / "chunk"
    part.write_bytes(data)
    session = begin(client, len(data), part_size=5 * MIB)
    url = server.url + path_of(session, 1)
    done = curl(token, "-X", "PUT", "--data-binary", f"@{part}", url)
    assert "Content-Type: application/x-www-form-urlencoded" in done.stderr
    assert "Expect: 100-continue" in done.stderr
    assert "HTTP/1.1 100 Continue" in done.stderr
    assert '"received_parts": 1' in done.stdout
    client.request("POST", session["urls"]["complete"])
    wait_until_completed(client, session)
    assert downloaded_sha256(client, session["id"]) == sha256(data)


def test_c4_c7_curl_goes_on_with_a_file_where_its_connection_was_cut(
    server: Server, proxy: Proxy, token: str, client: NativeClient, tmp_path: Path
) -> None:
    data = payload(9 * MIB, seed=52)
    file = tmp_path / "file.bin"
    file.write_bytes(data)
    session = begin(client, len(data), part_size=2 * MIB, sha256=sha256(data))
    proxy.cut_after(5 * MIB)
    first = curl(token, "-T", str(file), proxy.url + session["urls"]["upload"])
    assert first.returncode != 0
    wait_until(lambda: has_ended(server, session), "the end of the cut stream")
    offset = told(client, session, "Upload-Offset")
    # The head of the request is in the count of the proxy; all else that came is kept.
    assert 5 * MIB - 4 * 1024 < int(offset) < 5 * MIB
    assert told(client, session, "Upload-Received") == offset
    rest = curl(token, "-C", offset, "-T", str(file), server.url + session["urls"]["upload"])
    assert f"Content-Range: bytes {offset}-{len(data) - 1}/{len(data)}" in rest.stderr
    assert "HTTP/1.1 100 Continue" in rest.stderr
    assert f'"offset": {len(data)}' in rest.stdout
    wait_until_completed(client, session)
    assert downloaded_sha256(client, session["id"]) == sha256(data)


def test_d4_p10_a_refusal_reaches_a_curl_that_is_still_sending(
    server: Server, token: str, client: NativeClient, tmp_path: Path
) -> None:
    part = tmp_path / "chunk"
    part.write_bytes(bytes(5 * MIB))
    session = begin(client, 10 * MIB)
    for way in (["-X", "PUT", "--data-binary", f"@{part}"], ["-T", str(part)]):
        done = curl(token, *way, server.url + path_of(session, 1))
        assert (done.returncode, "length_mismatch" in done.stdout) == (0, True), done.stderr
    client.delete(session["id"])


def test_d2_d3_of_eight_that_send_the_same_part_at_once_one_is_counted(
    client: NativeClient,
) -> None:
    session = begin(client, 20 * SMALL_CHUNK)
    right = payload(SMALL_CHUNK, seed=53)
    answers: list[Any] = at_once(
        [lambda: client.request("PUT", path_of(session, 7), data=right) for _ in range(8)]
    )
    assert {answer.status_code for answer in answers} == {200}
    assert sorted(answer.json()["duplicate"] for answer in answers) == [False] + [True] * 7
    assert {answer.json()["received_parts"] for answer in answers} == {1}
    assert told(client, session, "Upload-Chunks") == "1/20"
    client.delete(session["id"])


def test_d2_d3_of_eight_that_differ_about_a_part_one_wins_and_the_others_are_told(
    client: NativeClient,
) -> None:
    session = begin(client, 20 * SMALL_CHUNK)
    bodies = [payload(SMALL_CHUNK, seed=seed) for seed in range(8)]

    def send(body: bytes) -> Any:
        return client.request("PUT", path_of(session, 7), data=body)

    answers: list[Any] = at_once([lambda body=body: send(body) for body in bodies])  # type: ignore[misc]
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    won = next(i for i, answer in enumerate(answers) if answer.status_code == 200)
    assert send(bodies[won]).json()["duplicate"] is True
    assert send(flipped(bodies[won])).status_code == 409
    assert told(client, session, "Upload-Chunks") == "1/20"
    client.delete(session["id"])


def test_d3_c10_the_counters_are_exact_after_parts_at_once(client: NativeClient) -> None:
    data = payload(31 * SMALL_CHUNK + 99, seed=54)
    parts = cut(data, SMALL_CHUNK)
    session = begin(client, len(data), sha256=sha256(data))

    def send(number: int) -> Any:
        return client.request("PUT", path_of(session, number), data=parts[number - 1]).json()

    counts: list[int] = []
    for first in (25, 9, 17, 1):
        numbers = range(first, first + 8)
        answers: list[Any] = at_once([lambda n=n: send(n) for n in numbers])  # type: ignore[misc]
        assert {answer["duplicate"] for answer in answers} == {False}
        counts += [answer["received_parts"] for answer in answers]
    assert sorted(counts) == list(range(1, 33))
    wait_until_completed(client, session)
    assert told(client, session, "Upload-Received") == str(len(data))
    assert downloaded_sha256(client, session["id"]) == sha256(data)


def test_p2_a_connection_that_is_cut_keeps_nothing_of_a_part(
    server: Server, token: str, client: NativeClient
) -> None:
    session = begin(client, 4 * SMALL_CHUNK)
    body = payload(SMALL_CHUNK, seed=55)
    with socket.create_connection(("127.0.0.1", server.port)) as cut_off:
        cut_off.sendall(head_of(session, 2, token) + body[: SMALL_CHUNK // 2])
        wait_until(server.arriving, "the body to be read")
    wait_until(lambda: not server.arriving(), "the end of the request")
    assert told(client, session, "Upload-Received") == "0"
    sent = client.request("PUT", path_of(session, 2), data=body).json()
    assert (sent["duplicate"], sent["received_parts"]) == (False, 1)
    client.delete(session["id"])
