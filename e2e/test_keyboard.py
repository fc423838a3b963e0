"""All of it by keyboard alone, with a focus that is seen and that no refresh takes away."""

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.support.proxy import Proxy
from tests.support.server import Server
from uploads.core.plan import KIB

from .conftest import MakeFile
from .keyboard import controls_of, focus_of, stops_of, tab_to
from .states import Furnished, furnish, furnish_every_state
from .support import Dashboard

pytestmark = pytest.mark.browser

#: Two pages of files.
FILES = """
for number in range(52):
    completed(owner, f"plate-{number:02}.jpg", ago=3600 + number)
"""


@pytest.fixture(scope="module")
def furnished(shared_server: Server) -> Furnished:
    return furnish_every_state(shared_server, "keyboard-alone")


@pytest.fixture(scope="module")
def collector(shared_server: Server) -> Furnished:
    return furnish(shared_server, "keyboard-and-many-files", FILES)


def test_tab_comes_to_every_control_in_the_order_of_the_page_and_shows_where_it_is(
    context: BrowserContext, furnished: Furnished
) -> None:
    furnished.sign_in(context)
    page = context.new_page()
    for address in ("/", "/tokens/", f"/uploads/{furnished.ids['interrupted']}/"):
        page.goto(address)
        stops = stops_of(page)
        assert [stop.index for stop in stops] == controls_of(page), address
        assert [stop.name for stop in stops if not stop.seen] == [], address
    page.goto("/")
    page.keyboard.press("Tab")
    assert focus_of(page).name == "Skip to content"
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.keyboard.press("Tab")
    assert focus_of(page).name == "Choose a folder"


def test_a_file_is_sent_paused_resumed_and_cancelled(
    dashboard: Dashboard, proxy: Proxy, make_file: MakeFile
) -> None:
    page = dashboard.page
    proxy.hold_after(0)
    films = [make_file(f"film-{number}.mkv", 300 * KIB, number) for number in range(2)]
    # Expected early: a key is faster than Playwright is in catching what it opens.
    with page.expect_file_chooser() as chooser:
        tab_to(page, "Choose files")
        page.keyboard.press("Enter")
    chooser.value.set_files(films)
    first, second = (dashboard.row(film.name) for film in films)
    for row in (first, second):
        row.expect_state("Sending")

    tab_to(page, "Pause: film-0.mkv")
    page.keyboard.press("Enter")
    first.expect_state("Paused")
    expect(first.button("Resume")).to_be_focused()
    page.keyboard.press("Space")
    first.expect_state("Sending")
    expect(first.button("Pause")).to_be_focused()
    for _ in range(2):
        with page.expect_response("**/api/v1/uploads/handshake?*"):
            pass
    expect(first.button("Pause")).to_be_focused()

    tab_to(page, "Cancel: film-0.mkv")
    page.keyboard.press("Enter")
    expect(dashboard.dialog.get_by_role("button", name="Keep it")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dashboard.dialog).to_be_hidden()
    expect(first.button("Cancel")).to_be_focused()
    page.keyboard.press("Enter")
    tab_to(page, "Cancel upload")
    page.keyboard.press("Enter")
    expect(first.place).to_have_count(0)
    expect_focus_kept(page)

    tab_to(page, "Pause: film-1.mkv")
    proxy.release()
    second.expect_state("Completed")
    expect(dashboard.under_way).to_have_count(0)
    expect_focus_kept(page)


def test_all_together_are_steered_from_the_dock(
    dashboard: Dashboard, proxy: Proxy, make_file: MakeFile
) -> None:
    page = dashboard.page
    proxy.hold_after(0)
    dashboard.choose(*(make_file(f"{n}.bin", 300 * KIB, n) for n in range(4)))
    dashboard.row("0.bin").expect_state("Sending")
    expect(dashboard.dock).to_be_visible()
    # Below all else, and over nothing that has the focus.
    stops = stops_of(page)
    assert [stop.name for stop in stops if not stop.seen] == []
    assert stops[-1].name == "Cancel all"
    at_once = page.get_by_label("At once")
    at_once.focus()
    page.keyboard.press("ArrowDown")
    expect(at_once).to_have_value("4")
    dashboard.row("3.bin").expect_state("Sending")
    tab_to(page, "Pause all")
    page.keyboard.press("Enter")
    expect(dashboard.dock).to_contain_text("4 uploads are paused")
    expect_focus_in_the_dock(dashboard)
    tab_to(page, "Resume all", "Shift+Tab")
    page.keyboard.press("Space")
    expect(dashboard.dock).to_contain_text("0 of 4 files are complete")
    expect_focus_in_the_dock(dashboard)
    tab_to(page, "Cancel all")
    page.keyboard.press("Enter")
    expect(dashboard.dialog.get_by_role("button", name="Keep it")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(dashboard.items).to_have_count(0)
    expect(dashboard.dock).to_be_hidden()
    expect_focus_kept(page)


def test_files_are_found_sorted_chosen_deleted_brought_back_paged_and_renamed(
    context: BrowserContext, collector: Furnished
) -> None:
    collector.sign_in(context)
    dashboard = Dashboard(context.new_page())
    page = dashboard.page
    page.goto("/")
    dashboard.expect_open()
    tab_to(page, "Search in names and folders")
    page.keyboard.type("plate-0")
    expect(dashboard.files).to_have_count(10)
    expect(page.locator("#search")).to_be_focused()
    tab_to(page, "Order")
    page.keyboard.type("Name, A")
    expect(dashboard.files.first).to_contain_text("plate-00.jpg")
    expect(page.get_by_label("Order")).to_be_focused()

    for name in ("plate-01.jpg", "plate-02.jpg"):
        tab_to(page, name)
        page.keyboard.press("Space")
    expect(page.locator("#chosen-count")).to_have_text("2 files chosen")
    tab_to(page, "Delete chosen", "Shift+Tab")
    page.keyboard.press("Enter")
    expect(dashboard.files).to_have_count(8)
    expect(page.get_by_role("button", name="Undo")).to_be_focused()
    page.keyboard.press("Enter")
    expect(dashboard.files).to_have_count(10)
    expect_focus_kept(page)
    tab_to(page, "Delete: plate-03.jpg")
    page.keyboard.press("Enter")
    expect(dashboard.files).to_have_count(9)
    expect(page.get_by_role("button", name="Undo")).to_be_focused()

    tab_to(page, "Search in names and folders")
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    expect(dashboard.files).to_have_count(50)
    # That Tab leads through all rows is another test's business.
    page.locator("#upload-list .choose").last.focus()
    tab_to(page, "Next")
    page.keyboard.press("Enter")
    expect(dashboard.files).to_have_count(1)
    expect(page.locator("#main")).to_be_focused()
    tab_to(page, "Previous")
    page.keyboard.press("Enter")
    expect(dashboard.files).to_have_count(50)
    expect(page.locator("#main")).to_be_focused()

    tab_to(page, "plate-05.jpg")
    tab_to(page, "plate-05.jpg")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="About this file")).to_be_visible()
    expect(page.locator("#main")).to_be_focused()
    tab_to(page, "File name")
    page.keyboard.press("Control+a")
    page.keyboard.type("plate five.jpg")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="plate five.jpg")).to_be_visible()
    expect_focus_kept(page)


def expect_focus_kept(page: Page) -> None:
    """Not fallen to the body, from where Tab would begin at the top again."""
    expect(page.locator("body :focus")).to_have_count(1)


def expect_focus_in_the_dock(dashboard: Dashboard) -> None:
    expect(dashboard.dock.locator(":focus")).to_have_count(1)
