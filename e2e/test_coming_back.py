"""Coming back to what was interrupted: many at once, each file to its own, and only the rest."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.support.bodies import sha256
from tests.support.client import NativeClient
from tests.support.proxy import Proxy
from tests.support.server import Server
from tests.support.signatures import content_for
from uploads.core.plan import MIB

from .conftest import MakeFile
from .support import SMALL_TALK, Complaints, Dashboard, Item, Person, in_django

pytestmark = pytest.mark.browser

PART = 2 * MIB
PARTS = 3
#: So long ago that nobody can still be sending.
AGED = """
from datetime import timedelta
from django.db.models import F
from uploads.models import FileSession
FileSession.objects.filter(owner__username={name!r}).update(
    updated_at=F("updated_at") - timedelta(minutes=10)
)"""


def leave_behind(
    client: NativeClient, filename: str, content: bytes, chunks: list[int], **fields: Any
) -> str:
    """A session, begun on some other computer, in which only `chunks` arrived; its id."""
    answer = client.handshake(filename, len(content), chunk_size=PART, **fields)
    answer.raise_for_status()
    session = answer.json()
    client.send_missing(content, {**session, "missing": chunks})
    return str(session["id"])


@pytest.fixture
def ids(server: Server, client: NativeClient, person: Person) -> dict[str, str]:
    """Of four interrupted uploads, by the names that their sessions have."""
    contents = {name: bytes_of(name) for name in ("film.mkv", "stream.ts", "old.bin", "map.svg")}
    left = {
        "film.mkv": leave_behind(
            client, "film.mkv", contents["film.mkv"], [0, 2], sha256=sha256(contents["film.mkv"])
        ),
        # Of a client that did not know the hash when it began.
        "stream.ts": leave_behind(client, "stream.ts", contents["stream.ts"], [0, 1]),
        "old.bin": leave_behind(
            client, "old.bin", contents["old.bin"], [0, 1], sha256=sha256(contents["old.bin"])
        ),
        "map.svg": leave_behind(
            client, "map.svg", contents["map.svg"], [1], sha256=sha256(contents["map.svg"])
        ),
    }
    in_django(server, AGED.format(name=person.name))
    return left


#: Of four sizes, so that a file under another name has but one upload that it can belong to.
SIZES = {"film.mkv": 0, "stream.ts": 1, "old.bin": 2, "map.svg": 3}


def bytes_of(name: str) -> bytes:
    return content_for(name, PARTS * PART - SIZES[name], seed=SIZES[name])


def saved(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def marks(row: Item) -> Locator:
    """What is on its way, drawn over the map."""
    return row.place.locator(".map-live rect")


def fills(row: Item) -> list[str | None]:
    return [cell.get_attribute("class") for cell in row.map.locator("rect").all()]


def test_several_files_chosen_at_once_find_their_own_uploads(
    ids: dict[str, str],
    dashboard: Dashboard,
    client: NativeClient,
    proxy: Proxy,
    folder: Path,
) -> None:
    page, banner = dashboard.page, dashboard.banner
    expect(banner).to_contain_text("4 uploads were interrupted.")
    film = dashboard.row("film.mkv")
    assert fills(film) == ["in", "out", "in"]

    chosen = [
        saved(folder, "film.mkv", bytes_of("film.mkv")),
        saved(folder, "stream.ts", bytes_of("stream.ts")),
        saved(folder, "new name.bin", bytes_of("old.bin")),
        saved(folder, "map.svg", b"another map"),
    ]
    proxy.hold_after(0)
    sent = proxy.bytes_upstream
    with page.expect_file_chooser() as chooser:
        banner.get_by_role("button", name="Choose the files").click()
    chooser.value.set_files(chosen)

    expect(banner).to_contain_text("1 upload was interrupted.")
    expect(dashboard.remarks).to_contain_text("1 file belongs to no interrupted upload")
    expect(dashboard.remarks.get_by_role("listitem")).to_have_text(
        "map.svg: same name, other size. The interrupted upload has 6,291,453 bytes, this file 11."
    )
    film.expect_state("Sending")
    # The one that is missing, over its cell of the map; here and on the page about it.
    expect(marks(film)).to_have_count(1)
    missing = film.map.locator("rect.out")
    assert marks(film).get_attribute("x") == missing.get_attribute("x") == "334.67"
    whole = film.open_details()
    expect(marks(whole)).to_have_count(1)
    expect(whole.place.locator(".legend")).to_contain_text("on its way")
    assert fills(whole) == ["in", "out", "in"]
    page.go_back()

    proxy.release()
    for name in ("film.mkv", "stream.ts", "old.bin"):
        dashboard.row(name).expect_state("Completed")
        assert client.content(ids[name]).content == bytes_of(name)
    # Three chunks; and two of the upload without a hash, which show that the file is its own.
    assert proxy.bytes_upstream - sent < 5 * PART + SMALL_TALK
    expect(banner).to_be_visible()

    dashboard.remarks.get_by_role("button", name="Send as new uploads").click()
    expect(dashboard.remarks).to_have_count(0)
    expect(dashboard.files).to_have_count(4)
    assert client.status(ids["map.svg"]).json()["state"] == "active"


def test_another_computer_resumes_one_and_refuses_the_wrong_file(
    ids: dict[str, str],
    browser: Browser,
    person: Person,
    proxy: Proxy,
    complaints: Complaints,
    make_file: MakeFile,
    client: NativeClient,
    folder: Path,
) -> None:
    elsewhere = browser.new_context(base_url=proxy.url)
    complaints.watch(elsewhere)
    dashboard = Dashboard(elsewhere.new_page()).sign_in(person)
    expect(dashboard.banner).to_contain_text("4 uploads were interrupted.")
    row = dashboard.row("film.mkv")
    row.resume_with(make_file("film.mkv", 10))
    expect(row.line).to_contain_text(
        "Same name, other size: the interrupted upload expects 6,291,456 bytes, this file has 10."
    )
    expect(row.line).to_contain_text("What the server has is as it was.")

    sent = proxy.bytes_upstream
    row.resume_with(saved(folder, "film.mkv", bytes_of("film.mkv")))
    row.expect_state("Completed")
    assert proxy.bytes_upstream - sent < PART + SMALL_TALK
    assert client.content(ids["film.mkv"]).content == bytes_of("film.mkv")
    expect(dashboard.banner).to_contain_text("3 uploads were interrupted.")
    elsewhere.close()
