"""One GiB by tus-js-client: the server is killed twice and the connection cut five times."""

import hashlib
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import NativeClient
from tests.support.proxy import Proxy
from tests.support.server import Server
from tests.support.tus_js import TusJs, tus_js
from tests.support.waiting import wait_until
from uploads.core.plan import MIB

pytestmark = [pytest.mark.server, pytest.mark.long, pytest.mark.timeout(900)]

SIZE = 1024 * MIB
#: What happens once so many bytes have been sent.
CUTS = [90 * MIB, 250 * MIB, 410 * MIB, 700 * MIB, 900 * MIB]
KILLS = [330 * MIB, 800 * MIB]
#: What may be lost of what was on its way, each time: buffers of the kernel and the proxy, and what
#: a server that is killed had of a chunk.
LOST_EACH_TIME = 12 * MIB


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="holdfast-tus-") as name:
        yield Path(name)


def written(path: Path) -> str:
    """A file of SIZE random bytes; its SHA-256."""
    source, digest = random.Random(96), hashlib.sha256()
    with path.open("wb") as file:
        for _ in range(SIZE // MIB):
            piece = source.randbytes(MIB)
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


def disturb(server: Server, proxy: Proxy, client: NativeClient, js: TusJs) -> None:
    """Each fault in its turn, and each time wait until the client has gone on."""
    for moment, fault in sorted([(at, "cut") for at in CUTS] + [(at, "kill") for at in KILLS]):
        wait_until(lambda at=moment: told_offset(client, js) >= at, f"{moment} bytes", 120)  # type: ignore[misc]
        if fault == "kill":
            server.kill9()
            server.start()
        else:
            proxy.drop()


def told_offset(client: NativeClient, js: TusJs) -> int:
    if not js.url:
        return -1
    path = f"/files/{js.url.rpartition('/')[2]}"
    answer = client.request("HEAD", path, headers={"Tus-Resumable": "1.0.0"})
    return int(answer.headers["Upload-Offset"])


def test_a_gibibyte_arrives_whole_through_two_kills_and_five_cuts(
    server: Server, token: str, client: NativeClient, folder: Path
) -> None:
    film = folder / "survey.raw"
    sha256 = written(film)
    with Proxy(server.port) as proxy:
        given = {"endpoint": f"{proxy.url}/files/", "token": token, "path": str(film)}
        # So slow that the faults find it under way.
        proxy.throttle(80 * MIB)
        with tus_js(folder, **given, retryDelays=[200] * 1000) as js:
            disturb(server, proxy, client, js)
            upload_id = js.done(300).rpartition("/")[2]
        sent = proxy.bytes_upstream
    wait_until(lambda: client.status(upload_id).json()["state"] == "completed", "completion", 120)
    assert client.status(upload_id).json()["sha256"] == sha256
    content = hashlib.sha256()
    for piece in client.content(upload_id, stream=True).iter_content(MIB):
        content.update(piece)
    assert content.hexdigest() == sha256
    assert js.requests.count("POST 201") == 1
    again = sent - SIZE
    print(
        f"1 GiB by tus-js-client, 2 kills, 5 cuts: {sent} bytes sent in all, {again} of them again"
    )
    assert again < LOST_EACH_TIME * len(CUTS + KILLS)
