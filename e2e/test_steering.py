"""Pause, resume, cancel, delete, and the file that is not the right one."""

from pathlib import Path

import pytest
from playwright.sync_api import FileChooser, expect

from tests.support.client import NativeClient
from tests.support.proxy import Proxy
from tests.support.signatures import content_for
from uploads.core.plan import MIB

from .conftest import MakeFile
from .support import (
    CHUNK,
    MIDDLE,
    SIZE,
    SMALL_TALK,
    Complaints,
    Dashboard,
    assert_only_missing,
    begin,
    interrupted,
    status,
)

pytestmark = pytest.mark.browser

#: For sessions that a script began.
THREE_CHUNKS = 3 * CHUNK


def test_pause_keeps_what_is_in_and_resume_needs_no_file(
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
    interrupted(client, proxy, row)
    row.button("Pause").click()
    row.expect_state("Paused")
    expect(row.button("Resume")).to_be_focused()
    expect(row.button("Pause")).to_be_hidden()
    proxy.drop()
    paused = status(client, row.session_id)

    sent = dashboard.chunks_sent()
    choosers: list[FileChooser] = []

    def asked(chooser: FileChooser) -> None:
        choosers.append(chooser)

    dashboard.page.on("filechooser", asked)
    row.button("Resume").click()
    row.expect_state("Completed")
    assert choosers == []
    assert_only_missing(sent, paused)
    assert row.download(folder).read_bytes() == film.read_bytes()


def test_cancel_ends_it_at_the_server_too(
    dashboard: Dashboard, client: NativeClient, proxy: Proxy, make_file: MakeFile
) -> None:
    film = make_file("film.mkv", THREE_CHUNKS)
    proxy.hold_after(MIB)
    dashboard.choose(film)
    row = dashboard.row(film.name)
    row.expect_state("Sending")
    session_id = row.session_id

    row.button("Cancel").click()
    expect(dashboard.dialog).to_contain_text(film.name)
    dashboard.answer("Keep it")
    row.expect_state("Sending")

    row.button("Cancel").click()
    dashboard.answer("Cancel upload")
    expect(row.place).to_have_count(0)
    expect(dashboard.tray_items).to_have_count(0)
    assert client.request("GET", f"/api/v1/uploads/{session_id}").status_code == 410


def test_an_interrupted_one_is_cancelled_without_its_file(
    dashboard: Dashboard, client: NativeClient
) -> None:
    session = begin(client, "film.mkv", content_for("film.mkv", THREE_CHUNKS), [0])
    dashboard.open()
    row = dashboard.row("film.mkv")
    row.button("Cancel").click()
    dashboard.answer("Cancel upload")
    expect(row.place).to_have_count(0)
    assert client.request("GET", f"/api/v1/uploads/{session['id']}").status_code == 410


def test_cancel_pressed_again_the_moment_the_question_was_put_away_asks_once_more(
    dashboard: Dashboard, client: NativeClient
) -> None:
    session = begin(client, "film.mkv", content_for("film.mkv", THREE_CHUNKS), [0])
    dashboard.open()
    row = dashboard.row("film.mkv")
    row.button("Cancel").click()
    expect(dashboard.dialog).to_be_visible()
    # In one go: that a dialog has closed is told after whatever comes next.
    row.button("Cancel").evaluate("""(button) => {
        document.getElementById("confirm").close();
        button.click();
    }""")
    dashboard.answer("Cancel upload")
    expect(row.place).to_have_count(0)
    assert client.request("GET", f"/api/v1/uploads/{session['id']}").status_code == 410


def test_what_is_deleted_is_gone_at_once_and_comes_back_by_undo(
    dashboard: Dashboard, client: NativeClient, make_file: MakeFile, folder: Path
) -> None:
    film = make_file("film.mkv", MIB)
    row = dashboard.upload(film)
    session_id = row.session_id

    row.delete()
    expect(dashboard.dialog).to_be_hidden()
    expect(dashboard.undo_notice).to_contain_text("“film.mkv” was deleted.")
    assert client.request("GET", f"/api/v1/uploads/{session_id}").status_code == 404

    dashboard.undo()
    row.expect_state("Completed")
    assert row.session_id == session_id
    assert row.download(folder).read_bytes() == film.read_bytes()

    row.delete()
    # A page that knows nothing of what was before shows no more than the offer.
    dashboard.open()
    expect(dashboard.undo_notice).to_be_visible()
    expect(row.place).to_have_count(0)
    assert client.content(session_id).status_code == 404


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        pytest.param(THREE_CHUNKS, "has the same name but other content", id="same size"),
        pytest.param(THREE_CHUNKS - 1, "expects 15,728,640 bytes", id="other size"),
    ],
)
def test_a_wrong_file_is_refused_and_nothing_is_touched(
    dashboard: Dashboard,
    client: NativeClient,
    proxy: Proxy,
    make_file: MakeFile,
    size: int,
    reason: str,
) -> None:
    content = content_for("film.mkv", THREE_CHUNKS, seed=1)
    session = begin(client, "film.mkv", content, [1])
    dashboard.open()
    row = dashboard.row("film.mkv")
    sent = proxy.bytes_upstream
    row.resume_with(make_file("film.mkv", size, seed=2))
    expect(row.line).to_contain_text(reason)
    expect(row.line).to_contain_text("Choose the file that the upload was begun with")
    expect(row.button("Resume")).to_be_visible()
    expect(dashboard.tray_items).to_have_count(0)
    assert status(client, session["id"]) == session
    assert proxy.bytes_upstream - sent < SMALL_TALK

    # The right one is still welcome, and clears the reproach.
    row.resume_with(make_file("film.mkv", THREE_CHUNKS, seed=1))
    row.expect_state("Completed")
    expect(row.line).to_be_hidden()
    assert client.content(session["id"]).content == content


def test_a_file_that_changes_while_it_is_sent_is_stopped(
    dashboard: Dashboard,
    client: NativeClient,
    proxy: Proxy,
    complaints: Complaints,
    make_file: MakeFile,
) -> None:
    # Bytes that no longer fit their digest are refused, or the browser itself stops reading.
    complaints.allow(r"net::ERR_|status of 422")
    film = make_file("film.mkv", SIZE, seed=1)
    proxy.hold_after(MIB)
    dashboard.choose(film)
    row = dashboard.row(film.name)
    row.expect_state("Sending")
    make_file("film.mkv", SIZE + 1, seed=2)
    proxy.release()
    row.expect_state("Stopped")
    expect(row.line).to_contain_text("The file was changed")
    assert status(client, row.session_id)["state"] == "active"
