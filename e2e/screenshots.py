"""`make screenshots`: pictures of the main states, made by real uploads to a real server.

Every state, wide and narrow, light and dark, goes into the folder named; those of the README into
`docs/screenshots` as well.
"""

import argparse
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from uuid import UUID

from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect, sync_playwright

from tests.support.client import NativeClient
from tests.support.proxy import Proxy
from tests.support.server import PASSWORD, USER, Server
from tests.support.signatures import content_for
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
    in_django,
    make_people,
    status,
)

README_PICTURES = Path(__file__).resolve().parents[1] / "docs" / "screenshots"
#: Of the README, by state and variant.
IN_README = {
    "dashboard-wide-light": "dashboard.png",
    "dashboard-wide-dark": "dashboard-dark.png",
    "dashboard-narrow-light": "dashboard-narrow.png",
    "details-wide-light": "details.png",
    "many-wide-light": "many.png",
    "token-made-wide-light": "token.png",
}
WIDE = ViewportSize(width=1280, height=900)
NARROW = ViewportSize(width=390, height=844)

COMPLETE = {
    "Specimen photographs 2026.zip": 38 * MIB,
    "tide-table.csv": 84 * KIB,
    "Survey of the northern shore.pdf": 3 * MIB + 431 * KIB,
}
INTERRUPTED = "hydrophone-2026-11-18.flac"
INTERRUPTED_SIZE = 96 * MIB
#: As three connections leave it: some later chunks came before earlier ones.
INTERRUPTED_CHUNKS = [*range(11), 12, 13]
PAUSED = "Drone mosaic, bay 7.tif"
PAUSED_SIZE = 70 * MIB
SENDING = "Kelp forest transect 14.mov"
SENDING_SIZE = 420 * MIB
#: How much of it is in when the picture is taken.
SENDING_CHUNKS = 20
#: Bytes a second for each of three connections: enough to look alive, time enough to look.
PACE = 4 * MIB
NOTES = 60

#: Sessions that failed and expired, as the engine and the clock leave them.
TROUBLES = """
from django.contrib.auth.models import User
from uploads.engine.opening import Offer, open_session
from uploads.engine.reasons import OTHER_HASH
from uploads.models import FileSession
owner = User.objects.get(username={name!r})
for filename, status, error in (
    ("field-notes.docx", "failed", OTHER_HASH),
    ("old-archive.tar", "expired", ""),
):
    _, session = open_session(owner, Offer(filename=filename, size=30 * 1024**2))
    FileSession.objects.filter(pk=session.pk).update(status=status, error=error)
"""

QUOTA = 40 * MIB
#: By name: one that is taken, and what is not; with what the content is, and how much of it.
REFUSED = {
    "Survey of the northern shore.pdf": ("survey.pdf", 24 * MIB),
    "Seal colony.png": ("scan.pdf", MIB),
    "tide-calculator.exe": ("program.exe", MIB),
    "Drone mosaic, bay 7.tif": ("mosaic.tif", 30 * MIB),
}

STREAMS = ("buoy-7-live.nmea", "seafloor-node-3.mseed", "weather-mast.log")
EXPIRED = """
from uploads.models import FileSession
FileSession.objects.filter(pk={pk!r}).update(status="expired")
"""


class Studio:
    """One state after another before the camera, each in all its variants."""

    def __init__(
        self, browser: Browser, server: Server, proxy: Proxy, pictures: Path, files: Path
    ) -> None:
        self.browser = browser
        self.server = server
        self.proxy = proxy
        self.pictures = pictures
        #: Of what is sent; it must stay there as long as it is being sent.
        self.files = files
        self.people = iter(make_people(server, 9))

    def context(self) -> BrowserContext:
        context = self.browser.new_context(
            base_url=self.proxy.url, viewport=WIDE, device_scale_factor=2, locale="en-GB"
        )
        context.set_default_timeout(PATIENCE)
        return context

    def open(self, person: Person | None = None) -> Dashboard:
        return Dashboard(self.context().new_page()).sign_in(person or next(self.people))

    def shoot(self, page: Page, state: str) -> None:
        """The page from its top, nothing under the pointer, in both widths and themes."""
        self.pictures.mkdir(parents=True, exist_ok=True)
        page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
        page.mouse.move(0, 0)
        for width, viewport in {"wide": WIDE, "narrow": NARROW}.items():
            page.set_viewport_size(viewport)
            for theme in ("light", "dark"):
                page.emulate_media(color_scheme=theme)
                name = f"{state}-{width}-{theme}"
                path = self.pictures / f"{name}.png"
                page.screenshot(path=path, animations="disabled", full_page=width == "narrow")
                print(path)
                if name in IN_README:
                    README_PICTURES.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, README_PICTURES / IN_README[name])
        page.set_viewport_size(WIDE)
        page.emulate_media(color_scheme="light")


def sign_in(studio: Studio) -> None:
    page = studio.context().new_page()
    page.goto("/sign-in/")
    studio.shoot(page, "sign-in")
    page.get_by_label("User name").fill("somebody")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    studio.shoot(page, "sign-in-refused")
    page.get_by_role("link", name="Forgotten your password?").click()
    studio.shoot(page, "forgotten")
    page.get_by_label("E-mail address").fill("somebody@example.org")
    page.get_by_role("button", name="Send the link").click()
    expect(page.get_by_role("heading", name="Look into your mail")).to_be_visible()
    studio.shoot(page, "link-sent")
    page.context.close()


def password(studio: Studio) -> None:
    person = next(studio.people)
    page = studio.open(person).page
    page.get_by_role("link", name="(change the password)").click()
    change = page.get_by_role("button", name="Change the password")
    expect(change).to_be_visible()
    studio.shoot(page, "password")
    # One for each wrong password that is borne with; the last is refused otherwise.
    for number in range(10):
        for label in ("Present password", "New password", "New password, once more"):
            page.get_by_label(label, exact=True).fill("wrong")
        with page.expect_response(lambda response: response.request.method == "POST"):
            change.click()
        if number == 0:
            expect(page.get_by_role("alert")).to_be_visible()
            studio.shoot(page, "password-refused")
    expect(page.get_by_role("heading", name="Too many attempts")).to_be_visible()
    studio.shoot(page, "too-many-attempts")
    page.context.close()


def empty(studio: Studio) -> None:
    dashboard = studio.open()
    studio.shoot(dashboard.page, "empty")
    dashboard.page.context.close()


def dashboard_and_details(studio: Studio) -> None:
    """What was sent days ago, what a dropped connection left, and what is being sent now."""
    client = NativeClient(studio.server.url, studio.server.issue_token())
    for seed, (name, size) in enumerate(COMPLETE.items()):
        session = begin(client, name, content_for(name, size, seed), list(range(-(-size // CHUNK))))
        wait_until(partial(is_complete, client, session["id"]), f"{name} to be verified")
    content = content_for(INTERRUPTED, INTERRUPTED_SIZE, seed=10)
    session = begin(client, INTERRUPTED, content, INTERRUPTED_CHUNKS)
    age(studio.server, session["id"], minutes=200)
    dashboard = studio.open(Person(USER, PASSWORD, ""))
    page = dashboard.page
    studio.proxy.throttle(PACE)
    send(studio, dashboard, client, PAUSED, PAUSED_SIZE, chunks=4)
    dashboard.row(PAUSED).button("Pause").click()
    dashboard.row(PAUSED).expect_state("Paused")
    send(studio, dashboard, client, SENDING, SENDING_SIZE, chunks=SENDING_CHUNKS)
    expect(dashboard.row(SENDING).line).to_contain_text("left")
    studio.shoot(page, "dashboard")
    page.get_by_role("link", name=SENDING).click()
    expect(page.get_by_role("heading", name="What happened when")).to_be_visible()
    studio.shoot(page, "details")
    studio.proxy.throttle(None)
    page.close()
    client.close()


def send(
    studio: Studio, dashboard: Dashboard, client: NativeClient, name: str, size: int, chunks: int
) -> None:
    path = studio.files / name
    # So much at once would be more than a seed can give.
    path.write_bytes(content_for(name, MIB, seed=11) + os.urandom(size - MIB))
    dashboard.choose(path)
    row = dashboard.row(name)
    row.expect_state("Sending")
    wait_until(
        lambda: status(client, row.session_id)["received_chunks"] >= chunks,
        "some chunks to be in",
        timeout=PATIENCE / 1000,
    )


def many(studio: Studio) -> None:
    """A folder of notes beside one large file, on a slow line."""
    dashboard = studio.open()
    notes = studio.files / "notes"
    notes.mkdir()
    for number in range(NOTES):
        name = f"transect-{number:03}.txt"
        (notes / name).write_bytes(content_for(name, 40 * KIB, number))
    film = "all-transects.mov"
    (notes / film).write_bytes(content_for(film, 90 * MIB))
    studio.proxy.throttle(PACE / 8)
    dashboard.page.locator("#choose-folder").set_input_files(notes)
    headline = dashboard.page.locator("#dock-title")
    expect(headline).to_contain_text(f"of {NOTES + 1} files")
    expect(dashboard.page.locator("#upload-list > li").nth(4)).to_be_visible()
    studio.shoot(dashboard.page, "many")
    studio.proxy.throttle(None)
    dashboard.page.context.close()


def troubles(studio: Studio) -> None:
    """What has failed or expired, files that were refused, and a line that is down."""
    person = next(studio.people)
    client = NativeClient(studio.server.url, person.token)
    in_django(studio.server, TROUBLES.format(name=person.name))
    session = begin(client, INTERRUPTED, content_for(INTERRUPTED, 12 * MIB, 3), [0])
    age(studio.server, session["id"], minutes=90)
    dashboard = studio.open(person)
    page = dashboard.page
    wrong = studio.files / INTERRUPTED
    wrong.write_bytes(b"too short")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose the files").click()
    chooser.value.set_files([wrong])
    expect(page.get_by_text("same name, other size")).to_be_visible()
    studio.shoot(page, "troubles")
    page.context.close()
    client.close()


def refused(studio: Studio) -> None:
    """Where everybody has a quota: a false image, a program, a file for which there is no room."""
    with (
        Server(HOLDFAST_QUOTA_BYTES=str(QUOTA)) as server,
        Proxy(server.port) as proxy,
    ):
        other = Studio(studio.browser, server, proxy, studio.pictures, studio.files)
        dashboard = other.open()
        kept, *rest = REFUSED
        for seed, (name, (kind, size)) in enumerate(REFUSED.items()):
            (studio.files / name).write_bytes(content_for(kind, size, seed))
        dashboard.upload(studio.files / kept)
        dashboard.choose(*(studio.files / name for name in rest))
        for name in rest:
            dashboard.in_tray(name).expect_state("Stopped")
        expect(dashboard.row(rest[0]).place).to_be_visible()
        studio.shoot(dashboard.page, "refused")
        dashboard.row(rest[0]).open_details()
        studio.shoot(dashboard.page, "refused-details")
        dashboard.page.context.close()


def streams(studio: Studio) -> None:
    """What scripts send without saying how much: one has stopped, one is at it, one never came
    back.
    """
    person = next(studio.people)
    client = NativeClient(studio.server.url, person.token)
    stream(client, STREAMS[0], 3 * MIB)
    stopped = stream(client, STREAMS[1], 12 * MIB)
    expired = stream(client, STREAMS[2], MIB)
    age(studio.server, stopped, minutes=90)
    in_django(studio.server, EXPIRED.format(pk=expired))
    dashboard = studio.open(person)
    page = dashboard.page
    expect(dashboard.row(STREAMS[1]).place).to_contain_text("size not known yet")
    studio.shoot(page, "streams")
    dashboard.row(STREAMS[1]).open_details()
    studio.shoot(page, "stream")
    page.context.close()
    client.close()


def stream(client: NativeClient, name: str, size: int) -> str:
    """The id of an upload of which so much has come, and nobody knows how much will."""
    file = {"file": (name, content_for(name, size, seed=5))}
    answer = client.request("POST", "/api/chunked-upload/", files=file, data={"offset": 0})
    answer.raise_for_status()
    return str(UUID(answer.json()["upload_id"]))


def chosen_and_deleted(studio: Studio) -> None:
    person = next(studio.people)
    client = NativeClient(studio.server.url, person.token)
    for number in range(5):
        name = f"plate-{number}.jpg"
        session = begin(client, name, content_for(name, 60 * KIB, number), [0])
        wait_until(partial(is_complete, client, session["id"]), "a file to be verified")
    dashboard = studio.open(person)
    page = dashboard.page
    for number in (1, 3):
        page.get_by_role("checkbox", name=f"plate-{number}.jpg").check()
    studio.shoot(page, "chosen")
    page.get_by_role("button", name="Delete chosen").click()
    expect(page.get_by_text("2 files were deleted.")).to_be_visible()
    studio.shoot(page, "deleted")
    page.context.close()
    client.close()


def tokens(studio: Studio) -> None:
    dashboard = studio.open()
    page = dashboard.page
    page.goto("/tokens/")
    studio.shoot(page, "tokens")
    page.get_by_label("What it is for").fill("Nightly backup")
    page.get_by_role("button", name="Make the token").click()
    expect(page.locator("#token-value")).to_be_visible()
    studio.shoot(page, "token-made")
    page.goto("/nowhere/")
    studio.shoot(page, "not-found")
    page.context.close()


STATES: dict[str, Callable[[Studio], None]] = {
    "sign-in": sign_in,
    "password": password,
    "empty": empty,
    "dashboard": dashboard_and_details,
    "many": many,
    "troubles": troubles,
    "refused": refused,
    "streams": streams,
    "chosen": chosen_and_deleted,
    "tokens": tokens,
}


def is_complete(client: NativeClient, session_id: str) -> bool:
    return bool(status(client, session_id)["state"] == "completed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("states", nargs="*", choices=[*STATES, []], help="only these")
    given = parser.parse_args()
    expect.set_options(timeout=PATIENCE)
    with (
        tempfile.TemporaryDirectory(prefix="holdfast-pictures-") as files,
        Server(
            HOLDFAST_EMAIL_URL=f"file://{files}/mails", HOLDFAST_EMAIL_FROM="holdfast@example.org"
        ) as server,
        Proxy(server.port) as proxy,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGUMENTS)
        studio = Studio(browser, server, proxy, given.folder, Path(files))
        for state in given.states or STATES:
            STATES[state](studio)
        browser.close()


if __name__ == "__main__":
    main()
