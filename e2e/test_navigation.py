"""Walking about the site while files are being sent: nothing stops, and nothing is lost."""

import re

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.support.client import NativeClient
from tests.support.proxy import Proxy
from tests.support.waiting import wait_until
from uploads.core.plan import KIB, MIB

from .conftest import MakeFile
from .gestures import drop
from .support import CHUNK, PATIENCE, Complaints, Dashboard, Person

pytestmark = pytest.mark.browser

#: Bytes a second, of each connection: the file takes longer than the walk, on a busy machine too.
SLOW = MIB // 4
LARGE = 6 * CHUNK


def expect_page(page: Page, path: str, title: str) -> None:
    expect(page).to_have_url(re.compile(rf"//[^/]+{re.escape(path)}$"))
    expect(page).to_have_title(f"{title} \u2013 Holdfast")


def test_sending_goes_on_from_page_to_page(
    dashboard: Dashboard, proxy: Proxy, make_file: MakeFile
) -> None:
    page, dock = dashboard.page, dashboard.dock
    film, book = make_file("film.mkv", LARGE), make_file("book.pdf", 40 * KIB, seed=2)

    def expect_bytes_to_flow() -> None:
        seen = proxy.bytes_upstream
        wait_until(lambda: proxy.bytes_upstream > seen + SLOW, "bytes", timeout=PATIENCE / 1000)

    proxy.throttle(SLOW)
    dashboard.choose(film)
    row = dashboard.row(film.name)
    row.expect_state("Sending")
    details = f"/uploads/{row.session_id}/"
    expect(dock).to_be_hidden()

    page.get_by_role("link", name="Access tokens").click()
    expect_page(page, "/tokens/", "Access tokens")
    expect(page.get_by_role("link", name="Access tokens")).to_have_attribute("aria-current", "page")
    expect(dock).to_contain_text("0 of 1 file is complete")
    drop(page, book)
    expect(dock).to_contain_text("1 of 2 files are complete")
    expect_bytes_to_flow()

    # Reloading would end it, and asks.
    with page.expect_event("dialog") as dialog:
        page.evaluate("setTimeout(() => location.reload())")
    dialog.value.dismiss()
    expect_bytes_to_flow()

    page.go_back()
    expect_page(page, "/", "Uploads")
    dashboard.row(book.name).expect_state("Completed")
    whole = row.open_details()
    expect_page(page, details, film.name)
    whole.expect_state("Sending")
    page.go_back()
    expect_page(page, "/", "Uploads")
    row.expect_state("Sending")
    page.go_forward()
    expect_page(page, details, film.name)
    expect_bytes_to_flow()
    proxy.throttle(None)
    whole.expect_state("Completed")
    expect(dock).to_be_hidden()

    page.reload()
    expect_page(page, details, film.name)
    whole.expect_state("Completed")


def test_a_line_full_of_chunks_leaves_room_for_pages(
    dashboard: Dashboard, proxy: Proxy, make_file: MakeFile
) -> None:
    """On a slow line each chunk takes minutes, and browsers open six connections to a server."""
    page = dashboard.page
    proxy.hold_after(0)
    dashboard.choose(*(make_file(f"film {i}.mkv", 3 * CHUNK, seed=i) for i in range(3)))
    for i in range(3):
        dashboard.row(f"film {i}.mkv").expect_state("Sending")
    page.get_by_role("link", name="Access tokens").click()
    # Sooner than a chunk without any progress is given up.
    heading = page.get_by_role("heading", name="Access tokens")
    expect(heading).to_be_visible(timeout=PATIENCE / 2)
    expect(dashboard.dock).to_contain_text("0 of 3 files are complete")


def test_whoever_is_signed_out_meanwhile_loses_nothing(
    context: BrowserContext,
    dashboard: Dashboard,
    client: NativeClient,
    proxy: Proxy,
    person: Person,
    complaints: Complaints,
    make_file: MakeFile,
) -> None:
    # What is refused at its head may be cut off in its body.
    complaints.allow("status of 40[13]|net::ERR_")
    page = dashboard.page
    names = [f"film {i}.mkv" for i in range(3)]
    proxy.hold_after(0)
    dashboard.choose(*(make_file(name, MIB, seed=i) for i, name in enumerate(names)))
    for name in names:
        dashboard.row(name).expect_state("Sending")
    notice = page.locator("#signed-out")
    expect(notice).to_be_hidden()

    context.clear_cookies(name="sessionid")
    # A body is refused before it is read: the line goes with it.
    proxy.drop()
    expect(notice).to_be_visible()
    expect(notice).to_contain_text("Nothing sent so far is lost")
    expect(dashboard.dock).to_contain_text("3 uploads have stopped")
    row = dashboard.row(names[0])
    row.expect_state("Stopped")
    expect(row.line).to_have_text(
        "You are signed out. Nothing sent so far is lost: sign in and resume."
    )
    # Nor by a link, which would lead to the sign-in page and away from the files.
    page.get_by_role("link", name="Access tokens").click()
    expect(page.get_by_role("heading", name=names[0])).to_be_visible()

    with context.expect_page() as opened:
        notice.get_by_role("link", name="Sign in").click()
    other = Dashboard(opened.value)
    other.page.get_by_label("User name").fill(person.name)
    other.page.get_by_label("Password").fill(person.password)
    other.page.get_by_role("button", name="Sign in").click()
    other.expect_open()

    page.bring_to_front()
    dashboard.dock.get_by_role("button", name="Try all again").click()
    for name in names:
        dashboard.row(name).expect_state("Completed")
    expect(notice).to_be_hidden()
    sessions = client.request("GET", "/api/v1/uploads").json()["results"]
    assert [session["state"] for session in sessions] == ["completed"] * len(names)


def test_a_server_that_is_busy_or_gone_and_a_file_that_is_gone_are_said(
    dashboard: Dashboard,
    client: NativeClient,
    proxy: Proxy,
    complaints: Complaints,
    make_file: MakeFile,
) -> None:
    complaints.allow("net::ERR_|status of (404|503)")
    page = dashboard.page
    film = make_file("film.mkv", MIB)
    row = dashboard.upload(film)
    address = f"/uploads/{row.session_id}/"

    # As the server answers while its database is locked.
    busy = {"status": 503, "headers": {"Retry-After": "5", "HX-Reswap": "none"}, "body": ""}
    page.route("**/remove", lambda route: route.fulfill(**busy))
    for _ in range(2):
        with page.expect_response("**/remove"):
            row.button("Delete").click()
        expect(dashboard.remarks).to_contain_text("The server is busy and could not do this")
    row.expect_state("Completed")
    expect_page(page, "/", "Uploads")
    dashboard.remarks.get_by_role("button", name="Dismiss").click()

    proxy.go_down()
    row.details.click()
    expect(dashboard.remarks).to_contain_text("The server cannot be reached. Nothing is lost")
    row.expect_state("Completed")
    expect_page(page, "/", "Uploads")
    proxy.heal()
    dashboard.remarks.get_by_role("button", name="Dismiss").click()

    client.delete(row.session_id)
    row.details.click()
    expect(page.get_by_role("heading", name="There is nothing here")).to_be_visible()
    expect(page.locator("main")).to_contain_text("Your uploads are where you left them")
    page.goto(address)
    expect(page.get_by_role("heading", name="There is nothing here")).to_be_visible()
    page.get_by_role("link", name="To your uploads").click()
    expect(page.get_by_text("Nothing here yet")).to_be_visible()
