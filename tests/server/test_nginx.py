"""The nginx of docs/deploy.md: it sends the bytes, and says of them what the app says of them."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.bodies import payload
from tests.support.client import NativeClient
from tests.support.documents import blocks
from tests.support.nginx import NGINX, WHY_SKIPPED, nginx
from tests.support.server import REPOSITORY, Server
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(NGINX is None, reason=WHY_SKIPPED),
]

PREFIX = "/protected-uploads/"
DATA = payload(300_000, seed=50)
#: Each says this of itself, or of its connection.
OF_THE_SERVER = {"date", "server", "connection", "keep-alive", "x-request-id", "vary"}
#: Of the app's answer; the middleware for translations says it of whatever passes.
NOT_OF_CONTENT = {"content-language"}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(HOLDFAST_ACCEL_PREFIX=PREFIX) as server:
        yield server


@pytest.fixture(scope="module")
def url(server: Server, token: str) -> str:
    """The path of the content of DATA, whose name and type nginx would not guess."""
    with closing(NativeClient(server.url, token)) as client:
        session = client.handshake(
            "Gezeiten \u00fc.html", len(DATA), mime_type="text/plain; charset=utf-8"
        ).json()
        client.send_missing(DATA, session)
        client.complete(session["id"]).raise_for_status()
        wait_until(
            lambda: client.status(session["id"]).json()["state"] == "completed", "completion"
        )
        path: str = session["urls"]["content"]
        return path


def block(server: Server, content: Path | None = None) -> str:
    """Of the document, with this server's address and folder in place of the example's."""
    [text] = [found.text for found in blocks(REPOSITORY / "docs" / "deploy.md") if found.mark]
    folder = content or server.data / "uploads" / "content"
    replaced = {"http://127.0.0.1:8000": server.url, "/srv/holdfast/uploads/content": str(folder)}
    for example, real in replaced.items():
        assert example in text
        text = text.replace(example, real)
    return text


class Front:
    """The site as seen through nginx."""

    def __init__(self, port: int, folder: Path, token: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._log = folder / "sent.log"
        self._token = token

    def ask(self, method: str, path: str, **headers: str) -> Any:
        """With each `_` of a header's name for a dash."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        own = {"Authorization": f"Bearer {self._token}", "Accept-Encoding": "identity"}
        return requests.request(method, f"{self.url}{path}", headers={**own, **named}, timeout=120)

    def get(self, path: str, **headers: str) -> Any:
        return self.ask("GET", path, **headers)

    def sent_by_nginx(self, answer: Any) -> bool:
        """By the line of its log for this answer, which is written after it."""
        mark = answer.headers["X-Request-ID"]
        lines = wait_until(
            lambda: [line for line in self._log.read_text().splitlines() if mark in line], "the log"
        )
        return f" {PREFIX}" in lines[-1]


def of_content(answer: Any) -> dict[str, str]:
    """Its headers that are about the content; one that came twice has a comma."""
    named = {name.lower(): value for name, value in answer.headers.items()}
    return {name: named[name] for name in named.keys() - OF_THE_SERVER - NOT_OF_CONTENT}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nginx")


@pytest.fixture(scope="module")
def front(server: Server, token: str, folder: Path) -> Iterator[Front]:
    with nginx(block(server), folder) as port:
        yield Front(port, folder, token)


def test_all_that_the_app_says_of_content_nginx_says(
    front: Front, server: Server, token: str, url: str
) -> None:
    through = front.get(url)
    assert front.sent_by_nginx(through)
    with closing(NativeClient(server.url, token)) as client:
        direct = client.request("GET", url)
    assert (through.status_code, through.content) == (200, DATA)
    assert direct.content == DATA, "without nginx there is no empty file"
    assert of_content(through) == of_content(direct)
    assert through.headers["X-Request-ID"]


def test_no_header_tells_where_on_the_disk_it_is(front: Front, server: Server, url: str) -> None:
    for headers in ({}, {"Range": "bytes=0-0"}, {"Range": "bytes=900000-"}):
        answer = front.get(url, **headers)
        told = str(answer.headers).lower()
        assert "x-accel" not in told
        assert PREFIX.strip("/") not in told
        assert str(server.data) not in told
        assert "/content" not in told


@pytest.mark.parametrize(
    ("header", "first", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=-3", -3, None),
        ("bytes=1000-", 1000, None),
        ("bytes=5-9", 5, 10),
    ],
)
def test_a_range_is_sent_by_nginx_under_each_good_if_range(
    front: Front, url: str, header: str, first: int, end: int | None
) -> None:
    head = front.ask("HEAD", url)
    for condition in ({}, {"If_Range": head.headers["ETag"]},
                      {"If_Range": head.headers["Last-Modified"]}):  # fmt: skip
        answer = front.get(url, Range=header, **condition)
        assert (answer.status_code, answer.content) == (206, DATA[first:end])
        assert front.sent_by_nginx(answer)
        assert answer.headers["Content-Range"].endswith(f"/{len(DATA)}")
        assert answer.headers["ETag"] == head.headers["ETag"]
        assert answer.headers["Content-Security-Policy"] == head.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Range": "bytes=5-9", "If_Range": '"another"'},
        {"Range": "bytes=5-9", "If_Range": "Thu, 01 Jan 1970 00:00:01 GMT"},
        {"Range": "bytes=0-0,5-9"},
        {"Range": "bytes=9-5"},
        {"If_Match": "*"},
        {"If_None_Match": '"another"'},
        {"If_Modified_Since": "Thu, 01 Jan 1970 00:00:01 GMT"},
    ],
    ids=str,
)
def test_the_whole_comes_wherever_the_app_says_so(
    front: Front, url: str, headers: dict[str, str]
) -> None:
    answer = front.get(url, **headers)
    assert (answer.status_code, answer.content) == (200, DATA)


def test_conditions_that_the_file_s_own_date_would_answer_otherwise_are_the_app_s(
    front: Front, server: Server, url: str
) -> None:
    """nginx knows the date of the file on the disk, which is another than the upload's."""
    [path] = [path for path in (server.data / "uploads" / "content").rglob("*") if path.is_file()]
    head = front.ask("HEAD", url)
    etag, modified = head.headers["ETag"], head.headers["Last-Modified"]
    for date in (1, path.stat().st_mtime + 86_400):
        os.utime(path, (date, date))
        assert front.get(url, If_Match=etag).content == DATA
        assert front.get(url, If_Unmodified_Since=modified).content == DATA
        assert front.get(url, Range="bytes=1-2", If_Range=modified).content == DATA[1:3]
        for headers in ({"If_None_Match": etag}, {"If_Modified_Since": modified}):
            answer = front.get(url, **headers)
            assert (answer.status_code, answer.content) == (304, b"")
            assert answer.headers["ETag"] == etag
        assert front.get(url, If_Match='"another"').status_code == 412
        assert front.get(url).headers["Last-Modified"] == modified


def test_head_and_refusals_are_the_app_s_own(front: Front, url: str) -> None:
    head = front.ask("HEAD", url, Range="bytes=0-0")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == str(len(DATA))
    refused = front.get(url, Range=f"bytes={len(DATA)}-")
    assert (refused.status_code, refused.json()["code"]) == (416, "range_not_satisfiable")
    assert refused.headers["Content-Range"] == f"bytes */{len(DATA)}"
    assert not front.sent_by_nginx(refused)


def test_p9_nobody_else_gets_it_nor_reaches_around_the_app(
    front: Front, server: Server, url: str
) -> None:
    anonymous = front.get(url, Authorization="Bearer unknown")
    assert anonymous.status_code == 401
    [path] = [path for path in (server.data / "uploads" / "content").rglob("*") if path.is_file()]
    inside = path.relative_to(server.data / "uploads" / "content").as_posix()
    for address in (inside, "", "../holdfast.sqlite3", "..%2f..%2fholdfast.sqlite3", "../staging/"):
        prepared = requests.Request("GET", front.url).prepare()
        prepared.url = f"{front.url}{PREFIX}{address}"
        with requests.Session() as session:
            answer = session.send(prepared, timeout=120)
        assert answer.status_code in {400, 404}, address
        assert DATA[:100] not in answer.content


def test_what_nginx_cannot_read_the_app_sends(
    server: Server, token: str, url: str, tmp_path: Path
) -> None:
    with nginx(block(server, content=tmp_path / "empty"), tmp_path) as port:
        front = Front(port, tmp_path, token)
        whole, part = front.get(url), front.get(url, Range="bytes=7-9")
    assert (whole.content, part.content) == (DATA, DATA[7:10])
    with closing(NativeClient(server.url, token)) as client:
        assert of_content(whole) == of_content(client.request("GET", url))


def test_p1_a_file_that_is_gone_is_told_in_the_words_of_the_app(
    front: Front, server: Server, token: str
) -> None:
    data = payload(1000, seed=51)
    with closing(NativeClient(server.url, token)) as client:
        session = client.begin(data)
        client.send_missing(data, session)
        wait_until(
            lambda: client.status(session["id"]).json()["state"] == "completed", "completion"
        )
        folder = server.data / "uploads" / "content" / session["sha256"]
        [path] = folder.iterdir()
        assert path.stat().st_mode & 0o777 == 0o640, "nginx is in the server's group"
        path.unlink()
        answer = front.get(session["urls"]["content"])
        assert (answer.status_code, answer.json()["code"]) == (409, "content_damaged")
        client.delete(session["id"])
