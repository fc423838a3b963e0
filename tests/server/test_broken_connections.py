"""A real server: connections cut, bodies without length, refusals before the body (P5, P10)."""

import socket
from collections.abc import Iterator

import pytest
import requests

from tests.support.bodies import WAIT_SECONDS, cut, payload
from tests.support.client import NativeClient
from tests.support.proxy import Proxy
from tests.support.server import Server
from tests.support.stalled import wait_beside_others
from tests.support.waiting import wait_until
from uploads.core.plan import MIB

pytestmark = pytest.mark.server


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with Proxy(server.port) as proxy:
        yield proxy


def test_p2_p5_a_chunk_cut_in_its_middle_changes_nothing(
    proxy: Proxy, token: str, client: NativeClient
) -> None:
    data = payload(15 * MIB, seed=4)
    chunks = cut(data, 5 * MIB)
    through = NativeClient(proxy.url, token)
    session = through.begin(data)
    through.put_chunk(session["id"], 0, chunks[0]).raise_for_status()
    proxy.cut_after(2 * MIB)
    with pytest.raises(requests.ConnectionError):
        through.put_chunk(session["id"], 1, chunks[1])
    assert proxy.was_cut.wait(WAIT_SECONDS)
    assert client.status(session["id"]).json()["missing"] == [1, 2]
    proxy.heal()
    proxy.reset_count()
    resumed = through.begin(data)
    assert resumed["missing"] == [1, 2]
    through.send_missing(data, resumed)
    assert 10 * MIB < proxy.bytes_upstream < 10 * MIB + 64 * 1024
    through.close()
    client.delete(session["id"])


def test_a_chunked_body_without_length_gets_411(client: NativeClient) -> None:
    session = client.begin(payload(MIB, seed=5))
    response = client.request(
        "PUT", f"/api/v1/uploads/{session['id']}/chunks/0", data=iter([b"x" * 1000] * 100)
    )
    assert (response.status_code, response.json()["code"]) == (411, "length_required")


def test_p10_a_refusal_before_the_body_reaches_a_client_still_sending(
    client: NativeClient,
) -> None:
    session = client.begin(payload(MIB, seed=6))
    response = client.put_chunk(session["id"], 7, bytes(5 * MIB), digest=False)
    assert (response.status_code, response.json()["code"]) == (404, "chunk_not_found")


def test_p5_a_client_that_stalls_holds_up_nobody(
    server: Server, token: str, client: NativeClient
) -> None:
    data = payload(MIB, seed=7)
    session = client.begin(data)
    head = (
        f"PUT /api/v1/uploads/{session['id']}/chunks/0 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port)) as stalled:
        stalled.sendall(head.encode() + data[:1000])
        wait_beside_others(server, server.arriving, "the stalled body to be read")
        answer = client.put_chunk(session["id"], 0, data)
    assert (answer.status_code, answer.json()["duplicate"]) == (200, False)


def test_p2_a_form_whose_connection_ends_behind_its_file_changes_nothing(
    server: Server, token: str, client: NativeClient
) -> None:
    """What is lost is the field with the hash, which would have refused these bytes."""
    data = payload(300_000, seed=20)
    session = client.begin(data)
    file = b'--b\r\nContent-Disposition: form-data; name="chunk"; filename="f"\r\n\r\n' + data
    field = b'\r\nContent-Disposition: form-data; name="sha256"\r\n\r\n' + b"f" * 64
    whole = file + b"\r\n--b" + field + b"\r\n--b--\r\n"
    head = (
        f"POST /api/v1/uploads/{session['id']}/chunks/0 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {token}\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        f"Content-Length: {len(whole)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port)) as cut_off:
        cut_off.sendall(head.encode() + file + b"\r\n--b" + field[:20])
        wait_until(server.arriving, "the body to be read")
    wait_until(lambda: not server.arriving(), "the end of the request")
    assert client.status(session["id"]).json()["missing"] == [0]
    assert not client.put_chunk(session["id"], 0, data).json()["duplicate"]


def test_p10_a_malformed_content_type_is_refused(client: NativeClient) -> None:
    for kind in ("application/json; x*=bogus''x", "application/json; charset=rot13"):
        answer = client.request(
            "POST", "/api/v1/uploads/handshake", data=b"{}", headers={"Content-Type": kind}
        )
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
