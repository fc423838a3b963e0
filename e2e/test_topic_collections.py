"""The example's edit page: a large text takes the place of another, whatever the network does."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.support.proxy import Proxy
from tests.support.server import Server
from tests.support.waiting import wait_until
from uploads.core.plan import KIB, MIB

from .axe import expect_accessible
from .layout import too_wide
from .support import CHUNK, HOST, NETWORK_ERRORS, PATIENCE, Complaints, Dashboard, Person, in_django

pytestmark = pytest.mark.browser

OLD = "https://old.example/kelp\nhttps://old.example/rockweed\n"
#: A middling text, of four pieces, and where two of them are in.
SIZE = 4 * CHUNK - 12_345
MIDDLE = 12 * MIB
#: That of the issue: over a line of some 100 megabit a second, cut after each third.
LARGE = 300 * MIB
LINE = 14 * MIB
LARGE_TIMEOUT = 600

#: What the server has of a collection, and the backups there are.
STATE = """
import hashlib, json
from django.conf import settings
from examples.topic_collections.models import TopicCollection
collection = TopicCollection.objects.get(pk={pk})
text = collection.custom_seeds.encode()
folder = settings.TOPIC_COLLECTIONS_BACKUPS
backups = sorted(folder.glob("collection-{pk}-*.txt")) if folder.exists() else []
print(json.dumps({{
    "bytes": len(text),
    "sha256": hashlib.sha256(text).hexdigest(),
    "paired": sorted(collection.seeds.values_list("url", flat=True)),
    "backups": [path.read_text() for path in backups],
    "uploads": collection.curator.upload_sessions.count(),
}}))
"""


class Edit:
    """The edit page of a collection."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.choice = page.get_by_label("A file in their place")
        self.text = page.get_by_label("Seeds", exact=True)
        self.save_button = page.get_by_role("button", name="Save the collection")
        self.line = page.locator(".seeds-line")
        self.file = page.locator(".seeds-file")
        self.said = page.locator("main > .notice")

    @property
    def pk(self) -> int:
        return int(self.page.url.rstrip("/").rpartition("/")[2])

    def button(self, name: str) -> Locator:
        return self.file.get_by_role("button", name=name, exact=True)

    def save(self) -> None:
        self.save_button.click()

    def expect_done(self) -> None:
        expect(self.line).to_contain_text("The file is here, whole and checked.")
        expect(self.save_button).to_be_enabled()

    def open_again(self) -> None:
        self.page.once("dialog", lambda dialog: dialog.accept())
        self.page.reload()
        self.page.wait_for_load_state("load")


def open_new(page: Page) -> Edit:
    """The page of a new collection whose text is OLD."""
    page.goto("/collections/")
    page.get_by_label("Title").fill("Seaweeds")
    page.get_by_role("button", name="Make the collection").click()
    edit = Edit(page)
    edit.text.fill(OLD)
    edit.save()
    expect(edit.said).to_have_text("Saved.")
    page.wait_for_load_state("load")
    return edit


@pytest.fixture
def edit(dashboard: Dashboard) -> Edit:
    return open_new(dashboard.page)


def state(server: Server, edit: Edit) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(in_django(server, STATE.format(pk=edit.pk)))
    return found


def make_text(folder: Path, size: int, name: str = "seeds.txt") -> Path:
    """So many bytes of seeds, all different, some beyond ASCII."""
    path = folder / name
    lines = b"".join(f"https://new.example/fucus-{n:06}-ä\n".encode() for n in range(30_000))
    with path.open("wb") as file:
        for _ in range(size // len(lines)):
            file.write(lines)
        file.write(b"x" * (size - file.tell()))
    return path


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def expect_replaced(server: Server, edit: Edit, path: Path) -> None:
    expect(edit.said).to_contain_text("not paired automatically")
    found = state(server, edit)
    assert (found["bytes"], found["sha256"]) == (path.stat().st_size, digest_of(path))
    assert found["backups"] == [OLD]
    # Pairings are those of before; the upload is used up.
    assert found["paired"] == OLD.split()
    assert found["uploads"] == 0


@pytest.mark.timeout(LARGE_TIMEOUT)
def test_a_large_text_goes_in_over_a_slow_line_that_is_cut_twice(
    edit: Edit, server: Server, proxy: Proxy, complaints: Complaints, folder: Path
) -> None:
    complaints.allow(NETWORK_ERRORS)
    seeds = make_text(folder, LARGE)
    proxy.reset_count()
    proxy.throttle(LINE)
    proxy.cut_after(LARGE // 3)
    edit.choice.set_input_files(seeds)
    expect(edit.save_button).to_be_disabled()
    for _ in range(2):
        assert proxy.was_cut.wait(PATIENCE / 1000), "nothing was cut"
        expect(edit.line).to_contain_text("The server cannot be reached")
        expect(edit.save_button).to_be_disabled()
        proxy.cut_after(LARGE // 3)
        proxy.come_up()
        edit.button("Resume").click()
    proxy.heal()
    edit.expect_done()
    # Each cut costs the piece that was on its way, which browsers try again by themselves.
    assert proxy.bytes_upstream < LARGE + 6 * CHUNK
    edit.save()
    expect_replaced(server, edit, seeds)
    expect(edit.page.get_by_text("too much to be edited here")).to_be_visible()
    expect(edit.text).to_have_count(0)


def test_a_text_goes_in_over_a_line_that_is_cut(
    edit: Edit, server: Server, proxy: Proxy, complaints: Complaints, folder: Path
) -> None:
    complaints.allow(NETWORK_ERRORS)
    seeds = make_text(folder, SIZE)
    proxy.reset_count()
    proxy.cut_after(MIDDLE)
    edit.choice.set_input_files(seeds)
    assert proxy.was_cut.wait(PATIENCE / 1000), "nothing was cut"
    expect(edit.line).to_contain_text("The server cannot be reached")
    proxy.heal()
    edit.expect_done()
    assert proxy.bytes_upstream < SIZE + 3 * CHUNK
    edit.save()
    expect_replaced(server, edit, seeds)


def test_a_form_waits_for_its_file_and_says_why_it_does(
    edit: Edit, server: Server, proxy: Proxy, folder: Path
) -> None:
    seeds = make_text(folder, SIZE)
    proxy.hold_after(MIDDLE)
    edit.choice.set_input_files(seeds)
    expect(edit.line).to_contain_text("left")
    expect(edit.save_button).to_be_disabled()
    assert proxy.was_held.wait(PATIENCE / 1000)
    bar = edit.file.get_by_role("progressbar")
    # What the page shows of its bytes comes after them.
    wait_until(lambda: 20 < float(bar.get_attribute("value") or 0) < 100, "the progress")

    edit.button("Pause").click()
    expect(edit.save_button).to_be_enabled()
    edit.save()
    expect(edit.line).to_contain_text("has not arrived whole yet. Wait for it, or remove it")
    expect(edit.button("Resume")).to_be_focused()
    proxy.drop()
    edit.button("Resume").press("Enter")
    edit.expect_done()
    edit.save()
    expect_replaced(server, edit, seeds)


def test_a_file_that_is_removed_leaves_the_form_as_it_was(
    edit: Edit, server: Server, proxy: Proxy, complaints: Complaints, folder: Path
) -> None:
    # Cut with all others, the answer to its end is asked for again.
    complaints.allow(f"status of 410|{NETWORK_ERRORS}")
    proxy.hold_after(MIDDLE)
    edit.choice.set_input_files(make_text(folder, SIZE))
    assert proxy.was_held.wait(PATIENCE / 1000)
    edit.button("Remove the file").click()
    proxy.drop()
    expect(edit.file).to_be_hidden()
    expect(edit.choice).to_be_focused()
    edit.text.fill("https://edited.example/")
    edit.save()
    expect(edit.said).to_have_text("Saved.")
    found = state(server, edit)
    assert (found["paired"], found["backups"]) == (["https://edited.example/"], [])


def test_an_error_is_shown_and_a_retry_unblocks_the_form(
    edit: Edit,
    server: Server,
    context: BrowserContext,
    person: Person,
    complaints: Complaints,
    folder: Path,
) -> None:
    complaints.allow("status of 403")
    seeds = make_text(folder, MIB)
    context.clear_cookies(name="sessionid")
    edit.choice.set_input_files(seeds)
    expect(edit.line).to_contain_text("You are signed out.")
    edit.save()
    expect(edit.line).to_contain_text("Wait for it, or remove it")
    context.add_cookies(
        [{"name": "sessionid", "value": person.cookie, "domain": HOST, "path": "/"}]
    )
    edit.button("Try again").click()
    edit.expect_done()
    edit.save()
    expect_replaced(server, edit, seeds)


def test_what_is_no_text_is_refused_before_it_is_sent(
    edit: Edit, server: Server, proxy: Proxy, folder: Path
) -> None:
    proxy.reset_count()
    edit.choice.set_input_files(make_text(folder, MIB, "seeds.csv"))
    expect(edit.line).to_contain_text("names that end in .txt")
    assert proxy.bytes_upstream < MIB
    edit.save()
    expect(edit.line).to_contain_text("names that end in .txt")
    seeds = make_text(folder, MIB)
    edit.choice.set_input_files(seeds)
    edit.expect_done()
    edit.save()
    expect_replaced(server, edit, seeds)


def test_a_text_that_is_not_utf_8_is_an_error_and_another_takes_its_place(
    edit: Edit, server: Server, folder: Path
) -> None:
    wrong = folder / "wrong.txt"
    wrong.write_bytes("https://ä.example/".encode("latin-1"))
    edit.choice.set_input_files(wrong)
    edit.expect_done()
    edit.save()
    expect(edit.page.get_by_role("alert")).to_contain_text("byte 9 is none")
    # It is still there, and is replaced by the next.
    expect(edit.file).to_contain_text("wrong.txt")
    edit.page.wait_for_load_state("load")
    seeds = make_text(folder, MIB)
    edit.choice.set_input_files(seeds)
    edit.expect_done()
    edit.save()
    expect(edit.said).to_contain_text("not paired automatically")
    assert state(server, edit)["sha256"] == digest_of(seeds)


def test_a_reloaded_page_goes_on_with_the_file_when_it_is_chosen_again(
    edit: Edit, server: Server, proxy: Proxy, folder: Path
) -> None:
    seeds = make_text(folder, SIZE)
    proxy.hold_after(MIDDLE)
    edit.choice.set_input_files(seeds)
    assert proxy.was_held.wait(PATIENCE / 1000)
    edit.open_again()
    proxy.drop()
    expect(edit.page.get_by_text("“seeds.txt” was interrupted")).to_be_visible()
    proxy.reset_count()
    edit.choice.set_input_files(seeds)
    edit.expect_done()
    assert proxy.bytes_upstream < SIZE - CHUNK
    edit.save()
    expect_replaced(server, edit, seeds)


def test_a_file_is_sent_from_a_page_that_somebody_came_back_to(
    edit: Edit, server: Server, folder: Path
) -> None:
    """The site exchanges pages within one document."""
    edit.page.get_by_role("link", name="Uploads", exact=True).click()
    expect(edit.page.get_by_role("heading", name="Uploads", exact=True)).to_be_visible()
    edit.page.go_back()
    expect(edit.text).to_be_visible()
    seeds = make_text(folder, MIB)
    edit.choice.set_input_files(seeds)
    edit.expect_done()
    edit.save()
    expect_replaced(server, edit, seeds)


@pytest.mark.parametrize("width", [320, 1280])
def test_the_pages_are_accessible_and_fit(
    edit: Edit,
    proxy: Proxy,
    complaints: Complaints,
    context: BrowserContext,
    folder: Path,
    width: int,
) -> None:
    complaints.allow("status of 403")
    page = edit.page
    page.set_viewport_size({"width": width, "height": 800})
    look(page, "to be edited")
    edit.text.fill("words")
    edit.save()
    expect(page.get_by_text("These lines are no URLs: 1.")).to_be_visible()
    look(page, "refused")
    page.wait_for_load_state("load")
    proxy.hold_after(MIDDLE)
    edit.choice.set_input_files(make_text(folder, SIZE))
    assert proxy.was_held.wait(PATIENCE / 1000)
    look(page, "sending")
    edit.button("Pause").click()
    look(page, "paused")
    edit.open_again()
    proxy.drop()
    look(page, "interrupted")
    edit.choice.set_input_files(make_text(folder, SIZE))
    edit.expect_done()
    look(page, "done")
    edit.save()
    expect(edit.said).to_contain_text("not paired automatically")
    look(page, "replaced, and too large")
    page.goto("/collections/")
    look(page, "the list")


def look(page: Page, shown: str) -> None:
    expect_accessible(page, shown)
    assert too_wide(page) == [], shown


@pytest.fixture
def plain_page(browser: Browser, server: Server, complaints: Complaints) -> Iterator[Page]:
    context = browser.new_context(base_url=server.url, java_script_enabled=False)
    context.set_default_timeout(PATIENCE)
    complaints.watch(context)
    yield context.new_page()
    context.close()


def test_without_javascript_a_plain_form_does_the_same(
    plain_page: Page, server: Server, person: Person, folder: Path
) -> None:
    Dashboard(plain_page).sign_in(person, f"{server.url}/")
    edit = open_new(plain_page)
    expect(edit.file).to_be_hidden()
    seeds = make_text(folder, 300 * KIB)
    edit.choice.set_input_files(seeds)
    edit.save()
    expect_replaced(server, edit, seeds)
