"""Files come in by a drop anywhere, by folders, by the clipboard; with their paths, none lost."""

from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.support.client import NativeClient
from tests.support.signatures import content_for

from .conftest import MakeFile
from .gestures import drag_away, drop, hold_over, paste
from .support import Dashboard

pytestmark = pytest.mark.browser

#: Has the browser fail to open one file of a folder, as it does when its owner forbids reading it;
#: these tests may run as somebody whom nothing is forbidden.
LOCKED = "locked.txt"
FORBID = f"""() => {{
  const asEntry = DataTransferItem.prototype.webkitGetAsEntry;
  DataTransferItem.prototype.webkitGetAsEntry = function () {{
    const entry = asEntry.call(this);
    // What all entries of files are made of has no name by which to reach it.
    if (entry.isFile) forbid(Object.getPrototypeOf(entry));
    return entry;
  }};
  function forbid(entries) {{
    const open = entries.file;
    entries.file = function (resolve, reject) {{
      if (this.name === "{LOCKED}") reject(new DOMException("", "NotReadableError"));
      else open.call(this, resolve, reject);
    }};
  }}
}}"""


@pytest.fixture
def photos(folder: Path) -> Path:
    """A folder with folders in it, one of them empty, and two equal files."""
    root = folder / "photos"
    for path, text in {
        "2026/a.txt": "the very same",
        "2027/a.txt": "the very same",
        "2026/at sea/b.txt": "another",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    (root / "nothing").mkdir()
    return root


IN_PHOTOS = {
    ("photos/2026", "a.txt"),
    ("photos/2027", "a.txt"),
    ("photos/2026/at sea", "b.txt"),
}


def remarks(dashboard: Dashboard) -> Locator:
    return dashboard.page.locator("#remarks > .notice")


def expect_complete(
    dashboard: Dashboard, client: NativeClient, paths: set[tuple[str, str]]
) -> None:
    """The page and the server have these, by folder and name, and nothing else."""
    expect(dashboard.files).to_have_count(len(paths))
    shown = set()
    for row in dashboard.files.all():
        place = row.locator(".folder")
        folder = place.inner_text().removeprefix("in ") if place.count() else ""
        shown.add((folder, row.locator(".upload-name").inner_text()))
    assert shown == paths
    sessions = client.request("GET", "/api/v1/uploads").json()["results"]
    assert {(s["folder"], s["filename"]) for s in sessions} == paths
    assert {s["state"] for s in sessions} == {"completed"}
    assert len(sessions) == len(paths)


def test_dropped_folders_come_with_all_that_is_in_them(
    dashboard: Dashboard, client: NativeClient, photos: Path, make_file: MakeFile
) -> None:
    loose = make_file("loose.bin", 10)
    veil = dashboard.page.get_by_text("Let go to send")
    hold_over(dashboard.page, photos, loose)
    expect(veil).to_be_visible()
    drag_away(dashboard.page)
    expect(veil).to_be_hidden()
    expect(dashboard.tray_items).to_have_count(0)

    drop(dashboard.page, photos, loose)
    expect(veil).to_be_hidden()
    expect_complete(dashboard, client, {*IN_PHOTOS, ("", "loose.bin")})
    expect(remarks(dashboard)).to_have_count(0)


def test_a_chosen_folder_and_what_is_pasted_come_too(
    dashboard: Dashboard, client: NativeClient, photos: Path
) -> None:
    dashboard.page.get_by_label("Choose a folder").set_input_files(photos)
    expect_complete(dashboard, client, IN_PHOTOS)

    pasted = {"image.png": content_for("image.png", 100), "notes.txt": b"words"}
    paste(dashboard.page, pasted)
    expect(dashboard.files).to_have_count(len(IN_PHOTOS) + 2)
    dashboard.row("notes.txt").expect_state("Completed")
    # An image that was copied as pixels is called after the moment, not like the one before.
    named = dashboard.page.get_by_role("heading", name="Pasted ").filter(has_text=".png")
    expect(named).to_have_count(1)


def test_what_cannot_be_sent_is_said_and_the_rest_is_sent(
    dashboard: Dashboard, client: NativeClient, photos: Path, make_file: MakeFile
) -> None:
    page = dashboard.page
    drop(page, photos / "nothing")
    expect(remarks(dashboard)).to_contain_text("There is no file in what you dropped")
    remarks(dashboard).get_by_role("button", name="Dismiss").click()
    expect(remarks(dashboard)).to_have_count(0)

    (photos / "2026" / LOCKED).write_text("mine")
    page.evaluate(FORBID)
    drop(page, photos, make_file("loose.bin", 10))
    expect(remarks(dashboard)).to_contain_text("1 file or folder could not be read")
    expect(remarks(dashboard).get_by_role("listitem")).to_have_text([f"photos/2026/{LOCKED}"])
    expect_complete(dashboard, client, {*IN_PHOTOS, ("", "loose.bin")})
