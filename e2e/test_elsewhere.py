"""What happens elsewhere shows here by itself; and who only looks costs next to nothing."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect

from tests.support.bodies import WAIT_SECONDS, payload
from tests.support.client import NativeClient
from tests.support.proxy import Proxy
from tests.support.server import Server
from uploads.core.plan import MIB

from .conftest import MakeFile
from .support import CHUNK, Complaints, Dashboard, Person, age, begin, in_django, status

pytestmark = pytest.mark.browser

ACTIVE = 100
REFRESH = "**/api/v1/uploads/handshake?*"
#: Uploads that some other computer is at, this very moment.
ROWS = """
from django.contrib.auth.models import User
from django.utils import timezone
from datetime import timedelta
from uploads.models import FileSession
user, now = User.objects.get(username={name!r}), timezone.now() + timedelta(minutes=5)
sessions = []
for number in range({count}):
    session = FileSession(
        owner=user, size=20 * 5242880, chunk_size=5242880, sha256=f"{{number:064x}}",
        received=b"\\x01", received_count=1, created_at=now, updated_at=now,
        expires_at=now + timedelta(hours=48),
    )
    session.set_name(f"IMG {{number:03}}.jpg", "Photos")
    sessions.append(session)
FileSession.objects.bulk_create(sessions)
"""
#: The same, half an hour later.
QUIET = """
from datetime import timedelta
from django.db.models import F
from uploads.models import FileSession
FileSession.objects.filter(owner__username={name!r}).update(
    updated_at=F("updated_at") - timedelta(minutes=30)
)
"""


def requests_of(page: Page) -> list[Request]:
    """All that the page asks for from now on."""
    heard: list[Request] = []
    page.on("request", lambda request: heard.append(request))  # noqa: PLW0108 (it is given attributes)
    return heard


def set_visible(page: Page, *, visible: bool) -> None:
    """As the browser would say it; one without windows never hides a tab."""
    page.evaluate(
        """hidden => {
            Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        not visible,
    )


def expect_settled(dashboard: Dashboard) -> None:
    """No request is under way that would be given up when the clock is put forward."""
    expect(dashboard.list).not_to_contain_class("htmx-request")


def test_another_tab_shows_an_upload_move_without_being_touched(
    context: BrowserContext, dashboard: Dashboard, proxy: Proxy, make_file: MakeFile
) -> None:
    other = Dashboard(context.new_page()).open()
    expect(other.page.get_by_text("Nothing here yet")).to_be_visible()
    film = make_file("film.mkv", 4 * CHUNK)
    # Three chunks at a time: by then one is in, and one is not.
    proxy.hold_after(16 * MIB)
    dashboard.choose(film)
    row = other.row(film.name)
    row.expect_state("Active just now")
    expect(row.button("Cancel")).to_be_visible()
    assert proxy.was_held.wait(WAIT_SECONDS)
    expect(row.map).not_to_have_attribute("data-chunks", "0/4")
    proxy.release()
    row.expect_state("Completed")
    dashboard.row(film.name).expect_state("Completed")
    dashboard.row(film.name).delete()
    expect(other.undo_notice).to_be_visible()
    expect(row.place).to_have_count(0)


def test_another_computer_is_up_to_date_when_one_looks_at_it_again(
    browser: Browser,
    proxy: Proxy,
    complaints: Complaints,
    client: NativeClient,
    person: Person,
    people: Iterator[Person],
) -> None:
    elsewhere = browser.new_context(base_url=proxy.url)
    complaints.watch(elsewhere)
    page = elsewhere.new_page()
    page.clock.install()
    dashboard = Dashboard(page).sign_in(person)
    heard = requests_of(page)
    content = payload(2 * CHUNK, seed=3)
    session = begin(client, "from a script.bin", content, [0])
    page.clock.fast_forward("00:20")
    assert heard == []

    page.evaluate("window.dispatchEvent(new Event('focus'))")
    row = dashboard.row("from a script.bin")
    expect(row.map).to_have_attribute("data-chunks", "1/2")
    client.send_missing(content, {**session, "missing": [1]})
    page.clock.fast_forward("00:03")
    row.expect_state("Completed")

    # And nobody else learns that there is such a file.
    stranger = browser.new_context(base_url=proxy.url)
    other = Dashboard(stranger.new_page()).sign_in(next(people))
    expect(other.page.get_by_text("Nothing here yet")).to_be_visible()
    answer = other.page.goto(f"/uploads/{session['id']}/")
    assert answer
    assert answer.status == 404
    expect(other.page.get_by_role("heading", name="There is nothing here")).to_be_visible()
    for opened in (elsewhere, stranger):
        opened.close()


def test_a_hundred_uploads_cost_one_request_and_a_hidden_tab_none(
    context: BrowserContext, server: Server, person: Person
) -> None:
    in_django(server, ROWS.format(name=person.name, count=ACTIVE))
    page = context.new_page()
    page.clock.install()
    dashboard = Dashboard(page).sign_in(person)
    expect(dashboard.under_way).to_have_count(ACTIVE)
    heard, begun = requests_of(page), page.evaluate("Date.now()")
    answers = set()
    for _ in range(3):
        with page.expect_response(REFRESH) as answer:
            page.clock.run_for(2_000)
        answers.add(answer.value.status)
    # The list also says how much room is left, which others may just have changed.
    assert 204 in answers
    seconds = (page.evaluate("Date.now()") - begun) / 1000
    assert len(heard) <= seconds / 2 + 1
    assert {urlsplit(request.url).path for request in heard} == {"/api/v1/uploads/handshake"}

    set_visible(page, visible=False)
    expect_settled(dashboard)
    asked = len(heard)
    page.clock.run_for(60_000)
    assert len(heard) == asked
    in_django(server, QUIET.format(name=person.name))
    with page.expect_response(REFRESH) as answer:
        set_visible(page, visible=True)
        page.clock.run_for(1_000)
    assert answer.value.status == 200
    expect(dashboard.banner).to_contain_text(f"{ACTIVE} uploads were interrupted.")

    # Nothing moves any more, so nothing is asked.
    expect_settled(dashboard)
    asked = len(heard)
    page.clock.run_for(60_000)
    assert len(heard) == asked


def test_what_a_script_streamed_without_a_size_is_completed_here_and_by_no_other_file(
    server: Server,
    client: NativeClient,
    dashboard: Dashboard,
    complaints: Complaints,
    make_file: MakeFile,
    folder: Path,
) -> None:
    name, size, came = "film.mkv", 4 * CHUNK - 12_345, 2 * CHUNK + MIB
    content = make_file(name, size).read_bytes()
    answer = client.request(
        "POST", "/api/chunked-upload/", files={"file": (name, content[:came])}, data={"offset": 0}
    )
    answer.raise_for_status()
    session_id = str(UUID(answer.json()["upload_id"]))
    age(server, session_id)
    before = status(client, session_id)
    assert (before["size"], before["offset"]) == (None, came)

    row = dashboard.open().row(name)
    row.expect_state("Interrupted")
    expect(row.place).to_contain_text("11.0 MB so far, size not known yet")
    expect(row.place.get_by_role("progressbar")).not_to_have_attribute("value", re.compile(""))
    expect(row.map).to_have_count(0)

    complaints.allow(rf"409 \(Conflict\) .*{session_id}/chunks/0")
    row.resume_with(make_file(name, size, seed=2))
    expect(row.line).to_contain_text("same name but other content")
    row.resume_with(make_file(name, MIB, seed=2))
    expect(row.line).to_contain_text("11,534,336 bytes of “film.mkv” are here already")
    # Somebody was at it, so it is kept longer. Nothing else has changed.
    now = status(client, session_id)
    assert now == {**before, "expires_at": now["expires_at"]}

    row.resume_with(make_file(name, size))
    row.expect_state("Completed")
    assert row.session_id == session_id
    assert row.download(folder).read_bytes() == content
