"""A download by the browser that the network cuts in its middle: it goes on where it was."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.support.bodies import WAIT_SECONDS, sha256
from tests.support.client import NativeClient
from tests.support.proxy import Proxy
from tests.support.signatures import content_for
from tests.support.waiting import wait_until
from uploads.core.plan import MIB

from .browser_install import chromium
from .support import (
    CHROMIUM_ARGUMENTS,
    CHUNK,
    NETWORK_ERRORS,
    PATIENCE,
    SMALL_TALK,
    Complaints,
    Dashboard,
    Item,
    Person,
    begin,
    sha256_of,
    status,
)

pytestmark = pytest.mark.browser

NAME = "film.mkv"
SIZE = 4 * CHUNK
CONTENT = content_for(NAME, SIZE, seed=50)
MIDDLE = 8 * MIB


@pytest.fixture
def complete(client: NativeClient, person: Person) -> None:
    """A complete upload of that person, sent by a script."""
    session = begin(client, NAME, CONTENT, list(range(SIZE // CHUNK)))
    wait_until(partial(is_complete, client, session["id"]), "completion")


def is_complete(client: NativeClient, session_id: str) -> bool:
    return bool(status(client, session_id)["state"] == "completed")


def expect_nothing_came_twice(proxy: Proxy) -> None:
    assert SIZE < proxy.bytes_downstream < SIZE + SMALL_TALK


def test_a_download_that_is_cut_goes_on_by_itself(
    complete: None, dashboard: Dashboard, proxy: Proxy, complaints: Complaints, folder: Path
) -> None:
    """As Chromium does when the connection ends before its time and the next one is answered."""
    complaints.allow(NETWORK_ERRORS)
    row: Item = dashboard.row(NAME)
    expect(row.link("Download")).to_be_visible()
    proxy.reset_count()
    proxy.cut_down_after(MIDDLE, stay_down=False)
    saved = row.download(folder)
    assert proxy.was_cut.wait(WAIT_SECONDS)
    assert sha256_of(saved) == sha256(CONTENT)
    expect_nothing_came_twice(proxy)


@pytest.fixture
def downloads(folder: Path) -> Path:
    path = folder / "downloads"
    path.mkdir()
    return path


@pytest.fixture
def own_browser(browser: Browser, proxy: Proxy, downloads: Path) -> Iterator[BrowserContext]:
    """One with a profile, and so with a list of its downloads."""
    context = browser.browser_type.launch_persistent_context(
        "",
        executable_path=chromium(),
        args=CHROMIUM_ARGUMENTS,
        base_url=proxy.url,
        downloads_path=downloads,
    )
    context.set_default_timeout(PATIENCE)
    yield context
    context.close()


def listed_download(context: BrowserContext) -> Locator:
    """The one item of the browser's own list of downloads."""
    page: Page = context.new_page()
    page.goto("chrome://downloads")
    return page.locator("downloads-item")


def test_a_download_that_was_given_up_goes_on_when_somebody_says_resume(
    complete: None, own_browser: BrowserContext, person: Person, proxy: Proxy, downloads: Path
) -> None:
    """The network stays away, so the browser calls it failed, and has a Resume in its list."""
    dashboard = Dashboard(own_browser.new_page()).sign_in(person)
    proxy.reset_count()
    proxy.cut_down_after(MIDDLE)
    dashboard.row(NAME).link("Download").click()
    assert proxy.was_cut.wait(PATIENCE / 1000)
    dashboard.page.close()

    item = listed_download(own_browser)
    expect(item.locator("#tag")).to_contain_text("Failed")
    (partly,) = downloads.iterdir()
    assert 0 < partly.stat().st_size <= MIDDLE
    proxy.heal()
    item.get_by_role("button", name="More actions").click()
    item.get_by_role("menuitem", name="Resume").click()

    def saved() -> list[Path]:
        """Under a name of its own until it is whole."""
        return [path for path in downloads.iterdir() if path.suffix != partly.suffix]

    (whole,) = wait_until(saved, "the end of the download", PATIENCE / 1000)
    assert sha256_of(whole) == sha256(CONTENT)
    expect_nothing_came_twice(proxy)
