"""tus clients that others wrote, against a real server: tus-js-client in Node, and tuspy."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from tusclient.client import TusClient
from tusclient.exceptions import TusUploadFailed
from tusclient.uploader.uploader import Uploader

from tests.support.bodies import WAIT_SECONDS
from tests.support.client import NativeClient
from tests.support.proxy import Proxy
from tests.support.server import Server
from tests.support.signatures import content_for
from tests.support.tus_js import TusJs, tus_js
from tests.support.tus_log import patches
from tests.support.waiting import wait_until
from uploads.core.plan import KIB, MIB

pytestmark = pytest.mark.server

SIZE = 11 * MIB + 12_345
DATA = content_for("film.mkv", SIZE, seed=90)
#: What requests and answers have around the bytes.
SMALL_TALK = 64 * KIB


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="holdfast-tus-") as name:
        yield Path(name)


@pytest.fixture
def film(folder: Path) -> Path:
    path = folder / "film.mkv"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with Proxy(server.port) as proxy:
        yield proxy


@pytest.fixture
def given(proxy: Proxy, token: str, film: Path) -> dict[str, Any]:
    return {"endpoint": f"{proxy.url}/files/", "token": token, "path": str(film)}


def arrived(client: NativeClient, address: str) -> bytes:
    """The content of the upload, once it is complete."""
    upload_id = address.rpartition("/")[2]
    wait_until(lambda: client.status(upload_id).json()["state"] == "completed", "completion")
    content = client.content(upload_id).content
    client.delete(upload_id)
    return content


def told_offset(client: NativeClient, js: TusJs) -> int:
    """How far the upload is, by HEAD; -1 while it has no address."""
    if not js.url:
        return -1
    headers = {"Tus-Resumable": "1.0.0"}
    answer = client.request("HEAD", f"/files/{js.url.rpartition('/')[2]}", headers=headers)
    return int(answer.headers["Upload-Offset"])


@pytest.mark.parametrize(
    ("options", "requests_sent"),
    [
        ({}, {"POST 201": 1, "PATCH 204": 1}),
        ({"chunkSize": 4 * MIB}, {"POST 201": 1, "PATCH 204": 3}),
        ({"parallelUploads": 4}, {"POST 201": 5, "PATCH 204": 4}),
        ({"deferred": True, "chunkSize": 4 * MIB}, {"POST 201": 1, "PATCH 204": 3}),
        ({"uploadDataDuringCreation": True, "chunkSize": 4 * MIB}, {"POST 201": 1, "PATCH 204": 2}),
        ({"overridePatchMethod": True}, {"POST 201": 1, "POST 204": 1}),
    ],
    ids=["one-patch", "chunked", "parallel", "deferred", "with-upload", "override"],
)
def test_tus_js_client_sends_a_file(
    client: NativeClient,
    proxy: Proxy,
    folder: Path,
    given: dict[str, Any],
    options: dict[str, Any],
    requests_sent: dict[str, int],
) -> None:
    with tus_js(folder, **given, **options) as js:
        address = js.done()
    assert {sent: js.requests.count(sent) for sent in set(js.requests)} == requests_sent
    assert arrived(client, address) == DATA
    assert proxy.bytes_upstream < SIZE + SMALL_TALK


def test_p3_tus_js_client_goes_on_after_the_server_was_killed(
    server: Server, client: NativeClient, proxy: Proxy, folder: Path, given: dict[str, Any]
) -> None:
    proxy.throttle(6 * MIB)
    with tus_js(folder, **given) as js:
        wait_until(lambda: told_offset(client, js) >= 5 * MIB, "some of the file to be in")
        server.kill9()
        server.start()
        proxy.throttle(None)
        address = js.done()
    assert arrived(client, address) == DATA
    assert js.requests.count("POST 201") == 1
    print(f"killed once: {proxy.bytes_upstream - SIZE} bytes were sent twice, or around the file")
    assert proxy.bytes_upstream < 2 * SIZE


def test_tus_js_client_resumes_from_the_address_it_kept(
    server: Server, client: NativeClient, proxy: Proxy, folder: Path, given: dict[str, Any]
) -> None:
    given |= {"storage": str(folder / "addresses.json"), "chunkSize": 5 * MIB}
    (folder / "addresses.json").write_text("{}")
    proxy.hold_after(7 * MIB)
    with tus_js(folder, **given) as js:
        wait_until(lambda: told_offset(client, js) >= 5 * MIB, "the first chunk to be in")
        assert proxy.was_held.wait(WAIT_SECONDS)
        js.kill()
    proxy.drop()
    upload_id = js.url.rpartition("/")[2]
    wait_until(lambda: patches(server, upload_id) == 2, "the end of the cut request")
    kept = told_offset(client, js)
    proxy.reset_count()
    with tus_js(folder, **given, resume=True) as again:
        address = again.done()
    assert again.facts[0] == {"found": js.url}
    assert again.requests[0] == "HEAD 200"
    assert arrived(client, address) == DATA
    assert proxy.bytes_upstream < SIZE - kept + SMALL_TALK


def test_tuspy_sends_a_file_with_checksums(
    server: Server, client: NativeClient, token: str, film: Path
) -> None:
    tus = TusClient(f"{server.url}/files/", headers={"Authorization": f"Bearer {token}"})
    given = {"chunk_size": 4 * MIB, "upload_checksum": True}
    with film.open("rb") as file:
        metadata = {"filename": "film.mkv"}
        uploader = tus.uploader(file_stream=file, metadata=metadata, **given)
        uploader.upload(stop_at=4 * MIB)
        # Another one goes on from what the server says.
        again = tus.uploader(file_stream=file, url=uploader.url, **given)
        assert again.offset == 4 * MIB
        again.upload()
    address = str(again.url)
    assert client.status(address.rpartition("/")[2]).json()["filename"] == "film.mkv"
    assert arrived(client, address) == DATA


def test_tuspy_learns_of_a_checksum_that_is_wrong(
    server: Server, client: NativeClient, token: str, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Uploader, "checksum_algorithm", property(lambda _: lambda _: _Wrong()))
    tus = TusClient(f"{server.url}/files/", headers={"Authorization": f"Bearer {token}"})
    with film.open("rb") as file:
        uploader = tus.uploader(file_stream=file, chunk_size=4 * MIB, upload_checksum=True)
        with pytest.raises(TusUploadFailed) as refused:
            uploader.upload()
    assert refused.value.status_code == 460
    address = str(uploader.url)
    head = requests.head(address, headers=tus.headers | {"Tus-Resumable": "1.0.0"}, timeout=120)
    assert head.headers["Upload-Offset"] == "0"
    client.delete(address.rpartition("/")[2])


class _Wrong:
    def digest(self) -> bytes:
        return b"x" * 20
