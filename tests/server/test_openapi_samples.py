"""docs/openapi.yaml: the lines for a shell of every operation, run as they stand."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import NativeClient
from tests.support.server import Server
from tests.support.signatures import content_for
from tests.support.waiting import wait_until
from tests.test_openapi_document import Operation, each_operation
from uploads.core.plan import MIB

pytestmark = pytest.mark.server

CHUNK = 5 * MIB
FILM = content_for("film.mkv", 3 * CHUNK, 41)
#: The chunks that are in before the lines run, where they are for an upload that has some.
SENT = {
    "appendToUpload": [0],
    "completeUpload": [0, 1, 2],
    "completeJsonUpload": [0, 1, 2],
    "completeChunkedUpload": [0, 1, 2],
    "getContent": [0, 1, 2],
    "headContent": [0, 1, 2],
}
#: curl says how it was answered, and nothing else.
PRELUDE = """curl() { command curl --silent --output /dev/null --write-out '%{http_code}' "$@"; }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "film.mkv").write_bytes(FILM)
    return tmp_path


def upload_id(client: NativeClient, operation: dict[str, Any]) -> str:
    """Of an upload to which the lines of `operation` can be done."""
    name = operation["operationId"]
    session: dict[str, Any] = client.handshake("film.mkv", len(FILM)).json()
    client.send_missing(FILM, {**session, "missing": SENT.get(name, [])})
    given: str = session["id"]
    if name in {"getContent", "headContent"}:
        body = {"upload_id": given}
        client.request("POST", "/api/v1/upload/complete", json=body).raise_for_status()
        wait_until(lambda: client.status(given).json()["state"] == "completed", "completion")
    return given


@each_operation
def test_the_lines_do_what_they_are_said_to(
    server: Server, token: str, client: NativeClient, folder: Path, operation: Operation
) -> None:
    _, _, said = operation
    given = {"URL": server.url, "TOKEN": token, "ID": upload_id(client, said)}
    (sample,) = said["x-codeSamples"]
    done = subprocess.run(
        ["sh", "-eu", "-c", PRELUDE + sample["source"]],
        check=False,
        cwd=folder,
        env={"PATH": os.environ["PATH"], **given},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout in said["responses"], done.stderr
    assert done.stdout < "300"
