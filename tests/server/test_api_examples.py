"""B9: the examples of docs/api.md, taken out of it and run as they stand, against a real server."""

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.bodies import payload, sha256
from tests.support.client import NativeClient
from tests.support.documents import API_BLOCKS, api_program
from tests.support.front import Front, front_of
from tests.support.proxy import Proxy
from tests.support.server import REPOSITORY, Server
from tests.support.waiting import wait_until
from uploads.core.plan import MIB

pytestmark = pytest.mark.server

#: Three whole chunks and a shorter one, of the size that programs get which ask for none.
SIZE = 16 * MIB
CHUNK = 5 * MIB
SECONDS = 120
RUNNERS = {
    "sh": ["sh", "-eu"],
    "py": [sys.executable, "-W", "error"],
    "mjs": [str(REPOSITORY / ".venv" / "bin" / "node"), "--throw-deprecation"],
}


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with Proxy(server.port) as proxy:
        yield proxy


def kill(process: "subprocess.Popen[str]") -> None:
    """With its children: `node` is started by a script of its package."""
    os.killpg(process.pid, signal.SIGKILL)


class Example:
    """A program of the document, saved as a file, and a file of its own to send."""

    def __init__(self, name: str, folder: Path, token: str, size: int = SIZE) -> None:
        self.name = name
        suffix = name.rpartition(".")[2]
        program = folder / f"send.{suffix}"
        program.write_text(api_program(name))
        # Other bytes under another name in each test.
        self.data = payload(size, seed=zlib.crc32(folder.name.encode()))
        self.file = folder / f"for {folder.name}.bin"
        self.file.write_bytes(self.data)
        self._folder, self._token = folder, token
        self._command = [*RUNNERS[suffix], str(program)]

    def start(self, url: str, *arguments: str) -> "subprocess.Popen[str]":
        # Programs take the file as their argument, the shell as a variable.
        given = {"URL": url, "TOKEN": self._token, "FILE": self.file.name}
        return subprocess.Popen(
            [*self._command, self.file.name, *arguments],
            cwd=self._folder,
            env={"PATH": os.environ["PATH"], **given},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, url: str, *arguments: str) -> str:
        """What it prints, when it ends with 0."""
        code, printed, errors = self.outcome(url, *arguments)
        assert (code, errors) == (0, ""), f"{self.name} ended with {code}: {errors}{printed}"
        return printed

    def outcome(self, url: str, *arguments: str) -> tuple[int, str, str]:
        with self.start(url, *arguments) as process:
            try:
                printed, errors = process.communicate(timeout=SECONDS)
            except subprocess.TimeoutExpired:
                kill(process)
                raise
            return process.returncode, printed, errors

    def be_killed_after(self, pieces: int, front: Front) -> str:
        """Send so many pieces, lose others, be killed. What it has printed."""
        front.lose_after(pieces)
        with self.start(front.url) as process:
            assert front.was_lost.wait(SECONDS)
            wait_until(lambda: len(front.passed) == pieces, f"{pieces} pieces")
            kill(process)
            return process.communicate()[0]

    def is_what_arrived(self, client: NativeClient) -> dict[str, Any]:
        """The upload of this file, after it is seen to be complete and the same."""
        session = self.session(client)
        wait_until(lambda: self.session(client)["state"] == "completed", f"{self.name} to complete")
        digest = hashlib.sha256(client.content(session["id"]).content).hexdigest()
        assert digest == sha256(self.data)
        return session

    def session(self, client: NativeClient) -> dict[str, Any]:
        listed: list[dict[str, Any]] = client.request("GET", "/api/v1/uploads").json()["results"]
        [session] = [one for one in listed if one["filename"] == self.file.name]
        return session


@pytest.mark.parametrize(
    "name",
    [
        "mixed.sh",
        "native.sh",
        "json_api.sh",
        "parts.sh",
        "stream.sh",
        "chunked-upload.sh",
        "tus.sh",
        "form.sh",
    ],
)
def test_the_lines_for_curl_send_a_file(
    name: str, server: Server, token: str, client: NativeClient, tmp_path: Path
) -> None:
    example = Example(name, tmp_path, token, 11 * MIB)
    example.run(server.url)
    example.is_what_arrived(client)
    if name == "native.sh":
        assert (tmp_path / "copy.bin").read_bytes() == example.data


def test_the_lines_for_curl_cancel_an_upload(
    server: Server, token: str, client: NativeClient, tmp_path: Path
) -> None:
    Example("cancel.sh", tmp_path, token, 1).run(server.url)
    listed = client.request("GET", "/api/v1/uploads?state=cancelled").json()["results"]
    assert [one["filename"] for one in listed].count("mistake.bin") == 2


@pytest.mark.parametrize(
    ("name", "cut_after", "most"),
    [
        # Base64 of the first chunk has 6.7 MiB; that of the 6 MiB after it 8.
        ("json_api.sh", 8 * MIB, 8 * MIB),
        ("parts.sh", 7 * MIB, 6 * MIB),
        # To the byte, but for the head of the first request.
        ("stream.sh", 7 * MIB, 4 * MIB),
    ],
)
def test_the_lines_for_curl_go_on_where_they_were_cut(
    name: str,
    cut_after: int,
    most: int,
    proxy: Proxy,
    token: str,
    client: NativeClient,
    tmp_path: Path,
) -> None:
    example = Example(name, tmp_path, token, 11 * MIB - 1)
    proxy.cut_after(cut_after)
    assert example.outcome(proxy.url)[0] != 0
    proxy.heal()
    least = CHUNK if name != "stream.sh" else cut_after - 4096
    wait_until(lambda: example.session(client)["offset"] >= least, "what came before the cut")
    proxy.reset_count()
    example.run(proxy.url)
    assert proxy.bytes_upstream < most + 16 * 1024
    example.is_what_arrived(client)


@pytest.mark.parametrize("name", ["native.py", "json_api.py", "native.mjs", "json_api.mjs"])
def test_a_program_that_is_killed_goes_on_through_refusals_and_sends_only_what_is_missing(
    name: str, server: Server, token: str, client: NativeClient, tmp_path: Path
) -> None:
    example = Example(name, tmp_path, token)
    with front_of(server.url) as front:
        example.be_killed_after(2, front)
    missing = client.status(example.session(client)["id"]).json()["missing"]
    assert len(missing) == 2

    with front_of(server.url) as front:
        front.refuse(pieces=[(429, 1), (422, 0)], others=[(503, 0)])
        printed = example.run(front.url).split()
    assert sorted(front.passed) == missing
    assert len(front.waited) == 3
    assert all(waited >= asked for waited, asked in front.waited)
    assert "100.0" in printed
    assert example.is_what_arrived(client)["id"] == printed[-1]


@pytest.mark.parametrize("name", ["native.py", "json_api.mjs"])
def test_a_program_says_why_it_was_refused_for_good_and_does_not_try_again(
    name: str, server: Server, tmp_path: Path
) -> None:
    code, _, errors = Example(name, tmp_path, "wrong", 1).outcome(server.url)
    assert (code, errors[:5], errors.count('"status"')) == (1, "401: ", 1)


def test_e6_the_program_for_chunked_upload_goes_on_by_its_id_after_it_was_killed(
    server: Server, token: str, client: NativeClient, tmp_path: Path
) -> None:
    example = Example("chunked_upload.py", tmp_path, token)
    with front_of(server.url) as front:
        upload_id = example.be_killed_after(2, front).partition(":")[0]
    with front_of(server.url) as front:
        front.refuse(pieces=[(429, 1)], others=[(507, 0)])
        example.run(front.url, upload_id)
    assert front.passed == [2 * CHUNK, 3 * CHUNK]
    assert all(waited >= asked for waited, asked in front.waited)
    assert example.is_what_arrived(client)["id"].replace("-", "") == upload_id


def answers(client: NativeClient) -> list[dict[str, Any]]:
    """What the protocols answer to a whole upload, each in its turn."""
    data = payload(CHUNK + 1, seed=91)

    def answer(method: str, path: str, **given: Any) -> dict[str, Any]:
        got = client.request(method, path, **given)
        assert got.ok, got.text
        body: dict[str, Any] = got.json()
        return body

    native = client.handshake("answers.bin", len(data)).json()
    own = f"/uploads/sessions/{native['id']}"
    first = {"upload_id": native["id"], "chunk_index": 0, "checksum": sha256(data[:CHUNK])}
    piece = {"file": ("answers.bin", b"of its own")}
    begun = answer("POST", "/api/chunked-upload/", files=piece)
    md5 = hashlib.md5(piece["file"][1]).hexdigest()
    form = {"upload_id": begun["upload_id"], "md5": md5}
    return [
        native,
        client.put_chunk(native["id"], 0, data[:CHUNK]).json(),
        answer("GET", f"{native['urls']['self']}/check"),
        answer("GET", f"/api/v1/upload/status/{native['id']}"),
        answer(
            "POST",
            "/api/v1/upload/chunk",
            json={**first, "chunk_data": base64.b64encode(data[:CHUNK]).decode()},
        ),
        answer("GET", own)["urls"],
        answer("PUT", f"{own}/parts/1", data=data[:CHUNK]),
        answer(
            "PUT",
            f"/upload/{native['id']}",
            data=data[CHUNK:],
            headers={"Upload-Offset": str(CHUNK)},
        ),
        begun,
        answer("POST", "/api/chunked-upload/complete/", data=form),
        client.put_chunk(native["id"], 0, b"short").json(),
    ]


def test_the_answers_of_the_document_have_the_fields_of_the_real_ones(
    client: NativeClient,
) -> None:
    told = [set(json.loads(block.text)) for block in API_BLOCKS if block.language == "json"]
    assert [set(answer) for answer in answers(client)] == told


def test_the_headers_of_the_document_are_those_of_an_upload(client: NativeClient) -> None:
    session = client.handshake("headers.bin", 3 * CHUNK).json()
    for index in (0, 2):
        client.put_chunk(session["id"], index, bytes(CHUNK)).raise_for_status()
    real = client.request("HEAD", f"/upload/{session['id']}").headers
    [block] = [block for block in API_BLOCKS if block.language == "http"]
    told = dict(line.split(": ") for line in block.text.splitlines()[1:])
    assert {name: real.get(name) for name in told} == told
    assert {name for name in real if name.lower().startswith("upload-")} == {*map(str.lower, told)}


def test_the_line_of_the_log_has_the_fields_of_a_real_one(
    server: Server, client: NativeClient
) -> None:
    session = client.handshake("logged.bin", CHUNK).json()
    answer = client.put_chunk(session["id"], 0, bytes(CHUNK))
    request_id = answer.headers["X-Request-ID"]
    wait_until(lambda: f"[{request_id}]" in server.log, "the line")
    [line] = [line for line in server.log.splitlines() if f"[{request_id}]" in line]
    [block] = [block for block in API_BLOCKS if block.language == "text"]
    told, real = (
        [text.split(" ")[2:4], list(json.loads(text[text.index("{") :]))]
        for text in (block.text, line)
    )
    assert told == real
