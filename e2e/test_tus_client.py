"""tus-js-client in a browser; and uploads that it begins and the dashboard ends, and the other way.

The page is signed in by its cookie, as a page of the project would be.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.support.client import NativeClient
from tests.support.proxy import Proxy
from tests.support.server import PASSWORD, USER, Server
from tests.support.waiting import wait_until
from uploads.core.plan import KIB, MIB

from .conftest import MakeFile
from .support import CHUNK, NETWORK_ERRORS, Complaints, Dashboard, Person, begin

pytestmark = pytest.mark.browser

LIBRARY = Path(__file__).parents[1] / "node_modules/tus-js-client/dist/tus.js"
SIZE = 11 * MIB + 12_345
#: What requests and answers have around the bytes.
SMALL_TALK = 256 * KIB
V = {"Tus-Resumable": "1.0.0"}

#: Sends the file that is chosen, by `options`; what became of it is told by `window.told`.
SENDING = """([options, csrf]) => {
  const input = document.createElement("input");
  input.type = "file";
  input.id = "foreign";
  document.body.append(input);
  window.told = { answers: [], url: null };
  window.sent = new Promise((resolve, reject) => {
    input.addEventListener("change", async () => {
      const [file] = input.files;
      const { resume, deferred, ...others } = options;
      const source = deferred ? file.stream().getReader() : file;
      const upload = new tus.Upload(source, {
        endpoint: new URL("/files/", location.href).href,
        headers: { "X-CSRFToken": csrf },
        retryDelays: Array(400).fill(300),
        metadata: { filename: file.name, filetype: "video/x-matroska" },
        uploadLengthDeferred: Boolean(deferred),
        ...others,
        onAfterResponse: (request, response) =>
          void told.answers.push(`${request.getMethod()} ${response.getStatus()}`),
        onUploadUrlAvailable: () => void (told.url = upload.url),
        onError: reject,
        onSuccess: () => resolve(upload.url),
      });
      if (resume) {
        const [previous] = await upload.findPreviousUploads();
        upload.resumeFromPreviousUpload(previous);
      }
      upload.start();
    });
  });
}"""


@pytest.fixture
def context(lax_context: BrowserContext) -> BrowserContext:
    return lax_context


def choose(page: Page, path: Path, **options: Any) -> None:
    page.add_script_tag(path=LIBRARY)
    csrf = page.evaluate("document.body.dataset.csrfToken")
    page.evaluate(SENDING, [options, csrf])
    page.locator("#foreign").set_input_files(path)


def sent(page: Page) -> str:
    """The id of the upload, once the client is through."""
    url: str = page.evaluate("window.sent")
    return url.rpartition("/")[2]


def arrived(client: NativeClient, upload_id: str) -> bytes:
    wait_until(lambda: client.status(upload_id).json()["state"] == "completed", "completion")
    return client.content(upload_id).content


def told_offset(client: NativeClient, page: Page) -> int:
    url = page.evaluate("told.url")
    if not url:
        return -1
    head = client.request("HEAD", f"/files/{url.rpartition('/')[2]}", headers=V)
    return int(head.headers["Upload-Offset"])


@pytest.mark.parametrize(
    ("options", "answers"),
    [
        ({}, ["PATCH 204", "POST 201"]),
        ({"chunkSize": 5 * MIB}, ["PATCH 204"] * 3 + ["POST 201"]),
        ({"parallelUploads": 4}, ["PATCH 204"] * 4 + ["POST 201"] * 5),
        # The last one has no bytes: only then is it known that there are no more.
        ({"deferred": True, "chunkSize": 5 * MIB}, ["PATCH 204"] * 4 + ["POST 201"]),
    ],
    ids=["one-patch", "chunked", "parallel", "deferred"],
)
def test_tus_js_client_sends_a_file_that_the_dashboard_shows(
    dashboard: Dashboard,
    client: NativeClient,
    make_file: MakeFile,
    options: dict[str, Any],
    answers: list[str],
) -> None:
    film = make_file("film.mkv", SIZE)
    choose(dashboard.page, film, **options)
    upload_id = sent(dashboard.page)
    assert sorted(dashboard.page.evaluate("told.answers")) == answers
    assert arrived(client, upload_id) == film.read_bytes()
    dashboard.open()
    dashboard.file(film.name).expect_state("Completed")
    expect(dashboard.page.get_by_text("unnamed")).to_have_count(0)


class TestKilled:
    @pytest.fixture
    def server(self) -> Iterator[Server]:
        """One of this test's own, since others would miss it. It lets in pages of any origin."""
        with Server(HOLDFAST_CORS_ORIGINS="*") as server:
            yield server

    @pytest.fixture
    def person(self, server: Server) -> Person:
        return Person(USER, PASSWORD, server.issue_token())

    def test_p3_a_page_of_another_origin_goes_on_when_the_server_was_killed(
        self,
        context: BrowserContext,
        person: Person,
        client: NativeClient,
        proxy: Proxy,
        server: Server,
        complaints: Complaints,
        make_file: MakeFile,
    ) -> None:
        complaints.allow(NETWORK_ERRORS)
        film = make_file("film.mkv", SIZE)
        page = context.new_page()
        # To a browser this is not where the proxy is.
        page.goto(f"http://localhost:{server.port}/sign-in/")
        proxy.hold_after(7 * MIB)
        headers = {"Authorization": f"Bearer {person.token}"}
        choose(page, film, endpoint=f"{proxy.url}/files/", headers=headers)
        wait_until(lambda: told_offset(client, page) >= 5 * MIB, "a chunk to be in")
        server.kill9()
        proxy.drop()
        server.start()
        assert arrived(client, sent(page)) == film.read_bytes()
        assert page.evaluate("told.answers").count("POST 201") == 1
        assert proxy.bytes_upstream < SIZE + 4 * MIB


def test_tus_js_client_resumes_from_the_address_that_its_page_kept(
    context: BrowserContext,
    dashboard: Dashboard,
    client: NativeClient,
    proxy: Proxy,
    complaints: Complaints,
    make_file: MakeFile,
) -> None:
    complaints.allow(NETWORK_ERRORS)
    film = make_file("film.mkv", SIZE)
    proxy.hold_after(7 * MIB)
    choose(dashboard.page, film, chunkSize=5 * MIB)
    wait_until(lambda: told_offset(client, dashboard.page) >= 5 * MIB, "the first chunk to be in")
    dashboard.page.close()
    proxy.drop()
    again = Dashboard(context.new_page()).open()
    choose(again.page, film, chunkSize=5 * MIB, resume=True)
    upload_id = sent(again.page)
    assert again.page.evaluate("told.answers")[0] == "HEAD 200"
    assert arrived(client, upload_id) == film.read_bytes()


def test_the_dashboard_goes_on_with_what_a_tus_client_began(
    dashboard: Dashboard, client: NativeClient, proxy: Proxy, make_file: MakeFile, folder: Path
) -> None:
    size = 5 * CHUNK - 12_345
    film = make_file("film.mkv", size)
    metadata = {"Upload-Length": str(size), "Upload-Metadata": "filename ZmlsbS5ta3Y="}
    created = client.request("POST", "/files/", headers=V | metadata)
    path = "/files/" + created.headers["Location"].rpartition("/")[2]
    bytes_of = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
    data = film.read_bytes()
    answer = client.request("PATCH", path, headers=V | bytes_of, data=data[: 17 * MIB])
    assert answer.headers["Upload-Offset"] == str(17 * MIB)

    dashboard.open()
    row = dashboard.row(film.name)
    count = proxy.bytes_upstream
    row.resume_with(film)
    row.expect_state("Completed")
    # No hash was declared: the first and the last of the three chunks that are in are sent again,
    # to see that they are of this file.
    assert proxy.bytes_upstream - count < size - CHUNK + SMALL_TALK
    assert row.download(folder).read_bytes() == data
    assert client.request("HEAD", path, headers=V).headers["Upload-Offset"] == str(size)


def test_a_tus_client_goes_on_with_what_the_browser_began(
    dashboard: Dashboard, client: NativeClient, proxy: Proxy, make_file: MakeFile
) -> None:
    film = make_file("film.mkv", SIZE)
    session = begin(client, film.name, film.read_bytes(), [0])
    count = proxy.bytes_upstream
    choose(dashboard.page, film, uploadUrl=f"{proxy.url}/files/{session['id']}")
    assert sent(dashboard.page) == session["id"]
    assert dashboard.page.evaluate("told.answers") == ["HEAD 200", "PATCH 204"]
    assert proxy.bytes_upstream - count < SIZE - CHUNK + SMALL_TALK
    assert arrived(client, session["id"]) == film.read_bytes()
