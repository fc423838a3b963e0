"""Many files at once: told of as one, steered as one; and each says what happens to it now."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Route, expect

from tests.support.client import NativeClient
from tests.support.proxy import Proxy
from uploads.core.plan import KIB, MIB

from .conftest import MakeFile
from .support import CHUNK, NETWORK_ERRORS, Complaints, Dashboard

pytestmark = pytest.mark.browser

SMALL_FILES = 30
#: So much of a body fills the pieces by which the proxy tells it from other requests.
SMALL = 40 * KIB
LARGE = 12 * MIB
#: Of the files of a batch that have no row yet, so many are shown.
TRAY = 12
#: Bytes a second, of each connection; so slow that there is a speed to be seen, until it is seen.
SLOW = MIB // 4


def dock_button(dashboard: Dashboard, name: str) -> Locator:
    return dashboard.dock.get_by_role("button", name=name, exact=True)


def in_phase(dashboard: Dashboard, phase: str) -> Locator:
    return dashboard.page.locator(f'.upload[data-live-phase="{phase}"]')


def states(client: NativeClient) -> list[str]:
    """Of all sessions but those that were cancelled."""
    answer: dict[str, Any] = client.request("GET", "/api/v1/uploads").json()
    assert answer["next"] is None
    found = [session["state"] for session in answer["results"]]
    return [state for state in found if state != "cancelled"]


def expect_at_once(dashboard: Dashboard, count: int) -> None:
    """So many are being sent, no more and no fewer."""
    expect(in_phase(dashboard, "sending")).to_have_count(count)


def test_a_batch_is_told_of_and_steered_as_one(
    dashboard: Dashboard, client: NativeClient, proxy: Proxy, make_file: MakeFile
) -> None:
    page, dock = dashboard.page, dashboard.dock
    files = [make_file(f"small-{i:02}.bin", SMALL, seed=i) for i in range(SMALL_FILES)]
    files.append(make_file("film.mkv", LARGE))
    expect(dock).to_be_hidden()

    proxy.hold_after(0)
    dashboard.choose(*files)
    expect_at_once(dashboard, 3)
    expect(dock).to_contain_text(f"0 of {len(files)} files are complete")
    expect(dock).to_contain_text("of 13.2")
    # What the proxy's own buffers take of a large file counts as on its way.
    expect(dock).to_contain_text(re.compile(r"\d\s%"))
    waiting = len(files) - 3
    expect(page.locator("#tray-more")).to_have_text(f"and {waiting - TRAY} more")
    expect(dashboard.tray_items).to_have_count(TRAY)

    page.get_by_label("At once").select_option("5")
    expect_at_once(dashboard, 5)
    page.get_by_label("At once").select_option("2")

    dock_button(dashboard, "Pause all").click()
    expect(dock).to_contain_text(f"{len(files)} uploads are paused")
    expect(in_phase(dashboard, "sending")).to_have_count(0)
    expect(dock_button(dashboard, "Pause all")).to_be_hidden()

    proxy.throttle(SLOW)
    proxy.release()
    dock_button(dashboard, "Resume all").click()
    expect(dock).to_contain_text(re.compile(r"\d\s(KB|MB)/s · \d+\ss left"))
    expect(dock).to_contain_text(re.compile(rf"[1-9]\d* of {len(files)} files are complete"))
    proxy.throttle(None)
    expect(dock).to_be_hidden()
    expect(page.locator("#announcer")).to_have_text(
        f"{len(files)} files are complete and verified."
    )
    expect(dashboard.files).to_have_count(len(files))
    assert states(client) == ["completed"] * len(files)

    page.reload()
    proxy.hold_after(0)
    dashboard.choose(*(make_file(f"again-{i}.bin", SMALL, seed=100 + i) for i in range(4)))
    expect_at_once(dashboard, 2)

    dock_button(dashboard, "Cancel all").click()
    expect(dashboard.dialog).to_contain_text("4 uploads")
    dashboard.answer("Cancel all")
    expect(dock).to_be_hidden()
    expect(dashboard.tray_items).to_have_count(0)
    expect(dashboard.under_way).to_have_count(0)
    assert states(client) == ["completed"] * len(files)


def test_each_upload_says_what_happens_to_it_now(
    context: BrowserContext,
    dashboard: Dashboard,
    proxy: Proxy,
    complaints: Complaints,
    make_file: MakeFile,
) -> None:
    complaints.allow(NETWORK_ERRORS)
    film, second = make_file("film.mkv", LARGE), make_file("second.mkv", CHUNK + 1, seed=2)
    note = make_file("note.mkv", KIB, seed=3)
    worker: list[Route] = []
    context.route("**/hash-worker*", lambda route: worker.append(route))  # noqa: PLW0108 (it is given attributes)

    # A small file is checked first; of a large one it takes the worker as well to find it again.
    dashboard.choose(note)
    checking = dashboard.in_tray(note.name)
    checking.expect_state("Checking")
    expect(checking.line).to_have_text("Reading the file to know it by its content: 0 %")
    dashboard.choose(film, second)
    for file in (film, second):
        dashboard.in_tray(file.name).expect_state("Waiting")

    proxy.hold_after(0)
    for route in worker:
        route.continue_()
    context.unroute("**/hash-worker*")
    row = dashboard.row(film.name)
    row.expect_state("Sending")
    dashboard.row(second.name).expect_state("Sending")
    row.button("Pause").click()
    row.expect_state("Paused")
    expect(row.line).to_have_text("Paused. What the server has is kept.")

    context.set_offline(True)
    row.button("Resume").click()
    row.expect_state("Offline")
    expect(row.line).to_have_text("There is no network. This goes on by itself when it is back.")
    proxy.go_down()
    context.set_offline(False)
    row.expect_state("Retrying")
    expect(row.line).to_have_text(
        re.compile(r"cannot be reached\. Nothing sent so far is lost\. Trying again in \d+\ss\.")
    )
    expect(dashboard.dock).to_contain_text(re.compile(r"Trying again in \d+\ss"))

    verdict: list[Route] = []
    one = f"**/api/v1/uploads/{row.session_id}"
    context.route(one, lambda route: verdict.append(route))  # noqa: PLW0108
    # So that the row stays as it was drawn before the server's verdict.
    context.route("**/api/v1/uploads/handshake?*", lambda route: route.fulfill(status=204))
    proxy.release()
    # Nobody presses anything: it may go on by itself at this moment.
    proxy.heal()
    row.expect_state("Verifying")
    expect(row.line).to_have_text("All sent. The server is checking the whole file.")
    for route in verdict:
        route.continue_()
    context.unroute_all()
    row.expect_state("Completed")
    dashboard.row(second.name).expect_state("Completed")


def test_what_the_server_refuses_says_why_and_can_be_dismissed(
    dashboard: Dashboard, complaints: Complaints, folder: Path, client: NativeClient
) -> None:
    complaints.allow("status of 400")
    path = folder / "exe.\u202etxt"
    path.write_text("turned around")
    dashboard.choose(path)
    item = dashboard.tray_items
    expect(item.locator(".state")).to_have_text("Stopped")
    expect(item).to_contain_text("The server cannot take a file of this name. Rename it")
    item.get_by_role("button", name="Dismiss").click()
    expect(item).to_have_count(0)
    assert states(client) == []
