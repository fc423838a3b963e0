"""`python -m e2e.screenshots`: pictures of the dashboard, made by real uploads.

Writes the README's picture; with `--variants FOLDER` also a dark and a narrow one into FOLDER.
"""

import argparse
import os
import tempfile
from functools import partial
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from tests.support.bodies import payload
from tests.support.client import NativeClient
from tests.support.proxy import Proxy
from tests.support.server import PASSWORD, USER, Server
from tests.support.waiting import wait_until
from uploads.core.plan import KIB, MIB

from .browser_install import chromium
from .support import (
    CHROMIUM_ARGUMENTS,
    CHUNK,
    PATIENCE,
    Dashboard,
    Person,
    age,
    begin,
    status,
)

README_PICTURE = Path(__file__).resolve().parents[1] / "docs" / "screenshots" / "dashboard.png"
#: As tall as the list of five.
SIZE = ViewportSize(width=1280, height=864)
NARROW = ViewportSize(width=390, height=844)

COMPLETE = {
    "Specimen photographs 2026.zip": 38 * MIB,
    "Survey of the northern shore.pdf": 3 * MIB + 431 * KIB,
}
INTERRUPTED = "hydrophone-2026-11-18.flac"
INTERRUPTED_SIZE = 96 * MIB
#: As three connections leave it: some later chunks came before earlier ones.
INTERRUPTED_CHUNKS = [*range(11), 12, 13]
PAUSED = "Drone mosaic, bay 7.tif"
PAUSED_SIZE = 70 * MIB
SENDING = "Kelp forest transect 14.mov"
SENDING_SIZE = 320 * MIB
#: How much of it is in when the picture is taken.
SENDING_CHUNKS = 27
#: Bytes a second for each of three connections: enough to look alive, time enough to look.
PACE = 4 * MIB


def send_by_script(server: Server, client: NativeClient) -> None:
    """What was sent days ago, and what a dropped connection left of another upload."""
    for seed, (name, size) in enumerate(COMPLETE.items()):
        content = payload(size, seed)
        session = begin(client, name, content, list(range(-(-size // CHUNK))))
        wait_until(partial(is_complete, client, session["id"]), f"{name} to be verified")
    content = payload(INTERRUPTED_SIZE, seed=10)
    session = begin(client, INTERRUPTED, content, INTERRUPTED_CHUNKS)
    age(server, session["id"], minutes=200)


def is_complete(client: NativeClient, session_id: str) -> bool:
    return bool(status(client, session_id)["state"] == "completed")


def pause_one(dashboard: Dashboard, client: NativeClient, folder: Path) -> None:
    path = folder / PAUSED
    path.write_bytes(os.urandom(PAUSED_SIZE))
    dashboard.choose(path)
    row = dashboard.row(PAUSED)
    wait_until(
        lambda: status(client, row.session_id)["received_chunks"] >= 4,
        "some chunks to be in",
        timeout=PATIENCE / 1000,
    )
    row.button("Pause").click()
    row.expect_state("Paused")


def begin_sending(dashboard: Dashboard, client: NativeClient, folder: Path) -> None:
    path = folder / SENDING
    path.write_bytes(os.urandom(SENDING_SIZE))
    dashboard.choose(path)
    row = dashboard.row(SENDING)
    row.expect_state("Sending")
    wait_until(
        lambda: status(client, row.session_id)["received_chunks"] >= SENDING_CHUNKS,
        "some chunks to be in",
        timeout=PATIENCE / 1000,
    )
    expect(row.line).to_contain_text("left")


def shoot(page: Page, path: Path, height: int | None = None) -> None:
    """The page from its top, nothing focused, nothing under the pointer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    page.mouse.move(0, 0)
    page.screenshot(path=path, animations="disabled", full_page=height is None)
    print(path)


def take(
    browser: Browser, server: Server, proxy: Proxy, folder: Path, variants: Path | None
) -> None:
    client = NativeClient(server.url, server.issue_token())
    send_by_script(server, client)
    context = browser.new_context(base_url=proxy.url, viewport=SIZE, device_scale_factor=2)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    dashboard = Dashboard(page).sign_in(Person(USER, PASSWORD, ""))
    proxy.throttle(PACE)
    pause_one(dashboard, client, folder)
    begin_sending(dashboard, client, folder)
    shoot(page, README_PICTURE, SIZE["height"])
    if variants:
        page.emulate_media(color_scheme="dark")
        shoot(page, variants / "dashboard-dark.png")
        page.set_viewport_size(NARROW)
        shoot(page, variants / "dashboard-narrow-dark.png")
        page.emulate_media(color_scheme="light")
        shoot(page, variants / "dashboard-narrow.png")
    context.close()
    client.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variants", type=Path, help="folder for a dark and a narrow picture")
    variants = parser.parse_args().variants
    with (
        tempfile.TemporaryDirectory(prefix="holdfast-pictures-") as name,
        Server() as server,
        Proxy(server.port) as proxy,
        sync_playwright() as playwright,
    ):
        expect.set_options(timeout=PATIENCE)
        browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGUMENTS)
        take(browser, server, proxy, Path(name), variants)
        browser.close()


if __name__ == "__main__":
    main()
