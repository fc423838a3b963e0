"""The list: live while something is under way, quiet otherwise, and everybody's own."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.support.bodies import payload
from tests.support.client import NativeClient
from tests.support.proxy import Proxy
from tests.support.server import Server
from tests.support.signatures import content_for
from uploads.core.plan import MIB

from .conftest import MakeFile
from .support import CHUNK, Complaints, Dashboard, Person, age, begin

pytestmark = pytest.mark.browser

POLLING = re.compile(r"\bevery\b")


def test_it_asks_only_while_something_is_under_way(
    context: BrowserContext, person: Person, proxy: Proxy, make_file: MakeFile
) -> None:
    page = context.new_page()
    page.clock.install()
    dashboard = Dashboard(page).sign_in(person)
    trigger = dashboard.list
    expect(trigger).not_to_have_attribute("hx-trigger", POLLING)
    refreshes = dashboard.refreshes()
    page.clock.run_for(60_000)
    assert refreshes.count == 0

    proxy.hold_after(MIB)
    film = make_file("film.mkv", CHUNK)
    dashboard.choose(film)
    row = dashboard.row(film.name)
    row.expect_state("Sending")
    expect(trigger).to_have_attribute("hx-trigger", POLLING)
    begun = refreshes.count
    with page.expect_response("**/api/v1/uploads/handshake*"):
        page.clock.run_for(10_000)
    assert refreshes.count > begun

    proxy.release()
    row.expect_state("Completed")
    expect(trigger).not_to_have_attribute("hx-trigger", POLLING)
    # What the page itself asked for last, it still gets.
    page.clock.run_for(5_000)
    expect(dashboard.list).not_to_contain_class("htmx-request")
    settled = refreshes.count
    page.clock.run_for(50_000)
    assert refreshes.count == settled


def test_an_upload_long_interrupted_is_called_so_and_not_asked_about(
    dashboard: Dashboard, client: NativeClient, server: Server
) -> None:
    content = content_for("film.mkv", 2 * CHUNK)
    session = begin(client, "film.mkv", content, [0])
    age(server, session["id"])
    dashboard.open()
    row = dashboard.row("film.mkv")
    row.expect_state("Interrupted")
    expect(row.button("Resume")).to_be_visible()
    expect(dashboard.list).not_to_have_attribute("hx-trigger", POLLING)


def test_what_a_script_sends_meanwhile_appears_by_itself(
    dashboard: Dashboard, client: NativeClient, proxy: Proxy, make_file: MakeFile
) -> None:
    film = make_file("film.mkv", CHUNK)
    proxy.hold_after(MIB)
    dashboard.choose(film)
    dashboard.row(film.name).expect_state("Sending")

    content = payload(2 * CHUNK, seed=7)
    session = begin(client, "from-a-script.bin", content, [])
    row = dashboard.row("from-a-script.bin")
    expect(row.map).to_have_attribute("data-chunks", "0/2")
    client.send_missing(content, {**session, "missing": [0]})
    expect(row.map).to_have_attribute("data-chunks", "1/2")
    client.send_missing(content, {**session, "missing": [1]})
    row.expect_state("Completed")
    dashboard.row(film.name).expect_state("Sending")
    proxy.release()
    dashboard.row(film.name).expect_state("Completed")


def test_an_upload_cancelled_elsewhere_leaves_the_page(
    dashboard: Dashboard,
    client: NativeClient,
    proxy: Proxy,
    complaints: Complaints,
    make_file: MakeFile,
) -> None:
    complaints.allow("status of (404|410)")
    film = make_file("film.mkv", 8 * CHUNK)
    proxy.hold_after(MIB)
    dashboard.choose(film)
    row = dashboard.row(film.name)
    row.expect_state("Sending")
    path = f"/api/v1/uploads/{row.session_id}"
    assert client.request("DELETE", path).status_code == 204
    proxy.release()
    expect(row.place).to_have_count(0)
    expect(dashboard.tray_items).to_have_count(0)


def test_nobody_sees_what_another_sends(
    browser: Browser,
    context: BrowserContext,
    dashboard: Dashboard,
    proxy: Proxy,
    server: Server,
    people: Iterator[Person],
    make_file: MakeFile,
    complaints: Complaints,
) -> None:
    film = make_file("film.mkv", CHUNK)
    row = dashboard.upload(film)
    content = f"/api/v1/uploads/{row.session_id}/content"
    assert dashboard.page.request.get(content).status == 200

    stranger = browser.new_context(base_url=proxy.url)
    complaints.watch(stranger)
    other = Dashboard(stranger.new_page()).sign_in(next(people))
    expect(other.page.get_by_text("Nothing here yet")).to_be_visible()
    expect(other.items).to_have_count(0)
    assert other.page.request.get(content).status == 404
    # Not even by owning the same file: the stranger has to send all of it.
    sent = proxy.bytes_upstream
    other.upload(film)
    assert proxy.bytes_upstream - sent > CHUNK
    stranger.close()
