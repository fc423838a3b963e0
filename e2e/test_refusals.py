"""What is not taken: said in words, where it is looked for, and in nobody's way."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.support.client import NativeClient
from tests.support.server import Server
from tests.support.signatures import content_for
from uploads.core.plan import MIB

from .axe import expect_accessible
from .conftest import MakeFile
from .support import Complaints, Dashboard, Item, Person, in_django, make_people

pytestmark = pytest.mark.browser

QUOTA = 3 * MIB
OTHER_KIND = "The content of this file is not what its name and its type say."
NOT_TAKEN = "A file of this kind, or of this name, is not taken here."
NO_ROOM = (
    "You have no room left here. Nothing is lost: delete files or cancel uploads, then try again. "
    "What was deleted counts for a minute more."
)
#: As the server does by itself, once half a minute to think again is over.
PURGE = """
from datetime import timedelta
from django.utils import timezone
from uploads.engine.trash import UNDO, purge_trash
purge_trash(timezone.now() + 2 * UNDO)
"""


@pytest.fixture(scope="module")
def quota_server() -> Iterator[Server]:
    with Server(HOLDFAST_QUOTA_BYTES=str(QUOTA)) as server:
        yield server


@pytest.fixture(scope="module")
def quota_people(quota_server: Server) -> Iterator[Person]:
    return iter(make_people(quota_server, 4))


@pytest.fixture
def server(quota_server: Server) -> Server:
    return quota_server


@pytest.fixture
def person(quota_people: Iterator[Person]) -> Person:
    return next(quota_people)


def expect_final(item: Item, reason: str) -> None:
    """It says why, and offers nothing but to be put away."""
    item.expect_state("Stopped")
    expect(item.line).to_contain_text(reason)
    expect(item.button("Dismiss")).to_be_visible()
    for name in ("Pause", "Try again", "Cancel"):
        expect(item.button(name)).to_be_hidden()


def test_files_that_are_not_what_they_say_are_refused_and_the_others_go_on(
    dashboard: Dashboard,
    client: NativeClient,
    complaints: Complaints,
    make_file: MakeFile,
) -> None:
    complaints.allow("status of 415")
    page = dashboard.page
    photo = make_file("photo.png", 1000)
    photo.write_bytes(content_for("paper.pdf", 1000))
    film, program = make_file("film.mkv", MIB), make_file("setup.exe", 1000)
    dashboard.choose(photo, program, film)
    dashboard.row("film.mkv").expect_state("Completed")
    expect_final(dashboard.in_tray("photo.png"), OTHER_KIND)
    expect_final(dashboard.in_tray("setup.exe"), NOT_TAKEN)
    expect(dashboard.dock).to_contain_text("2 uploads have stopped")
    expect(dashboard.dock.get_by_role("button", name="Try all again")).to_be_hidden()
    expect_accessible(page, "refused")

    dashboard.open()
    expect(dashboard.tray_items).to_have_count(0)
    expect(dashboard.banner).to_be_hidden()
    row = dashboard.row("photo.png")
    row.expect_state("Failed")
    expect(row.place).to_contain_text(OTHER_KIND)
    expect(row.place.get_by_role("button")).to_have_text(["Remove"])
    # No upload was ever opened for it.
    expect(dashboard.row("setup.exe").place).to_have_count(0)
    sessions = client.request("GET", "/api/v1/uploads").json()["results"]
    assert {each["filename"]: each["state"] for each in sessions} == {
        "film.mkv": "completed",
        "photo.png": "failed",
    }
    row.button("Remove").click()
    expect(row.place).to_have_count(0)


def test_what_is_over_the_quota_waits_until_something_is_deleted(
    dashboard: Dashboard, server: Server, complaints: Complaints, make_file: MakeFile
) -> None:
    complaints.allow("status of 413")
    storage = dashboard.page.locator("#storage")
    dashboard.upload(make_file("notes.txt", 1000))
    film = dashboard.upload(make_file("film.mkv", 2 * MIB))
    expect(storage).to_have_text("2 files; 2.0 MB of 3.0 MB used, unfinished uploads included")
    scan = make_file("scan.tiff", 2 * MIB, seed=1)
    dashboard.choose(scan)
    item = dashboard.in_tray("scan.tiff")
    item.expect_state("Stopped")
    expect(item.line).to_contain_text(NO_ROOM)

    film.delete()
    in_django(server, PURGE)
    item.button("Try again").click()
    dashboard.row("scan.tiff").expect_state("Completed")
    expect(storage).to_have_text("2 files; 2.0 MB of 3.0 MB used, unfinished uploads included")
