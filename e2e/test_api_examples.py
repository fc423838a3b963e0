"""B9: the example of docs/api.md for a page, run in one."""

import pytest

from tests.support.client import NativeClient
from tests.support.documents import api_program
from tests.support.waiting import wait_until
from uploads.core.plan import MIB

from .conftest import MakeFile
from .support import Dashboard, sha256_of

pytestmark = pytest.mark.browser


def test_the_example_for_a_page_sends_a_file_that_is_chosen(
    dashboard: Dashboard, client: NativeClient, make_file: MakeFile
) -> None:
    # Not on the dashboard, whose own script would take the file.
    page = dashboard.page
    page.goto("/tokens/")
    program = api_program("page.mjs")
    page.evaluate(
        f"""() => {{
            const input = document.createElement("input");
            input.type = "file";
            input.id = "example";
            document.body.append(input);
            {program}
        }}"""
    )
    film = make_file("film.mkv", 11 * MIB)
    page.set_input_files("#example", film)

    def completed() -> str:
        results = client.request("GET", "/api/v1/uploads?state=completed").json()["results"]
        return str(results[0]["sha256"]) if results else ""

    assert wait_until(completed, "the upload") == sha256_of(film)
