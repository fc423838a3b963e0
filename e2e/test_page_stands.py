"""A page stands: no strange answer, other account, late refresh or closed dialog takes anything."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Error, Locator, Page, Route, expect

from tests.support.bodies import payload
from tests.support.client import NativeClient
from tests.support.proxy import Proxy
from tests.support.server import Server
from tests.support.signatures import content_for
from tests.support.waiting import wait_until
from uploads.core.plan import KIB, MIB

from .conftest import MakeFile
from .states import furnish
from .support import CHUNK, HOST, PATIENCE, Complaints, Dashboard, Person, age, begin, click_to_copy
from .test_source_changed import expect_found_out, touched

pytestmark = pytest.mark.browser

PAGE = 50
IMAGES = 54
MANY = 60
#: More than a page of images, and some others.
MANY_FILES = f"""
for number in range({MANY}):
    completed(owner, f"{{number:02}}." + ("jpg" if number < {IMAGES} else "pdf"))
"""

UNREACHABLE = "The server cannot be reached. Nothing is lost"
WORKER, HANDSHAKE = "**/hash-worker*.js", "**/api/v1/uploads/handshake*"

#: What office programs put on the clipboard; whether the page left it to the field.
PASTE_TEXT_WITH_ITS_PICTURE = """(field) => {
  const clipboardData = new DataTransfer();
  clipboardData.items.add("tide", "text/plain");
  clipboardData.items.add(new File(["pixels"], "image.png", { type: "image/png" }));
  const given = { clipboardData, bubbles: true, cancelable: true };
  return field.dispatchEvent(new ClipboardEvent("paste", given));
}"""

#: As if something had changed since the list that is shown.
REFRESH = """() => {
  document.querySelector("#uploads").setAttribute("hx-vals", '{"seen": ""}');
  document.body.dispatchEvent(new CustomEvent("uploads:changed"));
}"""
LISTEN_FOR_THE_END = """() => {
  window.ended = new Promise((resolve) => {
    document.addEventListener("htmx:finally:request", resolve, { once: true });
  }).then(() => true);
}"""


class Held:
    """Requests that a test lets go when it wants to."""

    def __init__(self, page: Page, pattern: str, method: str = "GET") -> None:
        self._page, self._pattern, self._method = page, pattern, method
        self._routes: list[Route] = []
        page.route(pattern, self._hold)

    def _hold(self, route: Route) -> None:
        if route.request.method == self._method:
            self._routes.append(route)
        else:
            route.fallback()

    def wait(self) -> None:
        # A look at the page lets its requests be told of.
        wait_until(lambda: self._page.evaluate("1") and self._routes, "a request")

    def let_go(self) -> None:
        for route in self._routes:
            route.continue_()
        self._page.unroute(self._pattern)


def is_as(page: Page, path: str) -> None:
    expect(page).to_have_url(re.compile(rf"//[^/]+{re.escape(path)}$"))


def dismiss(dashboard: Dashboard) -> None:
    dashboard.remarks.get_by_role("button", name="Dismiss").click()
    expect(dashboard.remarks).to_have_count(0)


def dock_button(dashboard: Dashboard, name: str) -> Locator:
    return dashboard.dock.get_by_role("button", name=name, exact=True)


def signed_in_as(context: BrowserContext, person: Person) -> None:
    """In another tab, meanwhile."""
    context.add_cookies(
        [{"name": "sessionid", "value": person.cookie, "domain": HOST, "path": "/"}]
    )


def test_answers_that_are_no_pages_take_nothing_away(
    dashboard: Dashboard, client: NativeClient, complaints: Complaints, make_file: MakeFile
) -> None:
    complaints.allow("status of (405|502)")
    page = dashboard.page
    row = dashboard.upload(make_file("film.mkv", 40 * KIB))
    search = page.get_by_role("searchbox")

    def answered(pattern: str, status: int, body: str) -> None:
        page.route(
            pattern,
            lambda route: route.fulfill(status=status, body=body, content_type="text/html"),
        )

    answered("**/tokens/", 502, "<html><body><h1>Bad Gateway</h1></body></html>")
    page.get_by_role("link", name="Access tokens").click()
    expect(dashboard.remarks).to_contain_text(UNREACHABLE)
    row.expect_state("Completed")
    dismiss(dashboard)

    answered("**/remove", 405, "")
    row.button("Delete").click()
    expect(dashboard.remarks).to_contain_text(UNREACHABLE)
    row.expect_state("Completed")
    dismiss(dashboard)

    for status, sought in ((502, "fil"), (200, "film")):
        answered("**/?q=*", status, "<html><body><h1>Sign in to the WLAN</h1></body></html>")
        with page.expect_response("**/?q=*"):
            search.fill(sought)
    expect(dashboard.remarks).to_contain_text(UNREACHABLE)
    row.expect_state("Completed")
    expect(search).to_have_value("film")
    # Who leaves the field has it search once more.
    page.unroute("**/?q=*")
    dismiss(dashboard)
    row.expect_state("Completed")

    # Refreshes come again by themselves, so of them nothing is said.
    answered(HANDSHAKE, 200, "<h1>Sign in to the WLAN</h1>")
    page.evaluate(LISTEN_FOR_THE_END)
    page.evaluate(REFRESH)
    assert page.evaluate("window.ended")
    row.expect_state("Completed")
    expect(dashboard.remarks).to_have_count(0)

    # What is pasted as text stays text, whatever lies beside it.
    assert search.evaluate(PASTE_TEXT_WITH_ITS_PICTURE)
    expect(dashboard.tray_items).to_have_count(0)
    assert len(client.request("GET", "/api/v1/uploads").json()["results"]) == 1

    page.get_by_label("All on this page").check()
    copy = page.locator("#copy-checksums")
    click_to_copy(copy, again=True)
    expect(copy).to_have_text("Copy checksums")


def test_another_page_stays_whatever_was_asked_for_before_and_says_its_name(
    server: Server, context: BrowserContext
) -> None:
    furnish(server, "walker", MANY_FILES).sign_in(context)
    dashboard = Dashboard(context.new_page()).open()
    page, files = dashboard.page, dashboard.files
    announcer = page.locator("#announcer")

    # A refresh of the first page that takes long.
    refresh = Held(page, HANDSHAKE)
    page.evaluate(REFRESH)
    refresh.wait()
    page.get_by_role("link", name="Next").click()
    expect(files).to_have_count(MANY - PAGE)
    expect(announcer).to_have_text("Uploads \u2013 Holdfast")
    page.evaluate(LISTEN_FOR_THE_END)
    with page.expect_response(HANDSHAKE):
        refresh.let_go()
    assert page.evaluate("window.ended")
    expect(files).to_have_count(MANY - PAGE)
    page.get_by_role("link", name="Back to the beginning").click()
    expect(files).to_have_count(PAGE)

    kind = page.get_by_label("Kind")
    kind.select_option(label="Images")
    is_as(page, "/?kind=image")
    page.get_by_role("link", name="Next").click()
    expect(files).to_have_count(IMAGES - PAGE)
    page.get_by_role("link", name="Back to the beginning").click()
    is_as(page, "/")
    expect(files).to_have_count(PAGE)
    expect(kind).to_have_value("")

    page.get_by_role("link", name="Access tokens").click()
    expect(announcer).to_have_text("Access tokens \u2013 Holdfast")
    is_as(page, "/tokens/")
    page.go_back()
    expect(announcer).to_have_text("Uploads \u2013 Holdfast")
    expect(files).to_have_count(PAGE)


def test_whoever_goes_back_gets_that_page_and_hears_its_name_whatever_answer_comes_late(
    server: Server, context: BrowserContext
) -> None:
    furnish(server, "wanderer", 'completed(owner, "film.mkv")').sign_in(context)
    dashboard = Dashboard(context.new_page()).open()
    page, home = dashboard.page, dashboard.page.url
    to_tokens = page.get_by_role("link", name="Access tokens")

    def come(held: Held) -> None:
        page.evaluate(LISTEN_FOR_THE_END)
        held.let_go()
        assert page.evaluate("window.ended")

    def is_at(path: str, name: str) -> None:
        is_as(page, path)
        expect(page).to_have_title(f"{name} \u2013 Holdfast")
        expect(page.get_by_role("heading", level=1)).to_have_text(name)
        expect(page.locator("#announcer")).to_have_text(f"{name} \u2013 Holdfast")

    # A refresh of the list that was left, while the list is on its way again.
    refresh = Held(page, HANDSHAKE)
    page.evaluate(REFRESH)
    refresh.wait()
    to_tokens.click()
    is_at("/tokens/", "Access tokens")
    back = Held(page, home)
    page.go_back()
    back.wait()
    come(refresh)
    come(back)
    is_at("/", "Uploads")

    # A search, whose answer brings an address.
    search = Held(page, "**/?q=*")
    page.get_by_role("searchbox").fill("film")
    search.wait()
    forward = Held(page, "**/tokens/")
    page.go_forward()
    forward.wait()
    come(search)
    come(forward)
    is_at("/tokens/", "Access tokens")

    # A link that was followed just before.
    page.get_by_role("link", name="Uploads").click()
    is_at("/", "Uploads")
    link, back = Held(page, home), Held(page, "**/tokens/")
    page.get_by_role("link", name="Holdfast").click()
    link.wait()
    page.go_back()
    back.wait()
    come(link)
    come(back)
    is_at("/tokens/", "Access tokens")

    # Or one that went with its page.
    page.go_forward()
    is_at("/", "Uploads")
    link = Held(page, "**/uploads/*/")
    page.get_by_role("link", name="film.mkv", exact=True).click()
    link.wait()
    page.go_back()
    is_at("/tokens/", "Access tokens")
    come(link)
    is_at("/tokens/", "Access tokens")

    # And the page gone back to, when a link has led on from there.
    back = Held(page, home)
    page.go_back()
    back.wait()
    to_tokens.click()
    is_as(page, "/tokens/")
    come(back)
    is_at("/tokens/", "Access tokens")


def test_signed_in_as_somebody_else_in_another_tab_nothing_becomes_theirs(
    context: BrowserContext,
    dashboard: Dashboard,
    client: NativeClient,
    server: Server,
    proxy: Proxy,
    person: Person,
    people: Iterator[Person],
    complaints: Complaints,
    make_file: MakeFile,
) -> None:
    complaints.allow("status of 401|net::ERR_")
    page = dashboard.page
    other = next(people)
    their_client = NativeClient(server.url, other.token)
    theirs = begin(their_client, "of the other.bin", payload(CHUNK), [])
    film, book = make_file("film.mkv", MIB), make_file("book.pdf", 40 * KIB, seed=2)
    proxy.hold_after(0)
    dashboard.choose(film)
    row = dashboard.row(film.name)
    row.expect_state("Sending")

    signed_in_as(context, other)
    proxy.drop()
    row.expect_state("Stopped")
    expect(row.line).to_contain_text("You are signed out. Nothing sent so far is lost")
    expect(page.locator("#signed-out")).to_be_visible()
    dashboard.choose(book)
    dashboard.in_tray(book.name).expect_state("Stopped")
    with page.expect_response(HANDSHAKE) as refreshed:
        page.evaluate(REFRESH)
    assert refreshed.value.status == 401
    row.expect_state("Stopped")
    expect(dashboard.row("of the other.bin").place).to_have_count(0)
    # Nor does a link lead away from the files.
    with page.expect_response("**/tokens/"):
        page.get_by_role("link", name="Access tokens").click()
    row.expect_state("Stopped")
    found = their_client.request("GET", "/api/v1/uploads").json()["results"]
    assert [session["id"] for session in found] == [theirs["id"]]

    signed_in_as(context, person)
    row.button("Resume").click()
    dashboard.in_tray(book.name).button("Try again").click()
    for file in (film, book):
        dashboard.row(file.name).expect_state("Completed")
    expect(page.locator("#signed-out")).to_be_hidden()
    states = [s["state"] for s in client.request("GET", "/api/v1/uploads").json()["results"]]
    assert states == ["completed", "completed"]

    # With nothing left to lose, the old page makes room for one of whoever is signed in.
    signed_in_as(context, other)
    # A refresh that was due already may be first, and take the page from under this one.
    with suppress(Error):
        page.evaluate(REFRESH)
    expect(page.locator(".account-name")).to_contain_text(other.name)
    expect(dashboard.row("of the other.bin").place).to_be_visible()
    expect(row.place).to_have_count(0)
    assert len(client.request("GET", "/api/v1/uploads").json()["results"]) == len(states)


def test_a_file_dialog_that_is_closed_loses_nothing_and_the_focus_goes_with_its_upload(
    dashboard: Dashboard, proxy: Proxy, folder: Path
) -> None:
    page = dashboard.page
    photo = folder / "photos" / "reef.jpg"
    photo.parent.mkdir()
    photo.write_bytes(content_for(photo.name, MIB))
    worker = Held(page, WORKER)
    page.get_by_label("Choose a folder").set_input_files(photo.parent)
    item = dashboard.in_tray(photo.name)
    item.expect_state("Checking")
    worker.wait()
    touched(photo)
    worker.let_go()
    expect_found_out(item)

    with page.expect_file_chooser():
        item.button("Try again").click()
    expect_found_out(item)
    expect(item.place).to_contain_text("in photos")

    handshake = Held(page, HANDSHAKE, "POST")
    proxy.hold_after(0)
    item.resume_with(photo, button="Try again")
    handshake.wait()
    item.button("Pause").focus()
    handshake.let_go()
    row = dashboard.row(photo.name)
    row.expect_state("Sending")
    expect(item.place).to_have_count(0)
    expect(row.button("Pause")).to_be_focused()
    expect(row.place).to_contain_text("in photos")
    proxy.release()
    row.expect_state("Completed")


def test_all_at_once_leaves_none_behind(
    dashboard: Dashboard,
    client: NativeClient,
    server: Server,
    proxy: Proxy,
    complaints: Complaints,
    make_file: MakeFile,
) -> None:
    complaints.allow("status of 4|net::ERR_")
    page, dock = dashboard.page, dashboard.dock
    # Their names would show them as what they are not.
    bad = [make_file(f"{number}\u202egpj.exe", 10, seed=number) for number in range(2)]
    dashboard.choose(*bad)
    expect(dock).to_contain_text("2 uploads have stopped")
    expect(dashboard.tray_items).to_have_count(2)
    dock_button(dashboard, "Cancel all").click()
    dashboard.answer("Cancel all")
    expect(dashboard.tray_items).to_have_count(0)
    expect(dock).to_be_hidden()

    # One stopped in this tab, one was interrupted elsewhere: the banner takes the files of both.
    film, scan = make_file("film.mkv", MIB, seed=3), make_file("scan.tiff", 2 * CHUNK, seed=4)
    proxy.hold_after(0)
    dashboard.choose(film)
    row = dashboard.row(film.name)
    row.expect_state("Sending")
    row.button("Pause").click()
    row.expect_state("Paused")
    proxy.drop()
    touched(film)
    row.button("Resume").click()
    expect_found_out(row)
    elsewhere = begin(client, scan.name, scan.read_bytes(), [0])
    age(server, elsewhere["id"])
    page.evaluate(REFRESH)
    expect(dashboard.banner).to_contain_text("1 upload was interrupted.")
    with page.expect_file_chooser() as chooser:
        dashboard.banner.get_by_role("button", name="Choose the files").click()
    chooser.value.set_files([film, scan])
    for file in (film, scan):
        dashboard.row(file.name).expect_state("Completed")
    expect(dashboard.remarks).to_have_count(0)

    # Files that are here are named, each once.
    dashboard.choose(film, scan)
    expect(dashboard.remarks).to_contain_text("2 files were here already", timeout=PATIENCE)
    names = dashboard.remarks.get_by_role("listitem")
    expect(names).to_have_text([film.name, scan.name])
    expect(dashboard.files).to_have_count(2)
    expect(dashboard.tray_items).to_have_count(0)
