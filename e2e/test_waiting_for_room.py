"""The server has no room, no storage or no database: said so, waited for, and nothing lost."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.support.client import NativeClient
from tests.support.faulty_site import FAULT
from tests.support.proxy import Proxy
from tests.support.server import Server
from tests.support.signatures import content_for
from tests.support.waiting import wait_until
from uploads.core.plan import MIB

from .conftest import MakeFile
from .support import (
    PATIENCE,
    SMALL_MIDDLE,
    SMALL_SIZE,
    SURELY_IN,
    Complaints,
    Dashboard,
    Item,
    Person,
    age,
    begin,
    interrupted,
    make_people,
    status,
)

pytestmark = pytest.mark.browser

#: What Chromium logs of the refusals that these tests bring about, and htmx of a request that
#: was under way when the clock was put forward.
REFUSALS = r"status of 50[37]|htmx:error: timeout"
#: Longer than the first waits after a refusal for want of room.
MINUTES = "05:00"


#: More than there are tests in this file.
PEOPLE = 20


@pytest.fixture(scope="module")
def faulty_server() -> Iterator[Server]:
    with Server(DJANGO_SETTINGS_MODULE="e2e.small_chunks_and_faults") as server:
        yield server


@pytest.fixture(scope="module")
def faulty_people(faulty_server: Server) -> Iterator[Person]:
    return iter(make_people(faulty_server, PEOPLE))


@pytest.fixture
def server(faulty_server: Server) -> Iterator[Server]:
    yield faulty_server
    (faulty_server.data / FAULT).unlink(missing_ok=True)


@pytest.fixture
def person(faulty_people: Iterator[Person]) -> Person:
    return next(faulty_people)


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """With a clock that the test may put forward."""
    page = context.new_page()
    page.clock.install()
    return page


@pytest.fixture
def dashboard(page: Page, person: Person, complaints: Complaints) -> Dashboard:
    complaints.allow(REFUSALS)
    return Dashboard(page).sign_in(person)


def writing_fails(server: Server, error: str) -> None:
    (server.data / FAULT).write_text(error)


def writing_works(server: Server) -> None:
    (server.data / FAULT).unlink()


@contextmanager
def database_locked(server: Server) -> Iterator[None]:
    """Another process is writing, and takes its time."""
    path = server.data / "holdfast.sqlite3"
    with closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def what_is_in(client: NativeClient, row: Item) -> dict[str, Any]:
    """All that an upload has at the server; the times of its life aside."""
    return {**status(client, row.session_id), "expires_at": None}


def interrupt(dashboard: Dashboard, client: NativeClient, proxy: Proxy, path: Path) -> Item:
    """An upload that is held in its middle."""
    proxy.hold_after(SMALL_MIDDLE)
    dashboard.choose(path)
    row = dashboard.row(path.name)
    interrupted(client, proxy, row)
    return row


def be_refused(row: Item) -> None:
    """Once more."""
    with row.page.expect_response(lambda answer: answer.status in {503, 507}) as answer:
        row.page.clock.fast_forward(MINUTES)
    answer.value.finished()
    expect_waiting(row)


def expect_waiting(row: Item) -> None:
    # Until it says so the next try is not planned, and the clock would be put forward in vain.
    wait_until(lambda: "Trying again in" in row.line.inner_text(), "the next try", PATIENCE / 1000)
    row.expect_state("Retrying")


def expect_bar(row: Item, progress: float) -> None:
    """It shows what is in, and no longer what was on its way."""

    def agrees() -> bool:
        shown: float = row.place.locator("progress").evaluate("bar => bar.value")
        return abs(shown - progress) < 1

    wait_until(agrees, "the bar to fall back", timeout=PATIENCE / 1000)


def expect_whole(row: Item, path: Path, folder: Path) -> None:
    row.expect_state("Completed")
    assert row.download(folder).read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        pytest.param("ENOSPC", "disk is full. Nothing was lost:", id="disk full"),
        pytest.param("EDQUOT", "disk is full. Nothing was lost:", id="quota"),
        pytest.param("EACCES", "The server is busy. Nothing was lost:", id="denied"),
        pytest.param("EIO", "The server is busy. Nothing was lost:", id="broken"),
    ],
)
def test_what_the_storage_refuses_is_waited_for_and_then_goes_on_by_itself(
    dashboard: Dashboard,
    server: Server,
    client: NativeClient,
    proxy: Proxy,
    make_file: MakeFile,
    folder: Path,
    error: str,
    words: str,
) -> None:
    film = make_file("film.mkv", SMALL_SIZE)
    row = interrupt(dashboard, client, proxy, film)
    writing_fails(server, error)
    proxy.release()
    expect_waiting(row)
    expect(row.line).to_contain_text(words)
    expect(row.button("Pause")).to_be_visible()
    expect(row.button("Cancel")).to_be_visible()
    before = what_is_in(client, row)
    assert before["state"] == "active"
    assert before["received_chunks"] >= SURELY_IN
    assert before["missing"]
    expect_bar(row, before["progress"])
    be_refused(row)
    assert what_is_in(client, row) == before

    writing_works(server)
    dashboard.page.clock.fast_forward(MINUTES)
    expect_whole(row, film, folder)


def test_a_disk_that_stays_full_for_long_is_not_given_up(
    dashboard: Dashboard,
    server: Server,
    client: NativeClient,
    proxy: Proxy,
    make_file: MakeFile,
    folder: Path,
) -> None:
    film = make_file("film.mkv", SMALL_SIZE)
    row = interrupt(dashboard, client, proxy, film)
    writing_fails(server, "ENOSPC")
    proxy.release()
    expect_waiting(row)
    # More often than is tried when nothing is heard at all.
    for _ in range(14):
        be_refused(row)
    writing_works(server)
    dashboard.page.clock.fast_forward(MINUTES)
    expect_whole(row, film, folder)


def test_nobody_has_to_wait_who_knows_that_there_is_room(
    dashboard: Dashboard,
    server: Server,
    client: NativeClient,
    proxy: Proxy,
    make_file: MakeFile,
    folder: Path,
) -> None:
    film = make_file("film.mkv", SMALL_SIZE)
    row = interrupt(dashboard, client, proxy, film)
    writing_fails(server, "ENOSPC")
    proxy.release()
    row.expect_state("Retrying")
    writing_works(server)
    row.button("Resume").click()
    expect_whole(row, film, folder)


def test_a_wait_for_room_can_be_paused_and_resumed(
    dashboard: Dashboard,
    server: Server,
    client: NativeClient,
    proxy: Proxy,
    make_file: MakeFile,
    folder: Path,
) -> None:
    film = make_file("film.mkv", SMALL_SIZE)
    row = interrupt(dashboard, client, proxy, film)
    writing_fails(server, "ENOSPC")
    proxy.release()
    row.expect_state("Retrying")
    row.button("Pause").click()
    row.expect_state("Paused")
    before = what_is_in(client, row)
    writing_works(server)
    dashboard.page.clock.fast_forward(MINUTES)
    row.expect_state("Paused")
    assert what_is_in(client, row) == before
    row.button("Resume").click()
    expect_whole(row, film, folder)


def test_a_wait_for_room_can_be_cancelled(
    dashboard: Dashboard,
    server: Server,
    client: NativeClient,
    proxy: Proxy,
    make_file: MakeFile,
) -> None:
    film = make_file("film.mkv", SMALL_SIZE)
    row = interrupt(dashboard, client, proxy, film)
    session_id = row.session_id
    writing_fails(server, "ENOSPC")
    proxy.release()
    row.expect_state("Retrying")
    row.button("Cancel").click()
    dashboard.answer("Cancel upload")
    expect(row.place).to_have_count(0)
    assert client.request("GET", f"/api/v1/uploads/{session_id}").status_code == 410


def test_a_locked_database_is_waited_for_and_then_it_goes_on_by_itself(
    dashboard: Dashboard,
    server: Server,
    client: NativeClient,
    proxy: Proxy,
    make_file: MakeFile,
    folder: Path,
) -> None:
    film = make_file("film.mkv", SMALL_SIZE)
    row = interrupt(dashboard, client, proxy, film)
    with database_locked(server):
        proxy.release()
        expect_waiting(row)
        expect(row.line).to_contain_text("The server is busy. Nothing was lost:")
        before = what_is_in(client, row)
        be_refused(row)
        assert what_is_in(client, row) == before
    dashboard.page.clock.fast_forward(MINUTES)
    expect_whole(row, film, folder)


def test_signing_in_to_a_busy_server_says_so_and_works_a_moment_later(
    page: Page, server: Server, person: Person, complaints: Complaints
) -> None:
    complaints.allow(REFUSALS)
    page.goto("/")
    page.get_by_label("User name").fill(person.name)
    page.get_by_label("Password").fill(person.password)
    with database_locked(server):
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="The server is busy")).to_be_visible()
        expect(page.locator("main")).to_contain_text("Nothing was lost")
    page.get_by_role("link", name="Try again").click()
    page.get_by_label("User name").fill(person.name)
    page.get_by_label("Password").fill(person.password)
    page.get_by_role("button", name="Sign in").click()
    Dashboard(page).expect_open()
    assert "Traceback" not in server.log


def test_a_list_that_a_busy_server_does_not_give_stays_and_is_fetched_later(
    dashboard: Dashboard, server: Server, client: NativeClient
) -> None:
    content = content_for("film.mkv", 2 * MIB)
    # So old that the list is not asked for every two seconds on its account.
    age(server, begin(client, "film.mkv", content, [0])["id"])
    dashboard.open()
    row = dashboard.row("film.mkv")
    expect(row.map).to_have_attribute("data-chunks", "1/2")

    # As the server answers a refresh while its database is away: reading goes on while it is only
    # locked.
    refused = {"status": 503, "headers": {"Retry-After": "2", "HX-Reswap": "none"}, "body": ""}
    handshake = "**/api/v1/uploads/handshake*"
    dashboard.page.route(handshake, lambda route: route.fulfill(**refused))
    with dashboard.page.expect_response(handshake) as answer:
        dashboard.page.evaluate("document.body.dispatchEvent(new CustomEvent('uploads:changed'))")
    assert answer.value.status == 503
    expect(row.map).to_have_attribute("data-chunks", "1/2")
    expect(row.button("Resume")).to_be_visible()

    client.send_missing(content, {**status(client, row.session_id), "missing": [1]})
    dashboard.page.unroute(handshake)
    dashboard.page.clock.fast_forward("00:03")
    row.expect_state("Completed")
