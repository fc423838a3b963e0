"""README.md: the shell lines under "Send a file with curl", run as they stand."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.bodies import WAIT_SECONDS, payload
from tests.support.client import NativeClient
from tests.support.proxy import Proxy
from tests.support.server import REPOSITORY, Server
from tests.support.waiting import wait_until
from uploads.core.plan import MIB

pytestmark = pytest.mark.server


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with Proxy(server.port) as proxy:
        yield proxy


def script(**values: str) -> str:
    """The block, with other values for the variables named; each must be set exactly once."""
    text = (REPOSITORY / "README.md").read_text()
    _, _, section = text.partition("\n## Send a file with curl\n")
    found = re.search(r"```sh\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)
    assert found, "the README has no such block"
    block = found[1]
    for name, value in values.items():
        block, count = re.subn(rf"^{name}=.*$", f"{name}={value}", block, flags=re.MULTILINE)
        assert count == 1, name
    return block


def run(lines: str, folder: Path) -> str:
    done = subprocess.run(
        ["sh", "-u", "-c", lines],
        check=False,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.stdout


def last_answer(output: str) -> dict[str, Any]:
    """What the last line of the block, the look at the session, has printed."""
    answer: dict[str, Any] = json.loads(output[output.rindex('{"id"') :])
    return answer


def test_the_lines_for_curl_send_a_file_whatever_interrupts_them_and_never_twice(
    proxy: Proxy, token: str, client: NativeClient, tmp_path: Path
) -> None:
    data = payload(11 * MIB, seed=30)
    (tmp_path / "some file.bin").write_bytes(data)
    lines = script(URL=proxy.url, FILE="'some file.bin'", TOKEN=token)

    proxy.cut_after(7 * MIB)
    run(lines, tmp_path)
    assert proxy.was_cut.wait(WAIT_SECONDS)
    proxy.heal()
    proxy.reset_count()
    session = last_answer(run(lines, tmp_path))
    assert 6 * MIB <= proxy.bytes_upstream < 6 * MIB + 64 * 1024, "only what was missing is sent"
    assert (session["filename"], session["missing"]) == ("some file.bin", [])
    wait_until(lambda: client.status(session["id"]).json()["state"] == "completed", "completion")
    assert client.content(session["id"]).content == data

    proxy.reset_count()
    again = last_answer(run(lines, tmp_path))
    assert (again["id"], again["state"]) == (session["id"], "completed")
    assert proxy.bytes_upstream < 4 * 1024, "nothing is sent a second time"
    assert client.begin(data)["status"] == "file_exists"
