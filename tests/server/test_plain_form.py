"""A real server takes files by a form: whole, or not at all."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.support.bodies import payload
from tests.support.client import NativeClient
from tests.support.server import PASSWORD, USER, Server
from tests.support.signatures import content_for
from tests.support.waiting import wait_until
from uploads.core.plan import MIB

pytestmark = pytest.mark.server

HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="big"\r\n\r\n'
PAGE = {"Accept": "text/html"}


def files_of(server: Server) -> list[str]:
    """What the store holds, but for the leases of processes."""
    root = server.data / "uploads"
    found = [path for path in root.rglob("*") if path.is_file() and path.suffix != ".lease"]
    return [str(path.relative_to(root)) for path in found]


def scratch_bytes(server: Server) -> int:
    """How long the longest file is that the worker has open though it has no name."""
    folder = Path(f"/proc/{server.worker_pid}/fd")
    sizes = [0]
    for entry in folder.iterdir():
        try:
            target = str(entry.readlink())
            if target.startswith(str(server.data / "uploads")) and target.endswith(" (deleted)"):
                sizes.append(entry.stat().st_size)
        except FileNotFoundError:
            continue  # Closed meanwhile.
    return max(sizes)


@contextmanager
def half_sent(server: Server, token: str, size: int) -> Iterator[socket.socket]:
    """A connection over which all of a form with a file of `size` bytes was sent but its end."""
    request = (
        f"POST /uploads/send HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
        f"Authorization: Bearer {token}\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        f"Content-Length: {len(HEAD) + size + 9}\r\n\r\n"
    )
    block = payload(MIB, seed=3)
    with socket.create_connection(("127.0.0.1", server.port), timeout=120) as connection:
        connection.sendall(request.encode() + HEAD)
        for _ in range(size // MIB):
            connection.sendall(block)
        yield connection


def sign_in(server: Server) -> requests.Session:
    """A browser without JavaScript, in which the first user is signed in."""
    browser = requests.Session()
    browser.trust_env = False
    browser.headers.update(PAGE)
    page = browser.get(f"{server.url}/sign-in/", timeout=120)
    fields = {"csrfmiddlewaretoken": form_token(page), "username": USER, "password": PASSWORD}
    browser.post(page.url, data=fields, timeout=120).raise_for_status()
    return browser


def form_token(page: requests.Response) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert found
    return found[1]


def test_a_file_of_several_chunks_comes_back_byte_for_byte(
    server: Server, client: NativeClient
) -> None:
    """As `curl -F file=@FILE` sends it."""
    data = content_for("film.mkv", 12 * MIB + 345, seed=1)
    answer = client.request("POST", "/uploads/send", files={"file": ("film.mkv", data)})
    assert answer.status_code == 201
    [session] = answer.json()["results"]
    assert (session["chunk_size"], session["total_chunks"]) == (5 * MIB, 3)
    wait_until(lambda: client.status(session["id"]).json()["state"] == "completed", "completion")
    assert client.content(session["id"]).content == data
    wait_until(lambda: not server.staging(), "staging to be empty")
    assert [name.split("/")[0] for name in files_of(server)] == ["content"]
    client.delete(session["id"])


def test_a_browser_without_javascript_sends_a_file_and_is_told_so(
    server: Server, client: NativeClient
) -> None:
    with sign_in(server) as browser:
        token = form_token(browser.get(f"{server.url}/", timeout=120))
        page = browser.post(
            f"{server.url}/uploads/send",
            data={"csrfmiddlewaretoken": token},
            files={"file": ("tides.csv", content_for("tides.csv", MIB, seed=2))},
            headers={"Origin": server.url},
            timeout=120,
        )
    assert [answer.status_code for answer in [*page.history, page]] == [303, 200]
    assert "“tides.csv” has arrived and is being verified." in page.text
    [session] = client.request("GET", "/api/v1/uploads").json()["results"]
    wait_until(lambda: client.status(session["id"]).json()["state"] == "completed", "completion")
    assert client.content(session["id"]).content == content_for("tides.csv", MIB, seed=2)
    client.delete(session["id"])


def test_p8_a_form_takes_no_memory_and_a_killed_server_keeps_nothing_of_it(
    server: Server, token: str, client: NativeClient
) -> None:
    with half_sent(server, token, MIB):
        wait_until(lambda: scratch_bytes(server), "the first bytes")
        before = server.resident_bytes()
    size = 96 * MIB
    with half_sent(server, token, size):
        wait_until(lambda: scratch_bytes(server) > size - MIB, "all bytes but the last")
        assert server.resident_bytes() - before < 32 * MIB
        assert files_of(server) == []
        server.kill9()
    server.start()
    assert files_of(server) == []
    assert client.request("GET", "/api/v1/uploads").json()["results"] == []


def test_a_form_that_is_cut_gives_its_room_back(
    server: Server, token: str, client: NativeClient
) -> None:
    with half_sent(server, token, 8 * MIB):
        wait_until(lambda: scratch_bytes(server) > 7 * MIB, "the bytes")
    wait_until(lambda: not scratch_bytes(server), "the room")
    assert files_of(server) == []
    assert client.request("GET", "/api/v1/uploads").json()["results"] == []
