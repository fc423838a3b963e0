"""Content from a host of its own: one server under two names, a browser, and curl."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, Request

from tests.support.bodies import payload, sha256
from tests.support.client import NativeClient
from tests.support.server import Server
from tests.support.signatures import content_for
from tests.support.waiting import wait_until

from .support import PATIENCE, Complaints, Dashboard, Person, make_people, status

pytestmark = [pytest.mark.browser, pytest.mark.server]

#: The name of the site is 127.0.0.1.
CONTENT_HOST = "localhost"
SIZE = 400_000


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(HOLDFAST_DOWNLOAD_ORIGIN=f"http://{CONTENT_HOST}:{{port}}") as server:
        yield server


@pytest.fixture(scope="module")
def person(server: Server) -> Person:
    [person] = make_people(server, 1)
    return person


def test_a_download_of_the_dashboard_comes_from_there_without_a_cookie(
    server: Server, person: Person, browser: Browser, complaints: Complaints, folder: Path
) -> None:
    context = browser.new_context(base_url=server.url)
    context.set_default_timeout(PATIENCE)
    complaints.watch(context)
    there: list[Request] = []
    context.on("request", lambda r: there.append(r) if f"//{CONTENT_HOST}:" in r.url else None)
    dashboard = Dashboard(context.new_page()).sign_in(person)
    film = folder / "film.mkv"
    film.write_bytes(content_for(film.name, SIZE, seed=60))
    row = dashboard.upload(film)
    with dashboard.page.expect_download() as download:
        row.link("Download").click()
    assert download.value.suggested_filename == "film.mkv"
    assert sha256(Path(download.value.path()).read_bytes()) == sha256(film.read_bytes())
    assert download.value.url.startswith(f"http://{CONTENT_HOST}:")
    assert there, "it came from the other host"
    for request in there:
        assert not {"cookie", "authorization", "referer"} & set(request.all_headers())
    dashboard.expect_open()
    # The site is not there, even for who is signed in here.
    page = context.new_page()
    complaints.allow("404")
    answer = page.goto(server.url.replace("127.0.0.1", CONTENT_HOST))
    assert answer is not None
    assert answer.status == 404
    assert [cookie["domain"] for cookie in context.cookies()].count(CONTENT_HOST) == 0
    context.close()


def test_curl_goes_there_leaves_its_token_and_goes_on_where_it_was(
    server: Server, person: Person, folder: Path
) -> None:
    client = NativeClient(server.url, person.token)
    data = payload(SIZE, seed=61)
    session = client.begin(data)
    client.send_missing(data, session)
    wait_until(lambda: status(client, session["id"])["state"] == "completed", "completion")
    url = f"{server.url}{session['urls']['content']}"
    target, heads = folder / "copy", folder / "heads"
    target.write_bytes(data[:1000])
    subprocess.run(
        ["curl", "-sS", "--fail", "-L", "-C", "-", "-o", target, "-D", heads,
         "-H", f"Authorization: Bearer {person.token}", url],
        check=True,
        timeout=120,
    )  # fmt: skip
    assert target.read_bytes() == data
    assert "206 Partial Content" in heads.read_text()
    head = requests.head(
        url, headers={"Authorization": f"Bearer {person.token}"}, allow_redirects=True, timeout=120
    )
    assert (head.status_code, head.headers["Content-Length"]) == (200, str(SIZE))
    assert "Authorization" not in head.request.headers
    client.close()
