"""`manage.py serve`: its port, its workers, its end, and its life as the first process."""

import os
import signal
import socket
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
import requests

from tests.support.bodies import payload
from tests.support.client import NativeClient
from tests.support.server import Server, free_port, is_alive
from tests.support.waiting import wait_until
from uploads.core.plan import MIB

pytestmark = pytest.mark.server

UNSHARE = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]


def answers(server: Server) -> bool:
    try:
        return requests.get(f"{server.url}/api/v1/uploads", timeout=30).status_code == 401
    except requests.RequestException:
        return False


def test_a_port_in_use_is_refused_in_a_sentence(server: Server) -> None:
    """Otherwise two servers would take turns at one port, with different data."""
    with pytest.raises(subprocess.CalledProcessError) as refusal:
        server.manage("serve", "--port", str(server.port))
    said = refusal.value.stderr
    assert f"Cannot serve at 127.0.0.1 port {server.port}: Address already in use." in said
    assert "Traceback" not in said


def test_a_host_without_an_address_is_refused_in_a_sentence(server: Server) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        server.manage("serve", "--host", "no-such-host.invalid", "--port", str(free_port()))
    assert "has no address" in refused.value.stderr
    assert "Traceback" not in refused.value.stderr


class NamedServer(Server):
    """One that is told the name of its host, not the address."""

    def _command(self, *arguments: str) -> list[str]:
        host = ["--host", "localhost"] if arguments[0] == "serve" else []
        return [*super()._command(*arguments), *host]


def test_a_host_may_be_a_name() -> None:
    with NamedServer() as server:
        assert f"http://localhost:{server.port}" in server.log


def test_what_would_only_make_errors_is_not_served() -> None:
    """First the database, then the static files; each in a sentence that says what to run."""
    server = Server()
    try:
        for missing, remedy in (("not up to date", "migrate"), ("not collected", "collectstatic")):
            with pytest.raises(subprocess.CalledProcessError) as refusal:
                server.manage("serve", "--port", str(server.port))
            assert missing in refusal.value.stderr
            assert f"manage.py {remedy}" in refusal.value.stderr
            server.manage(remedy, "--noinput")
    finally:
        server.close()


@pytest.mark.parametrize("wrong", [("--port", "0"), ("--port", "99999"), ("--workers", "0")])
def test_a_port_or_number_that_cannot_be_is_refused(server: Server, wrong: tuple[str, str]) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refusal:
        server.manage("serve", *wrong)
    assert "--port is from 1 to 65535" in refusal.value.stderr
    assert "Traceback" not in refusal.value.stderr


def test_p7_a_killed_worker_is_replaced_and_nothing_acknowledged_is_lost(
    server: Server, token: str
) -> None:
    data = payload(2 * MIB, seed=24)
    with closing(NativeClient(server.url, token)) as client:
        session = client.begin(data, chunk_size=MIB)
        client.put_chunk(session["id"], 1, data[MIB:]).raise_for_status()
    main, worker = server.pid, server.worker_pid
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: not is_alive(worker), "the worker's end")
    wait_until(lambda: answers(server), "another worker")
    with closing(NativeClient(server.url, token)) as client:
        resumed = client.begin(data)
        assert resumed["missing"] == [0]
        client.send_missing(data, resumed)
        wait_until(
            lambda: client.status(session["id"]).json()["state"] == "completed", "completion"
        )
        assert client.content(session["id"]).content == data
    assert (server.pid, is_alive(main)) == (main, True)
    assert server.worker_pid != worker


class FirstProcess(Server):
    """The server as process 1 of its own namespace, as in a container."""

    def _command(self, *arguments: str) -> list[str]:
        command = super()._command(*arguments)
        return [*UNSHARE, *command] if arguments[0] == "serve" else command


def test_it_serves_as_process_1_of_a_container() -> None:
    if subprocess.run([*UNSHARE, "true"], check=False, capture_output=True).returncode:
        pytest.skip("unshare is not permitted here")
    with FirstProcess() as server:
        [inside] = server.pids[1:]
        status = Path(f"/proc/{inside}/status").read_text()
        [names] = [line.split() for line in status.splitlines() if line.startswith("NSpid:")]
        assert names[-1] == "1"
        data = payload(300_000, seed=25)
        with closing(NativeClient(server.url, server.issue_token())) as client:
            session = client.begin(data)
            client.send_missing(data, session)
            wait_until(
                lambda: client.status(session["id"]).json()["state"] == "completed", "completion"
            )
            assert client.content(session["id"]).content == data
        # unshare does not pass a SIGTERM on.
        server.kill9()
        assert not is_alive(inside)


def test_p5_a_stalled_client_does_not_keep_the_server_from_ending(
    server: Server, token: str
) -> None:
    """A service manager that waits for it would have to kill it."""
    with closing(NativeClient(server.url, token)) as client:
        session = client.begin(payload(MIB, seed=26))
    head = (
        f"PUT /api/v1/uploads/{session['id']}/chunks/0 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: {MIB}\r\n\r\n"
    )
    pids = server.pids
    with socket.create_connection(("127.0.0.1", server.port)) as stalled:
        stalled.sendall(head.encode() + bytes(1000))
        wait_until(server.arriving, "the body to be read")
        os.kill(server.pid, signal.SIGTERM)
        # Sooner than the 75 s after which its connection would be ended anyway.
        wait_until(lambda: not any(map(is_alive, pids)), "the server's end", 60)
    server.restart()
