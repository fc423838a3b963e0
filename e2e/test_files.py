"""Working through finished files: find, sort, page, rename, copy, download, delete and undo."""

import re
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.support.bodies import sha256
from tests.support.client import NativeClient
from tests.support.proxy import Proxy
from tests.support.server import Server
from tests.support.signatures import content_for
from tests.support.waiting import wait_until

from .conftest import PLAIN_HOST
from .support import Complaints, Dashboard, Person, begin, click_to_copy, in_django, status

pytestmark = pytest.mark.browser

PAGE = 50
MANY = 60
#: Files of a person, the first the newest, as rows only: nothing here reads what is in them.
ROWS = """
from datetime import timedelta
from django.contrib.auth.models import User
from django.utils import timezone
from uploads.engine.usage import recount
from uploads.models import FileSession, SessionStatus, StoredFile
user, now = User.objects.get(username={name!r}), timezone.now()
sessions = []
for number in range({count}):
    at = now - timedelta(hours=1, minutes=number)
    size = 1000 + number
    digest = f"{{user.pk:032x}}{{number:032x}}"
    stored = StoredFile(sha256=digest, size=size, state="live", created_at=at, verified_at=at)
    session = FileSession(
        owner=user, size=size, chunk_size=5242880, sha256=digest, stored_file=stored,
        status=SessionStatus.COMPLETED, received=b"\\x01", received_count=1,
        created_at=at, updated_at=at, expires_at=at,
    )
    if number % 10:
        session.set_name(f"IMG {{number:03}}.jpg", "Photos/2026")
    else:
        session.set_name(f"Größe {{number:03}}.pdf", "")
    sessions.append(session)
StoredFile.objects.bulk_create([s.stored_file for s in sessions])
FileSession.objects.bulk_create(sessions)
recount(user.pk)
"""


@pytest.fixture
def many(server: Server, client: NativeClient, person: Person) -> None:
    # A server that has files, but not yet their folder, believes that its disk is not mounted.
    client.delete(client.begin(b"the first of all")["id"])
    in_django(server, ROWS.format(name=person.name, count=MANY))


@pytest.fixture
def two(client: NativeClient) -> dict[str, bytes]:
    """Real files of that person, sent by a script."""
    contents = {
        "first.txt": content_for("first.txt", 3000, 1),
        "second.txt": content_for("second.txt", 5000, 2),
    }
    for name, content in contents.items():
        session = begin(client, name, content, [0])
        wait_until(partial(is_complete, client, session["id"]), "completion")
    return contents


def is_complete(client: NativeClient, session_id: str) -> bool:
    return bool(status(client, session_id)["state"] == "completed")


def expect_first(dashboard: Dashboard, *names: str) -> None:
    for place, name in enumerate(names):
        expect(dashboard.files.nth(place).locator(".upload-name")).to_have_text(name)


def test_files_are_found_sorted_and_paged(many: None, dashboard: Dashboard) -> None:
    page, files = dashboard.page, dashboard.files
    expect(page.locator("#storage")).to_contain_text("60 files, 60.3 KB used")
    expect(files).to_have_count(PAGE)
    expect_first(dashboard, "Größe 000.pdf", "IMG 001.jpg")

    search = page.get_by_role("searchbox")
    # Whatever the case, in any order, of name and folder.
    search.fill("2026 img 05")
    expect(files).to_have_count(10)
    expect(page).to_have_url(re.compile(r"/\?q=2026\+img\+05$"))
    expect(search).to_be_focused()
    search.fill("GRÖSSE")
    expect(files).to_have_count(6)
    page.reload()
    expect(search).to_have_value("GRÖSSE")
    expect(files).to_have_count(6)
    search.fill("nowhere to be found")
    expect(page.locator("#nothing")).to_contain_text("Nothing matches.")
    page.get_by_role("link", name="Show everything").click()
    expect(files).to_have_count(PAGE)
    expect(search).to_have_value("")

    page.get_by_label("Kind").select_option(label="Documents")
    expect(files).to_have_count(6)
    page.get_by_label("Order").select_option(label="Oldest first")
    expect_first(dashboard, "Größe 050.pdf")
    page.get_by_label("Order").select_option(label="Smallest first")
    expect_first(dashboard, "Größe 000.pdf")
    page.get_by_label("Kind").select_option(label="All kinds")
    page.get_by_label("Order").select_option(label="Name, Z to A")
    expect_first(dashboard, "IMG 059.jpg", "IMG 058.jpg")

    page.get_by_role("link", name="Next").click()
    expect(files).to_have_count(MANY - PAGE)
    expect_first(dashboard, "IMG 004.jpg")
    second = page.url
    dashboard.row("IMG 003.jpg").delete()
    expect(dashboard.undo_notice).to_contain_text("“IMG 003.jpg” was deleted.")
    expect(page.get_by_role("button", name="Undo")).to_be_focused()
    assert page.url == second
    dashboard.undo()
    expect(files).to_have_count(MANY - PAGE)
    assert page.url == second
    page.get_by_role("link", name="Previous").click()
    expect(files).to_have_count(PAGE)
    expect_first(dashboard, "IMG 059.jpg")


def test_a_refresh_takes_nothing_from_whoever_is_at_work(many: None, dashboard: Dashboard) -> None:
    page = dashboard.page
    boxes = page.get_by_role("checkbox", name=re.compile("^IMG 00[12]"))
    for box in boxes.all():
        box.check()
    count = page.locator("#chosen-count")
    expect(count).to_have_text("2 files chosen")
    search = page.get_by_role("searchbox")
    held: list[Route] = []
    page.route("**/?q=*", lambda route: held.append(route))  # noqa: PLW0108 (it is given attributes)
    search.press_sequentially("img")
    wait_until(lambda: page.evaluate("1") and held, "the search to be asked for")
    page.mouse.wheel(0, 900)
    wait_until(lambda: page.evaluate("scrollY") > 800, "the page to scroll")
    place = page.evaluate("scrollY")

    # Not that to a refresh that was on its way.
    with page.expect_response(re.compile(r"/api/v1/uploads/handshake\?.*seen=(&|$)")) as answer:
        page.evaluate(
            """() => {
                document.querySelector("#storage").textContent = "outdated";
                document.querySelector("#uploads").setAttribute("hx-vals", '{"seen": ""}');
                document.body.dispatchEvent(new CustomEvent("uploads:changed"));
            }"""
        )
    assert answer.value.status == 200
    expect(page.locator("#storage")).to_contain_text("60 files")
    assert page.evaluate("scrollY") == place
    expect(search).to_have_value("img")
    expect(search).to_be_focused()
    expect(count).to_have_text("2 files chosen")
    for box in boxes.all():
        expect(box).to_be_checked()
    held[0].continue_()
    expect(dashboard.files).to_have_count(PAGE)
    expect(dashboard.row("Größe 000.pdf").place).to_have_count(0)


def test_a_file_is_renamed_copied_and_downloaded(
    two: dict[str, bytes],
    context: BrowserContext,
    dashboard: Dashboard,
    proxy: Proxy,
    complaints: Complaints,
    client: NativeClient,
    folder: Path,
) -> None:
    complaints.allow("status of 422")
    page = dashboard.page
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=proxy.url)
    row = dashboard.row("first.txt")
    click_to_copy(row.button("Copy SHA-256"))
    digest = sha256(two["first.txt"])
    assert page.evaluate("navigator.clipboard.readText()") == digest

    page.get_by_label("All on this page").check()
    expect(page.locator("#chosen-count")).to_have_text("2 files chosen")
    page.get_by_role("button", name="Copy checksums").click()
    expect(page.locator("#announcer")).to_have_text("Copied.")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.splitlines() == [
        f"{sha256(two['second.txt'])}  second.txt",
        f"{digest}  first.txt",
    ]

    whole = row.open_details()
    expect(whole.place).to_contain_text(digest)
    assert whole.download(folder).read_bytes() == two["first.txt"]
    events = page.get_by_role("region", name="What happened when").get_by_role("listitem")
    happened = ["Begun", "All chunks in, verification began", "Verified and complete"]
    expect(events.locator("> span")).to_have_text(happened)

    name = page.get_by_label("File name")
    name.fill("a/b.txt")
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_role("alert").filter(has_text="It keeps its name")).to_contain_text(
        "a file name is a single name, not a path"
    )
    expect(name).to_have_value("a/b.txt")
    name.fill("renamed.txt")
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("renamed.txt")
    expect(page).to_have_title("renamed.txt \u2013 Holdfast")
    expect(page).to_have_url(re.compile(rf"/uploads/{whole.session_id}/$"))
    expect(events.locator("> span")).to_have_text([*happened, "Renamed; it was called first.txt"])
    assert status(client, whole.session_id)["filename"] == "renamed.txt"


def test_several_files_are_deleted_and_brought_back(
    two: dict[str, bytes], dashboard: Dashboard, client: NativeClient, complaints: Complaints
) -> None:
    # The page about a file may ask for it just when it has been deleted, or restored.
    complaints.allow("status of 404")
    page = dashboard.page
    ids = [dashboard.row(name).session_id for name in two]
    for name in two:
        page.get_by_role("checkbox", name=name).check()
    page.get_by_role("button", name="Delete chosen").click()
    expect(dashboard.undo_notice).to_contain_text("2 files were deleted.")
    expect(dashboard.files).to_have_count(0)
    assert [client.status(id_).status_code for id_ in ids] == [404, 404]
    dashboard.undo()
    expect(dashboard.files).to_have_count(2)
    assert [client.content(id_).content for id_ in ids] == list(two.values())

    # From its own page one is led back to the list, where the offer to undo is.
    row = dashboard.row("first.txt")
    row.open_details().button("Delete").click()
    expect(dashboard.undo_notice).to_contain_text("“first.txt” was deleted.")
    expect(page).to_have_title("Uploads \u2013 Holdfast")
    expect(row.place).to_have_count(0)

    # Deleted elsewhere while its page is open, that does not go on to show it.
    dashboard.row("second.txt").open_details()
    assert client.request("DELETE", f"/api/v1/uploads/{ids[1]}").status_code == 204
    page.evaluate("document.body.dispatchEvent(new CustomEvent('uploads:changed'))")
    expect(page.get_by_role("heading", name="There is nothing here")).to_be_visible()


def test_without_a_secure_origin_copying_works_all_the_same(
    two: dict[str, bytes],
    context: BrowserContext,
    person: Person,
    proxy: Proxy,
    complaints: Complaints,
) -> None:
    # Plain HTTP on another host than this one: the browser says so itself.
    complaints.allow("Cross-Origin-Opener-Policy")
    page: Page = context.new_page()
    dashboard = Dashboard(page).sign_in(person, f"http://{PLAIN_HOST}:{proxy.port}/")
    assert page.evaluate("navigator.clipboard === undefined")
    click_to_copy(dashboard.row("second.txt").button("Copy SHA-256"))
    search = page.get_by_role("searchbox")
    search.press("Control+V")
    expect(search).to_have_value(sha256(two["second.txt"]))
