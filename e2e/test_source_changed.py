"""A file that is not what it was: found out, said in plain words, never spliced together."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Route, expect

from tests.support.bodies import sha256
from tests.support.client import NativeClient
from tests.support.proxy import Proxy
from tests.support.server import Server
from tests.support.signatures import content_for
from uploads.core.plan import MIB

from .conftest import MakeFile
from .support import (
    SMALL_MIDDLE,
    SMALL_SIZE,
    Complaints,
    Dashboard,
    Item,
    Person,
    interrupted,
    make_people,
    status,
)

pytestmark = pytest.mark.browser

#: More than there are tests in this file.
PEOPLE = 40

Change = Callable[[Path], None]

#: What Chromium logs of a body whose file it can no longer read, or that is refused as damaged.
BROKEN_BODIES = r"net::ERR_|status of 422"


def other_bytes(path: Path) -> None:
    path.write_bytes(content_for(path.name, path.stat().st_size, seed=99))


def longer(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"and more")


def shorter(path: Path) -> None:
    os.truncate(path, path.stat().st_size - MIB)


def deleted(path: Path) -> None:
    path.unlink()


def replaced(path: Path) -> None:
    """As editors save: another file is renamed over it."""
    draft = path.with_name("draft")
    draft.write_bytes(content_for(path.name, path.stat().st_size, seed=98))
    draft.replace(path)


def touched(path: Path) -> None:
    """Its time is another one, its content is not."""
    now = path.stat()
    os.utime(path, ns=(now.st_atime_ns, now.st_mtime_ns + 10_000_000_000))


CHANGES = [other_bytes, longer, shorter, deleted, replaced, touched]
each_change = pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)


def expect_found_out(item: Item) -> None:
    item.expect_state("Stopped")
    expect(item.line).to_contain_text("The file was changed, moved or deleted")
    expect(item.line).to_contain_text("Nothing that arrived is lost")
    expect(item.line).to_contain_text("Choose it again to go on")


def expect_whole(row: Item, content: bytes, folder: Path) -> None:
    row.expect_state("Completed")
    assert row.download(folder).read_bytes() == content


def expect_no_splice(row: Item, film: Path, content: bytes, folder: Path) -> None:
    """The row offers to choose the file: one that changed is refused, the old one completes."""
    if film.exists() and film.read_bytes() != content:
        same_size = film.stat().st_size == len(content)
        row.resume_with(film)
        reason = "another file, or it has changed" if same_size else "Same name, other size"
        expect(row.line).to_contain_text(reason)
        expect(row.line).to_contain_text("What the server has is as it was")
        expect(row.button("Resume")).to_be_visible()
    film.write_bytes(content)
    row.resume_with(film)
    expect_whole(row, content, folder)


@pytest.fixture(scope="module")
def small_server() -> Iterator[Server]:
    with Server(DJANGO_SETTINGS_MODULE="e2e.small_chunks") as server:
        yield server


@pytest.fixture(scope="module")
def small_people(small_server: Server) -> Iterator[Person]:
    return iter(make_people(small_server, PEOPLE))


@pytest.fixture
def server(small_server: Server) -> Server:
    return small_server


@pytest.fixture
def person(small_people: Iterator[Person]) -> Person:
    return next(small_people)


@pytest.fixture
def film(make_file: MakeFile) -> Path:
    return make_file("film.mkv", SMALL_SIZE, seed=1)


@pytest.fixture
def content(film: Path) -> bytes:
    """What the file has in the beginning."""
    return film.read_bytes()


# ------------------------------------------------------------------- while the page is at it


@each_change
def test_a_change_while_it_is_sent_is_found_out(
    dashboard: Dashboard,
    client: NativeClient,
    proxy: Proxy,
    complaints: Complaints,
    film: Path,
    content: bytes,
    folder: Path,
    change: Change,
) -> None:
    complaints.allow(BROKEN_BODIES)
    proxy.hold_after(SMALL_MIDDLE)
    dashboard.choose(film)
    row = dashboard.row(film.name)
    interrupted(client, proxy, row)
    change(film)
    proxy.release()
    expect_found_out(row)
    assert status(client, row.session_id)["state"] == "active"
    expect_no_splice(row, film, content, folder)


@each_change
def test_a_change_while_it_is_paused_is_found_out_when_it_is_resumed(
    dashboard: Dashboard,
    client: NativeClient,
    proxy: Proxy,
    film: Path,
    content: bytes,
    folder: Path,
    change: Change,
) -> None:
    proxy.hold_after(SMALL_MIDDLE)
    dashboard.choose(film)
    row = dashboard.row(film.name)
    interrupted(client, proxy, row)
    row.button("Pause").click()
    row.expect_state("Paused")
    proxy.drop()
    change(film)
    row.button("Resume").click()
    expect_found_out(row)
    expect_no_splice(row, film, content, folder)


@pytest.mark.parametrize("change", [other_bytes, deleted, touched])
def test_a_change_after_a_failure_is_found_out_when_it_is_resumed(
    dashboard: Dashboard,
    complaints: Complaints,
    film: Path,
    content: bytes,
    folder: Path,
    change: Change,
) -> None:
    complaints.allow("status of 413")
    last = "**/chunks/7"
    refusal = {"code": "quota_exceeded", "detail": "Too much.", "quota": "bytes"}
    dashboard.page.route(last, lambda route: route.fulfill(status=413, json=refusal))
    dashboard.choose(film)
    row = dashboard.row(film.name)
    row.expect_state("Stopped")
    expect(row.line).to_contain_text("You have no room left here.")
    dashboard.page.unroute(last)
    change(film)
    row.button("Resume").click()
    expect_found_out(row)
    expect_no_splice(row, film, content, folder)


@each_change
def test_a_change_while_it_is_checked_is_found_out_before_anything_is_sent(
    dashboard: Dashboard, client: NativeClient, film: Path, folder: Path, change: Change
) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    # Of a size that is checked before it is sent.
    os.truncate(film, 3 * MIB)
    content = film.read_bytes()
    dashboard.page.route("**/hash-worker*.js", hold)
    dashboard.choose(film)
    item = dashboard.in_tray(film.name)
    item.expect_state("Checking")
    change(film)
    for route in held:
        route.continue_()
    dashboard.page.unroute("**/hash-worker*.js")
    expect_found_out(item)
    assert client.request("GET", "/api/v1/uploads").json()["results"] == []

    if not film.exists():
        film.write_bytes(content)
    item.resume_with(film, button="Try again")
    expect_whole(dashboard.row(film.name), film.read_bytes(), folder)


def test_a_change_in_the_middle_of_reading_is_found_out(
    dashboard: Dashboard, client: NativeClient, folder: Path
) -> None:
    film = folder / "film.bin"
    with film.open("wb") as file:
        file.truncate(1024 * MIB)
    dashboard.choose(film)
    row = dashboard.row(film.name)
    row.expect_state("Sending")
    with film.open("r+b") as file:
        file.write(b"other bytes, where it may have been read and sent already")
    expect_found_out(row)
    session = status(client, row.session_id)
    assert (session["state"], session["sha256"]) == ("active", None)


def test_a_change_that_leaves_no_trace_but_its_bytes_is_found_by_the_whole_hash(
    dashboard: Dashboard,
    client: NativeClient,
    proxy: Proxy,
    film: Path,
    folder: Path,
) -> None:
    proxy.hold_after(SMALL_MIDDLE)
    dashboard.choose(film)
    row = dashboard.row(film.name)
    interrupted(client, proxy, row)
    row.button("Pause").click()
    row.expect_state("Paused")
    proxy.drop()
    before = film.stat()
    # Of what was hashed, but not sent yet.
    film.write_bytes(with_other_chunk(film.read_bytes(), 7))
    os.utime(film, ns=(before.st_atime_ns, before.st_mtime_ns))
    row.button("Resume").click()
    row.expect_state("Failed")
    expect(row.place.locator(".reason")).to_contain_text("changed")
    item = dashboard.in_tray(film.name)
    item.expect_state("Stopped")
    expect(item.line).to_contain_text("changed")
    assert client.content(row.session_id).status_code == 409

    item.button("Try again").click()
    expect_whole(dashboard.file(film.name), film.read_bytes(), folder)


# ----------------------------------------------------------------------- on another day


def test_a_file_that_was_only_copied_meanwhile_goes_on(
    context: BrowserContext,
    dashboard: Dashboard,
    client: NativeClient,
    proxy: Proxy,
    film: Path,
    content: bytes,
    folder: Path,
) -> None:
    proxy.hold_after(SMALL_MIDDLE)
    dashboard.choose(film)
    interrupted(client, proxy, dashboard.row(film.name))
    dashboard.page.close()
    proxy.drop()
    film.unlink()
    film.write_bytes(content)
    touched(film)

    row = Dashboard(context.new_page()).open().row(film.name)
    row.resume_with(film)
    expect_whole(row, content, folder)


@pytest.mark.parametrize("change", [other_bytes, longer, shorter, replaced])
def test_a_file_that_changed_after_the_tab_was_closed_is_refused(
    context: BrowserContext,
    dashboard: Dashboard,
    client: NativeClient,
    proxy: Proxy,
    film: Path,
    content: bytes,
    folder: Path,
    change: Change,
) -> None:
    proxy.hold_after(SMALL_MIDDLE)
    dashboard.choose(film)
    interrupted(client, proxy, dashboard.row(film.name))
    dashboard.page.close()
    proxy.drop()
    change(film)

    row = Dashboard(context.new_page()).open().row(film.name)
    expect_no_splice(row, film, content, folder)


# ----------------------------------------------------------- begun without a declared hash


def begun_without_hash(client: NativeClient, content: bytes, chunks: list[int]) -> dict[str, Any]:
    """The session of a script that knows its file by a key, stopped when `chunks` were in."""
    answer = client.handshake("film.mkv", len(content), resume_key="the film")
    answer.raise_for_status()
    session: dict[str, Any] = answer.json()
    client.send_missing(content, {**session, "missing": chunks})
    return status(client, session["id"])


def with_other_chunk(content: bytes, index: int) -> bytes:
    start = index * MIB
    return content[:start] + b"changed!" + content[start + len(b"changed!") :]


@pytest.mark.parametrize("index", [0, 1, 3], ids=["the first", "one between", "the last"])
def test_a_file_that_differs_from_what_is_in_is_refused_before_anything_new_is_sent(
    dashboard: Dashboard,
    client: NativeClient,
    film: Path,
    content: bytes,
    folder: Path,
    index: int,
) -> None:
    session = begun_without_hash(client, content, [0, 1, 3])
    film.write_bytes(with_other_chunk(content, index))
    dashboard.open()
    row = dashboard.row(film.name)
    row.resume_with(film)
    expect(row.line).to_contain_text("has the same name but other content")
    expect(row.line).to_contain_text("What the server has is as it was")
    now = status(client, session["id"])
    assert (now["missing"], now["sha256"]) == ([2, 4, 5, 6, 7], None)
    expect_no_splice(row, film, content, folder)


def test_the_right_file_goes_on_where_the_script_stopped(
    dashboard: Dashboard, client: NativeClient, film: Path, content: bytes, folder: Path
) -> None:
    session = begun_without_hash(client, content, [0, 1, 3])
    dashboard.open()
    row = dashboard.row(film.name)
    row.resume_with(film)
    expect_whole(row, content, folder)
    assert status(client, session["id"])["sha256"] == sha256(content)
