"""A file from a person's disk to the server and back, and what may be special about it."""

import hashlib
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Route, expect

from tests.support.client import NativeClient
from tests.support.proxy import Proxy
from tests.support.waiting import wait_until
from uploads.core.plan import MIB

from .conftest import PLAIN_HOST, MakeFile
from .support import CHUNK, SMALL_TALK, Complaints, Dashboard, Person, sha256_of, status

pytestmark = pytest.mark.browser


def expect_delivered(dashboard: Dashboard, client: NativeClient, path: Path, folder: Path) -> None:
    """Complete on the page, by its download and by the server's own word."""
    row = dashboard.row(path.name)
    row.expect_state("Completed")
    session = status(client, row.session_id)
    assert session["state"] == "completed"
    assert session["sha256"] == sha256_of(path)
    assert row.download(folder).read_bytes() == path.read_bytes()


def test_three_chunks_arrive_and_come_back_byte_by_byte(
    dashboard: Dashboard, client: NativeClient, make_file: MakeFile, folder: Path
) -> None:
    film = make_file("film.mkv", 3 * CHUNK)
    row = dashboard.upload(film)
    digest = sha256_of(film)
    shown = row.place.locator("[data-sha256]")
    expect(shown).to_contain_text(digest[:12])
    expect(shown).to_have_attribute("data-sha256", digest)
    expect_delivered(dashboard, client, film, folder)
    expect(row.map).to_have_count(0)
    details = row.open_details()
    expect(details.map).to_have_attribute("data-chunks", "3/3")
    expect(details.place).to_contain_text(digest)
    assert details.download(folder).read_bytes() == film.read_bytes()


def test_a_download_carries_the_name_of_the_file(dashboard: Dashboard, make_file: MakeFile) -> None:
    row = dashboard.upload(make_file("Kelp, 2026.csv", 1000))
    with dashboard.page.expect_download() as download:
        row.link("Download").click()
    assert download.value.suggested_filename == "Kelp, 2026.csv"


def test_the_same_file_again_sends_no_chunk(
    dashboard: Dashboard, client: NativeClient, proxy: Proxy, make_file: MakeFile
) -> None:
    film = make_file("film.mkv", CHUNK)
    dashboard.upload(film)
    before = proxy.bytes_upstream
    dashboard.choose(film)
    note = dashboard.in_tray(film.name)
    note.expect_state("Already here")
    expect(note.line).to_contain_text("need not be sent")
    assert proxy.bytes_upstream - before < SMALL_TALK
    assert len(client.request("GET", "/api/v1/uploads").json()["results"]) == 1
    note.button("Dismiss").click()
    expect(note.place).to_have_count(0)


def test_a_dropped_file_is_sent(dashboard: Dashboard, client: NativeClient) -> None:
    text = "dropped " * 100_000
    data_transfer = dashboard.page.evaluate_handle(
        """(text) => {
            const data = new DataTransfer();
            data.items.add(new File([text], "dropped.txt", { type: "text/plain" }));
            return data;
        }""",
        text,
    )
    veil = dashboard.page.get_by_text("Let go to send")
    somewhere = dashboard.page.locator("main")
    somewhere.dispatch_event("dragenter", {"dataTransfer": data_transfer})
    expect(veil).to_be_visible()
    somewhere.dispatch_event("dragover", {"dataTransfer": data_transfer})
    somewhere.dispatch_event("drop", {"dataTransfer": data_transfer})
    expect(veil).to_be_hidden()
    row = dashboard.row("dropped.txt")
    row.expect_state("Completed")
    expected = hashlib.sha256(text.encode()).hexdigest()
    assert status(client, row.session_id)["sha256"] == expected


def test_a_file_chosen_before_the_script_is_loaded_is_sent(
    dashboard: Dashboard, make_file: MakeFile
) -> None:
    film = make_file("film.mkv", MIB)
    page = dashboard.page
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/js/uploads/page*.js", hold)
    page.goto("/", wait_until="commit")
    dashboard.choose(film)
    wait_until(lambda: page.evaluate("true") and held, what="the script to be asked for")
    for route in held:
        route.continue_()
    expect(dashboard.row(film.name).place).to_be_visible()


def test_several_files_at_once_all_arrive(
    dashboard: Dashboard, client: NativeClient, make_file: MakeFile, folder: Path
) -> None:
    files = [make_file(f"take-{number}.wav", MIB + number, seed=number) for number in range(4)]
    dashboard.choose(*files)
    for file in files:
        expect_delivered(dashboard, client, file, folder)
    expect(dashboard.tray_items).to_have_count(0)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("Prüfung, 日本語の名前 🌊 «x».bin", id="unicode"),
        pytest.param("long " * 49 + "name.bin", id="long"),
        pytest.param('<img src=x onerror=alert(1)> & "quotes".bin', id="markup"),
    ],
)
def test_names_stay_what_they_are(
    dashboard: Dashboard, client: NativeClient, make_file: MakeFile, folder: Path, name: str
) -> None:
    file = make_file(name, 1000)
    dashboard.upload(file)
    assert status(client, dashboard.row(name).session_id)["filename"] == name
    expect_delivered(dashboard, client, file, folder)


def test_an_empty_file_is_complete_at_once(
    dashboard: Dashboard, client: NativeClient, make_file: MakeFile, folder: Path
) -> None:
    empty = make_file("empty.txt", 0)
    dashboard.choose(empty)
    expect_delivered(dashboard, client, empty, folder)
    expect(dashboard.tray_items).to_have_count(0)


def test_plain_http_without_the_browsers_own_hashing(
    context: BrowserContext,
    person: Person,
    client: NativeClient,
    proxy: Proxy,
    complaints: Complaints,
    make_file: MakeFile,
    folder: Path,
) -> None:
    # Django sends this header always; browsers say that on plain HTTP they ignore it.
    complaints.allow("Cross-Origin-Opener-Policy header has been ignored")
    url = proxy.url.replace("127.0.0.1", PLAIN_HOST)
    dashboard = Dashboard(context.new_page()).sign_in(person, url)
    assert dashboard.page.evaluate("[isSecureContext, crypto.subtle === undefined]") == [
        False,
        True,
    ]
    film = make_file("film.mkv", CHUNK + 1)
    dashboard.choose(film)
    expect_delivered(dashboard, client, film, folder)
