"""Every page and state to axe-core's eyes; and zoom, spaced text, targets, motion, colours."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, FilePayload, Page, Route, ViewportSize, expect

from tests.support.bodies import payload
from tests.support.proxy import Proxy
from tests.support.server import Server
from uploads.core.plan import KIB

from .axe import expect_accessible
from .conftest import MakeFile
from .layout import cut_off, space_text_out, too_small, too_wide
from .listening import heard, listen
from .states import Furnished, furnish_every_state
from .support import (
    CHUNK,
    NETWORK_ERRORS,
    Complaints,
    Dashboard,
    Item,
    Person,
    give_address,
    in_django,
    link_mailed_to,
)

pytestmark = pytest.mark.browser

#: WCAG 2.5.8; and what a thumb wants of a button.
SMALLEST_TARGET = 24
SMALLEST_BUTTON = 40
#: 1.4.10 asks for 320; the others are a phone, 200 % zoom of a common screen, and that screen.
WIDTHS = (320, 390, 640, 1280)
HEIGHT = 800
PHONE = ViewportSize(width=390, height=HEIGHT)
#: Those that only a broken server shows, as it would make them.
UNHAPPY_PAGES = """
import json
from django.template.loader import render_to_string
names = ("400.html", "403.html", "500.html", "503.html")
print(json.dumps({name: render_to_string(name) for name in names}))
"""

NEW_PASSWORD = "a long way to the tide pools"
#: All but the last that are borne with.
MANY_FAILURES = """
from axes.models import AccessAttempt
from django.conf import settings
AccessAttempt.objects.create(
    username={name!r}, ip_address="127.0.0.1", failures_since_start=settings.AXES_FAILURE_LIMIT - 1)
"""

FILL = "(element) => getComputedStyle(element).fill"
#: Elements that a change of style would move, or that move already.
MOVING = """() => [...document.querySelectorAll("*")].filter((element) =>
  ["", "::before", "::after"].some((part) => {
    const { transitionDuration, animationName } = getComputedStyle(element, part || null);
    return animationName !== "none" || transitionDuration.split(", ").some((time) => time !== "0s");
  })).map((element) => element.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="module")
def furnished(shared_server: Server) -> Furnished:
    return furnish_every_state(shared_server, "every-state")


@pytest.fixture
def page(context: BrowserContext, furnished: Furnished) -> Page:
    """Of somebody who has everything."""
    furnished.sign_in(context)
    return context.new_page()


@pytest.fixture
def german_page(context: BrowserContext, furnished: Furnished, page: Page) -> Page:
    """In the longer language."""
    page.set_extra_http_headers({"Accept-Language": "de"})
    return page


def pages_of(furnished: Furnished) -> Iterator[tuple[str, str]]:
    """What each shows, and its address."""
    yield "every state in the list", "/"
    yield "a search that finds nothing", "/?q=nothing-is-called-so"
    yield "all that is under way", "/?show=unfinished"
    for state in ("under way", "interrupted", "verifying", "completed", "damaged", "failed"):
        yield f"a page about a file: {state}", f"/uploads/{furnished.ids[state]}/"
    yield "the tokens", "/tokens/"
    yield "the API", "/api/"


def test_axe_finds_nothing_where_nobody_is_signed_in_and_where_things_went_wrong(
    context: BrowserContext, server: Server, complaints: Complaints
) -> None:
    complaints.allow("status of (403|404)")
    page = context.new_page()
    page.goto("/sign-in/")
    expect_accessible(page, "sign-in")
    page.get_by_label("User name").fill("nobody")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect_accessible(page, "sign-in refused")
    expect_fits(page, "sign-in refused")
    page.goto("/nowhere/")
    expect_accessible(page, "404")
    page.goto("/api/")
    for answers in page.locator("details").all()[:2]:
        answers.locator("summary").click()
    expect_accessible(page, "the API, two answers open")
    expect_fits(page, "the API, two answers open")
    page.goto("/sign-in/")
    context.clear_cookies()
    page.get_by_label("User name").fill("nobody")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="The form was too old")).to_be_visible()
    expect_accessible(page, "403 of a form")
    for name, html in json.loads(in_django(server, UNHAPPY_PAGES)).items():
        page.route(f"**/{name}", partial(answer, html))
        page.goto(f"/{name}")
        expect_accessible(page, name)
        expect_fits(page, name)


def test_axe_finds_nothing_on_the_pages_of_somebody_who_has_nothing_yet(
    dashboard: Dashboard, complaints: Complaints
) -> None:
    complaints.allow("status of 422")
    page = dashboard.page
    expect_accessible(page, "nothing here yet")
    expect_fits(page, "nothing here yet")
    page.goto("/tokens/")
    page.get_by_label("What it is for").fill(" ")
    page.get_by_role("button", name="Make the token").click()
    expect(page.get_by_label("What it is for")).to_have_attribute("aria-invalid", "true")
    expect_accessible(page, "a token refused")
    expect_fits(page, "a token refused")
    page.get_by_label("What it is for").fill("Nightly backup")
    page.get_by_role("button", name="Make the token").click()
    expect(page.locator("#token-value")).to_be_visible()
    expect_accessible(page, "a token just made")
    expect_fits(page, "a token just made")


def test_axe_finds_nothing_on_the_pages_of_passwords(
    dashboard: Dashboard, person: Person, server: Server, mails: Path, complaints: Complaints
) -> None:
    """All of them, on the way that somebody takes who forgets a password just changed."""
    complaints.allow("status of (422|429)")
    page = dashboard.page
    address = give_address(server, person)
    page.get_by_role("link", name="(change the password)").click()
    change = page.get_by_role("button", name="Change the password")
    expect_accessible_and_fitting(page, "change the password")
    fill(page, {"Present password": "wrong", "New password": "1", "New password, once more": "1"})
    change.click()
    expect(page.get_by_role("alert")).to_contain_text("The password was not changed")
    expect(page.get_by_label("Present password")).to_have_attribute("aria-invalid", "true")
    expect_accessible_and_fitting(page, "change refused")
    fill(page, {"Present password": person.password, "New password": NEW_PASSWORD})
    fill(page, {"New password, once more": NEW_PASSWORD})
    change.click()
    expect(page.get_by_role("heading", name="The password is changed")).to_be_visible()
    expect_accessible_and_fitting(page, "password changed")

    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("link", name="Forgotten your password?").click()
    expect_accessible_and_fitting(page, "forgotten")
    page.get_by_label("E-mail address").fill("someone@nowhere")
    page.get_by_role("button", name="Send the link").click()
    expect(page.get_by_label("E-mail address")).to_have_attribute("aria-invalid", "true")
    expect_accessible_and_fitting(page, "an address refused")
    page.get_by_label("E-mail address").fill(address)
    page.get_by_role("button", name="Send the link").click()
    expect(page.get_by_role("heading", name="Look into your mail")).to_be_visible()
    expect_accessible_and_fitting(page, "a link sent")

    link = urlsplit(link_mailed_to(address, mails)).path
    page.goto(link)
    expect_accessible_and_fitting(page, "set a new password")
    fill(page, {"New password": "password", "New password, once more": "other"})
    page.get_by_role("button", name="Set the password").click()
    expect(page.get_by_role("alert")).to_contain_text("The password was not set")
    expect_accessible_and_fitting(page, "a new password refused")
    fill(page, {"New password": person.password, "New password, once more": person.password})
    page.get_by_role("button", name="Set the password").click()
    expect(page.get_by_role("heading", name="The new password is set")).to_be_visible()
    expect_accessible_and_fitting(page, "a new password set")
    page.goto(link)
    expect_accessible_and_fitting(page, "a link that no longer works")

    in_django(server, MANY_FAILURES.format(name=person.name))
    page.goto("/sign-in/")
    fill(page, {"User name": person.name, "Password": "wrong"})
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Too many attempts")).to_be_visible()
    expect_accessible_and_fitting(page, "too many attempts")


def fill(page: Page, fields: dict[str, str]) -> None:
    for label, text in fields.items():
        page.get_by_label(label, exact=True).fill(text)


def expect_accessible_and_fitting(page: Page, state: str) -> None:
    expect_accessible(page, state)
    expect_fits(page, state)


def test_axe_finds_nothing_on_any_page_of_somebody_who_has_everything(
    page: Page, furnished: Furnished, complaints: Complaints
) -> None:
    complaints.allow("status of (404|422)")
    for state, address in pages_of(furnished):
        page.goto(address)
        expect_accessible(page, state)
    page.goto("/nowhere/")
    expect_accessible(page, "404, signed in")
    page.goto(f"/uploads/{furnished.ids['completed']}/")
    page.get_by_label("File name").fill("no/path")
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_role("alert")).to_contain_text("It keeps its name")
    expect_accessible(page, "a new name refused")
    page.set_viewport_size(PHONE)
    expect_accessible(page, "a new name refused, on a phone")
    page.goto("/")
    expect_accessible(page, "every state in the list, on a phone")


def test_axe_finds_nothing_while_files_are_sent_and_fail(
    page: Page, furnished: Furnished, proxy: Proxy, complaints: Complaints, make_file: MakeFile
) -> None:
    complaints.allow(f"status of 400|{NETWORK_ERRORS}")
    page.goto("/")
    dashboard = Dashboard(page).expect_open()
    proxy.hold_after(0)
    unnameable = FilePayload(name="exe\u202etxt.bin", mimeType="", buffer=payload(KIB, 99))
    page.get_by_label("Choose files").set_input_files(unnameable)
    expect(page.locator("#tray .live")).to_contain_text("cannot take a file of this name")
    names = [f"{number}-of-six.bin" for number in range(6)]
    dashboard.choose(*(make_file(name, 300 * KIB, seed) for seed, name in enumerate(names)))
    sending, paused = place(page, names[0]), place(page, names[1])
    sending.expect_state("Sending")
    paused.button("Pause").click()
    paused.expect_state("Paused")
    place(page, names[5]).expect_state("Waiting")
    for box in page.locator("#upload-list .choose").all()[:2]:
        box.check()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose the files").click()
    chooser.value.set_files(make_file("interrupted.csv", KIB))
    expect(page.get_by_text("same name, other size")).to_be_visible()
    expect(page.locator("#dock")).to_be_visible()
    expect_accessible(page, "sending, paused, waiting, stopped, several chosen, a remark")
    expect_fits(page, "while files are sent")

    sending.button("Cancel").click()
    expect(dashboard.dialog).to_be_visible()
    expect_accessible(page, "the dialog")
    expect_fits(page, "with the dialog")
    page.keyboard.press("Escape")

    proxy.go_down()
    sending.expect_state("Retrying")
    page.evaluate("document.getElementById('signed-out').hidden = false")
    expect_accessible(page, "retrying, signed out")
    page.evaluate("document.documentElement.dataset.dragging = ''")
    expect_accessible(page, "files held over the page")


def test_no_page_scrolls_sideways_or_cuts_its_text_however_it_is_read(
    german_page: Page, furnished: Furnished
) -> None:
    for state, address in pages_of(furnished):
        german_page.goto(address)
        expect_fits(german_page, state)
        space_text_out(german_page)
        expect_fits(german_page, f"{state}, text spaced out")


def answer(html: str, route: Route) -> None:
    route.fulfill(body=html, content_type="text/html")


def expect_fits(page: Page, state: str) -> None:
    found = []
    for width in WIDTHS:
        page.set_viewport_size(ViewportSize(width=width, height=HEIGHT))
        found += [f"{state}, {width}: too wide: {line}" for line in too_wide(page)]
        found += [f"{state}, {width}: cut off: {line}" for line in cut_off(page)]
        if width < WIDTHS[-1]:
            small = too_small(page, "a, input, select", SMALLEST_TARGET)
            small += too_small(page, ".button:not(.button-small)", SMALLEST_BUTTON)
            small += too_small(page, ".button-small", SMALLEST_TARGET)
            found += [f"{state}, {width}: too small: {line}" for line in small]
    assert not found, "\n".join(found)


def test_nothing_moves_for_those_who_asked_for_stillness(page: Page) -> None:
    page.goto("/")
    # Without it, something does: else this would prove nothing.
    assert page.evaluate(MOVING)
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(MOVING) == []


def test_forced_colours_leave_states_progress_and_focus_to_be_told_apart(page: Page) -> None:
    page.emulate_media(forced_colors="active")
    page.goto("/")
    rows = page.locator(".upload")
    states = {row.locator(".state").inner_text() for row in rows.all()}
    told = {"Active just now", "Verifying", "Completed", "Interrupted", "Damaged", "Failed"}
    assert states == {*told, "Expired", "Being joined", "Waiting to be joined"}
    fills = {page.locator(f".map .{name}").first.evaluate(FILL) for name in ("in", "out")}
    assert len(fills) == 2
    borders = page.locator(".sections a").evaluate_all(
        "(links) => links.map((link) => getComputedStyle(link).borderBottomColor)"
    )
    assert len(set(borders)) == 2
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to content")
    assert skip.evaluate("(link) => getComputedStyle(link).outlineStyle") == "solid"


def place(page: Page, filename: str) -> Item:
    """The row of a file, or its item in the tray."""
    heading = page.get_by_role("heading", name=filename, exact=True)
    return Item(page, page.locator(".upload").filter(has=heading))


def test_one_file_is_spoken_of_when_it_turns_and_many_only_when_all_have_ended(
    dashboard: Dashboard, proxy: Proxy, make_file: MakeFile
) -> None:
    page = dashboard.page
    listen(page)
    dashboard.upload(make_file("film.mkv", 2 * CHUNK))
    expect(page.locator("#announcer")).to_have_text("film.mkv: complete and verified")
    assert heard(page) == ["film.mkv: complete and verified"]
    dashboard.choose(*(make_file(f"{number}.bin", KIB, number + 1) for number in range(20)))
    expect(page.locator("#announcer")).to_have_text("20 files are complete and verified.")
    expect(dashboard.dock).to_be_hidden()
    assert len(heard(page)) == 2

    proxy.hold_after(0)
    held = [make_file(f"held-{number}.bin", 300 * KIB, number + 30) for number in range(2)]
    dashboard.choose(*held)
    for path in held:
        dashboard.row(path.name).expect_state("Sending")
    dashboard.dock.get_by_role("button", name="Pause all").click()
    expect(page.locator("#announcer")).to_have_text("held-0.bin: paused; held-1.bin: paused")
    assert len(heard(page)) == 3
