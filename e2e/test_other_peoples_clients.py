"""Clients that were not written for this server: jQuery File Upload with SparkMD5.

That pair is what pages around django-chunked-upload send files with.
"""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page

from uploads.core.plan import KIB, MIB

from .conftest import MakeFile
from .support import Dashboard, sha256_of

pytestmark = pytest.mark.browser

MODULES = Path(__file__).parents[1] / "node_modules"
LIBRARIES = (
    "jquery/dist/jquery.js",
    "blueimp-file-upload/js/vendor/jquery.ui.widget.js",
    "blueimp-file-upload/js/jquery.fileupload.js",
    "spark-md5/spark-md5.js",
)
PIECE = 700 * KIB

#: The page of such a project: pieces one after the other, the MD5 of the whole, then complete.
SENDING = """([url, csrf, piece]) => new Promise((resolve, reject) => {
  const fields = [{ name: "csrfmiddlewaretoken", value: csrf }];
  const input = $("<input type=file name=file id=foreign>").appendTo("body");
  const answers = [];
  const failed = (request) => reject(new Error(request.responseText || request.statusText));
  input.fileupload({
    url, dataType: "json", maxChunkSize: piece, formData: fields,
    add: (event, data) => data.submit(),
    chunkdone: (event, { result }) => {
      answers.push(result.offset);
      if (fields.length < 2) fields.push({ name: "upload_id", value: result.upload_id });
    },
    fail: (event, { jqXHR }) => failed(jqXHR),
    done: async (event, { result, files: [file] }) => {
      const md5 = SparkMD5.ArrayBuffer.hash(await file.arrayBuffer());
      const { upload_id } = result;
      $.ajax({
        type: "POST", url: `${url}complete/`, dataType: "json",
        data: { csrfmiddlewaretoken: csrf, upload_id, md5 },
      }).then((done) => resolve({ ...done, answers }), failed);
    },
  });
  window.isReady = true;
})"""


@pytest.fixture
def context(lax_context: BrowserContext) -> BrowserContext:
    return lax_context


def send(page: Page, path: Path) -> dict[str, Any]:
    """What the server answers when all is said and done."""
    for library in LIBRARIES:
        page.add_script_tag(path=MODULES / library)
    csrf = page.evaluate("document.body.dataset.csrfToken")
    with_answer = f"window.sent = ({SENDING})"
    page.evaluate(f"(given) => {{ {with_answer}(given); }}", ["/api/chunked-upload/", csrf, PIECE])
    page.locator("#foreign").set_input_files(path)
    answer: dict[str, Any] = page.evaluate("window.sent")
    return answer


@pytest.mark.parametrize(
    ("size", "offsets"),
    [(2 * MIB, [PIECE, 2 * PIECE, 2 * MIB]), (100 * KIB, [])],
    ids=["pieces", "one-form"],
)
def test_jquery_file_upload_sends_a_file_as_to_django_chunked_upload(
    dashboard: Dashboard, make_file: MakeFile, folder: Path, size: int, offsets: list[int]
) -> None:
    film = make_file("film.mkv", size)
    done = send(dashboard.page, film)
    assert done["answers"] == offsets
    assert (done["size"], done["sha256"]) == (size, sha256_of(film))
    dashboard.open()
    row = dashboard.file(film.name)
    row.expect_state("Completed")
    assert row.download(folder).read_bytes() == film.read_bytes()
