"""`kill -9` of the server in the middle, then the same data on the same port again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext

from tests.support.client import NativeClient
from tests.support.proxy import Proxy
from tests.support.server import PASSWORD, USER, Server

from .conftest import MakeFile
from .support import (
    MIDDLE,
    NETWORK_ERRORS,
    SIZE,
    SMALL_TALK,
    Complaints,
    Dashboard,
    Person,
    bytes_missing,
    expect_map_is_true,
    interrupted,
    status,
)

pytestmark = pytest.mark.browser


@pytest.fixture
def server() -> Iterator[Server]:
    """One of this test's own, since others would miss it."""
    with Server() as server:
        yield server


@pytest.fixture
def person(server: Server) -> Person:
    return Person(USER, PASSWORD, server.issue_token())


def killed_in_the_middle(
    dashboard: Dashboard, client: NativeClient, proxy: Proxy, server: Server, film: Path
) -> dict[str, Any]:
    """The session as the last answer before the kill had it: some in, some in mid-air."""
    proxy.hold_after(MIDDLE)
    dashboard.choose(film)
    session = interrupted(client, proxy, dashboard.row(film.name))
    server.kill9()
    proxy.drop()
    return session


def test_a_page_left_open_goes_on_by_itself(
    dashboard: Dashboard,
    client: NativeClient,
    proxy: Proxy,
    server: Server,
    complaints: Complaints,
    make_file: MakeFile,
    folder: Path,
) -> None:
    complaints.allow(NETWORK_ERRORS)
    film = make_file("film.mkv", SIZE)
    before = killed_in_the_middle(dashboard, client, proxy, server, film)
    row = dashboard.row(film.name)
    row.expect_state("Retrying")
    sent = proxy.bytes_upstream

    server.start()
    row.expect_state("Completed")
    assert proxy.bytes_upstream - sent < bytes_missing(before) + SMALL_TALK
    assert row.download(folder).read_bytes() == film.read_bytes()


def test_with_the_page_gone_too_it_is_resumed_from_the_list(
    context: BrowserContext,
    dashboard: Dashboard,
    client: NativeClient,
    proxy: Proxy,
    server: Server,
    complaints: Complaints,
    make_file: MakeFile,
    folder: Path,
) -> None:
    complaints.allow(NETWORK_ERRORS)
    film = make_file("film.mkv", SIZE)
    before = killed_in_the_middle(dashboard, client, proxy, server, film)
    dashboard.page.close()

    server.start()
    after = status(client, before["id"])
    assert set(after["missing"]) <= set(before["missing"])
    dashboard = Dashboard(context.new_page()).open()
    row = dashboard.row(film.name)
    expect_map_is_true(client, row)
    sent = proxy.bytes_upstream
    row.resume_with(film)
    row.expect_state("Completed")
    assert proxy.bytes_upstream - sent < bytes_missing(after) + SMALL_TALK
    assert row.download(folder).read_bytes() == film.read_bytes()
