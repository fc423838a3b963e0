"""Cut off in the middle: what was acknowledged stays, and only the rest is sent."""

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Dialog, expect

from tests.support.client import NativeClient
from tests.support.proxy import Proxy
from uploads.core.plan import MIB

from .conftest import MakeFile
from .support import (
    CHUNK,
    MIDDLE,
    NETWORK_ERRORS,
    SIZE,
    SMALL_TALK,
    Complaints,
    Dashboard,
    Item,
    assert_only_missing,
    bytes_missing,
    expect_map_is_true,
    interrupted,
)

pytestmark = pytest.mark.browser

#: Chunks on their way at a time; of those the answers may be lost with the line.
PARALLEL = 3


def expect_whole(row: Item, path: Path, folder: Path) -> None:
    row.expect_state("Completed")
    assert row.download(folder).read_bytes() == path.read_bytes()


def test_a_cut_in_mid_chunk_is_waited_out(
    dashboard: Dashboard,
    client: NativeClient,
    proxy: Proxy,
    complaints: Complaints,
    make_file: MakeFile,
    folder: Path,
) -> None:
    complaints.allow(NETWORK_ERRORS)
    film = make_file("film.mkv", SIZE)
    proxy.hold_after(MIDDLE)
    dashboard.choose(film)
    row = dashboard.row(film.name)
    session = interrupted(client, proxy, row)
    proxy.go_down()
    proxy.release()
    row.expect_state("Retrying")
    expect(row.line).to_contain_text("The server cannot be reached. Nothing sent so far is lost.")
    expect(row.button("Pause")).to_be_visible()
    sent = proxy.bytes_upstream

    proxy.heal()
    expect_whole(row, film, folder)
    # Besides what is missing: chunks whose answer was lost with the line are asked for again.
    assert proxy.bytes_upstream - sent < bytes_missing(session) + PARALLEL * CHUNK + SMALL_TALK
    assert proxy.bytes_upstream < 1.8 * SIZE


def test_a_closed_tab_is_resumed_from_the_list(
    context: BrowserContext,
    dashboard: Dashboard,
    client: NativeClient,
    proxy: Proxy,
    make_file: MakeFile,
    folder: Path,
) -> None:
    film = make_file("film.mkv", SIZE)
    proxy.hold_after(MIDDLE)
    dashboard.choose(film)
    session = interrupted(client, proxy, dashboard.row(film.name))
    dashboard.page.close()
    proxy.drop()

    dashboard = Dashboard(context.new_page()).open()
    row = dashboard.row(film.name)
    assert row.session_id == session["id"]
    expect(row.button("Pause")).to_be_hidden()
    expect_map_is_true(client, row)
    sent = dashboard.chunks_sent()
    row.resume_with(film)
    expect_whole(row, film, folder)
    assert_only_missing(sent, session)
    assert len(client.request("GET", "/api/v1/uploads").json()["results"]) == 1


def test_a_reloaded_page_is_resumed_from_the_list(
    dashboard: Dashboard,
    client: NativeClient,
    proxy: Proxy,
    make_file: MakeFile,
    folder: Path,
) -> None:
    film = make_file("film.mkv", SIZE)
    proxy.hold_after(MIDDLE)
    dashboard.choose(film)
    row = dashboard.row(film.name)
    session = interrupted(client, proxy, row)
    dashboard.page.once("dialog", lambda dialog: dialog.accept())
    dashboard.page.reload()
    proxy.drop()

    sent = dashboard.chunks_sent()
    row.resume_with(film)
    expect_whole(row, film, folder)
    assert_only_missing(sent, session)


def test_offline_waits_and_goes_on_by_itself(
    context: BrowserContext,
    dashboard: Dashboard,
    client: NativeClient,
    proxy: Proxy,
    complaints: Complaints,
    make_file: MakeFile,
    folder: Path,
) -> None:
    complaints.allow(NETWORK_ERRORS)
    film = make_file("film.mkv", SIZE)
    proxy.hold_after(MIDDLE)
    dashboard.choose(film)
    row = dashboard.row(film.name)
    session = interrupted(client, proxy, row)
    context.set_offline(True)
    row.expect_state("Offline")
    expect(row.line).to_contain_text("There is no network")
    proxy.drop()

    sent = proxy.bytes_upstream
    context.set_offline(False)
    expect_whole(row, film, folder)
    assert proxy.bytes_upstream - sent < bytes_missing(session) + PARALLEL * CHUNK + SMALL_TALK


def test_leaving_while_sending_asks_first(
    dashboard: Dashboard,
    client: NativeClient,
    proxy: Proxy,
    make_file: MakeFile,
    folder: Path,
) -> None:
    film = make_file("film.mkv", SIZE)
    proxy.hold_after(MIDDLE)
    dashboard.choose(film)
    row = dashboard.row(film.name)
    row.expect_state("Sending")
    # Browsers ask on behalf of those only with whom somebody has interacted.
    dashboard.touch()
    with dashboard.page.expect_event("dialog") as dialog:
        dashboard.page.close(run_before_unload=True)
    assert dialog.value.type == "beforeunload"
    dialog.value.dismiss()
    row.expect_state("Sending")
    proxy.release()
    expect_whole(row, film, folder)


@pytest.mark.parametrize("state", ["idle", "completed", "paused"])
def test_leaving_without_anything_to_lose_asks_nothing(
    dashboard: Dashboard, proxy: Proxy, make_file: MakeFile, state: str
) -> None:
    if state == "completed":
        dashboard.upload(make_file("film.mkv", MIB))
    elif state == "paused":
        proxy.hold_after(MIB)
        film = make_file("film.mkv", CHUNK)
        dashboard.choose(film)
        row = dashboard.row(film.name)
        row.button("Pause").click()
        row.expect_state("Paused")
    page = dashboard.page
    dashboard.touch()
    asked: list[str] = []

    def ask(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", ask)
    with page.expect_event("close"):
        page.close(run_before_unload=True)
    assert asked == []
