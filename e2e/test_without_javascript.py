"""A browser whose JavaScript is off: what there is works, and what cannot work is not shown."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FilePayload, Locator, Page, expect

from tests.support.bodies import payload
from tests.support.client import NativeClient
from tests.support.server import Server
from tests.support.signatures import content_for
from tests.support.waiting import wait_until
from uploads.core.plan import KIB, MIB

from .conftest import MakeFile
from .support import PATIENCE, Complaints, Dashboard, Person, age, begin, make_people

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def small_server() -> Iterator[Server]:
    """Takes files of at most 1 MiB, and shows three on a page."""
    with Server(DJANGO_SETTINGS_MODULE="tests.support.small_files_settings") as server:
        yield server


@pytest.fixture(scope="module")
def small_people(small_server: Server) -> Iterator[Person]:
    return iter(make_people(small_server, 4))


@pytest.fixture
def person(small_people: Iterator[Person]) -> Person:
    return next(small_people)


@pytest.fixture
def client(small_server: Server, person: Person) -> NativeClient:
    return NativeClient(small_server.url, person.token)


@pytest.fixture
def page(browser: Browser, small_server: Server, complaints: Complaints) -> Iterator[Page]:
    context = browser.new_context(base_url=small_server.url, java_script_enabled=False)
    context.set_default_timeout(PATIENCE)
    complaints.watch(context)
    yield context.new_page()
    context.close()


def test_files_are_sent_found_fetched_renamed_and_deleted(
    page: Page,
    person: Person,
    client: NativeClient,
    complaints: Complaints,
    make_file: MakeFile,
    folder: Path,
) -> None:
    complaints.allow("status of 422")
    dashboard = Dashboard(page).sign_in_by_form(person)
    expect_nothing_that_needs_a_script(page)
    names = ["tides.csv", "kelp.jpg", "sand.jpg", "rocks.jpg"]
    files = [make_file(name, (seed + 1) * 10 * KIB, seed) for seed, name in enumerate(names)]
    send(page, files[:1])
    expect(said(page)).to_have_text("“tides.csv” has arrived and is being verified.")
    send(page, files[1:3])
    expect(said(page)).to_have_count(2)
    send(page, files[3:])
    wait_until(lambda: nothing_is_being_verified(client), "all to be verified")

    page.goto("/")
    expect(dashboard.files).to_have_count(3)
    expect_nothing_that_needs_a_script(page)
    page.get_by_role("link", name="Next").click()
    expect(dashboard.files).to_have_count(1)
    page.get_by_role("link", name="Previous").click()
    page.get_by_label("Order").select_option("Largest first")
    page.get_by_label("Kind").select_option("Images")
    page.get_by_role("button", name="Show").click()
    expect(dashboard.files.get_by_role("heading")).to_have_text(
        ["rocks.jpg", "sand.jpg", "kelp.jpg"]
    )
    page.get_by_label("Search in names and folders").fill("sand")
    page.get_by_label("Search in names and folders").press("Enter")
    expect(dashboard.files).to_have_count(1)

    row = dashboard.row("sand.jpg")
    assert row.download(folder).read_bytes() == files[2].read_bytes()
    whole = row.open_details()
    expect_nothing_that_needs_a_script(page)
    page.get_by_label("File name").fill("no/path.jpg")
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_role("alert")).to_contain_text("It keeps its name: ")
    page.get_by_label("File name").fill("dunes.jpg")
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_role("heading", name="dunes.jpg")).to_be_visible()
    expect(whole.place).to_contain_text("Renamed; it was called sand.jpg")
    whole.button("Delete").click()
    expect(dashboard.heading).to_be_visible()
    expect(dashboard.files).to_have_count(3)
    dashboard.undo()
    expect(dashboard.row("dunes.jpg").place).to_be_visible()

    for name in ("dunes.jpg", "kelp.jpg"):
        page.get_by_role("checkbox", name=name).check()
    page.get_by_role("button", name="Delete chosen").click()
    expect(dashboard.undo_notice).to_contain_text("2 files were deleted.")
    expect(dashboard.files).to_have_count(2)


def test_what_is_refused_is_told_in_sentences(
    page: Page, person: Person, make_file: MakeFile
) -> None:
    Dashboard(page).sign_in_by_form(person)
    send(page, [make_file("large.bin", 2 * MIB)])
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("This is too large: a file")
    expect(alert).to_contain_text("1.0 MB. Nothing was lost")
    unnameable = FilePayload(name="exe\u202etxt.bin", mimeType="", buffer=payload(KIB))
    page.get_by_label("Files", exact=True).set_input_files(unnameable)
    page.get_by_role("button", name="Send", exact=True).click()
    expect(alert).to_contain_text("A file has a name that cannot be used")
    send(page, [make_file("small.bin", KIB)])
    expect(alert).to_have_count(0)
    expect(said(page)).to_contain_text("“small.bin” has arrived")


def test_an_interrupted_upload_is_cancelled_and_tokens_are_made_and_revoked(
    page: Page, small_server: Server, person: Person, client: NativeClient, complaints: Complaints
) -> None:
    complaints.allow("status of 422")
    session = begin(client, "film.mkv", content_for("film.mkv", MIB), [])
    age(small_server, session["id"])
    dashboard = Dashboard(page).sign_in_by_form(person)
    row = dashboard.row("film.mkv")
    row.expect_state("Interrupted")
    expect_nothing_that_needs_a_script(page)
    row.button("Cancel").click()
    expect(said(page)).to_contain_text("“film.mkv” was removed.")
    expect(row.place).to_have_count(0)
    assert client.status(session["id"]).status_code == 410

    page.get_by_role("link", name="Access tokens").click()
    page.get_by_label("What it is for").fill(" ")
    page.get_by_role("button", name="Make the token").click()
    expect(page.get_by_text("Give the token a name")).to_be_visible()
    page.get_by_label("What it is for").fill("Nightly backup")
    page.get_by_role("button", name="Make the token").click()
    expect_nothing_that_needs_a_script(page)
    script = NativeClient(small_server.url, page.locator("#token-value").inner_text())
    assert script.request("GET", "/api/v1/uploads").status_code == 200
    page.get_by_role("link", name="I have copied it").click()
    page.get_by_role("button", name="Revoke Nightly backup").click()
    expect(said(page)).to_contain_text("“Nightly backup” is revoked")
    assert script.request("GET", "/api/v1/uploads").status_code == 401
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def send(page: Page, files: list[Path]) -> None:
    """By the plain form."""
    page.get_by_label("Files", exact=True).set_input_files(files)
    page.get_by_role("button", name="Send", exact=True).click()


def said(page: Page) -> Locator:
    """What the page says of what has just been done."""
    return page.locator("main > .notice[role=status]")


def nothing_is_being_verified(client: NativeClient) -> bool:
    answer = client.request("GET", "/api/v1/uploads?state=assembling")
    return not answer.json()["results"]


def expect_nothing_that_needs_a_script(page: Page) -> None:
    """Every control that can be seen is a link, or belongs to a form that it can send."""
    seen = page.locator("button:visible, input:visible, select:visible, label.button:visible")
    for control in seen.all():
        form = control.get_attribute("form")
        inside = control.locator("xpath=ancestor::form").count()
        assert form or inside, control.evaluate("(element) => element.outerHTML")
        assert control.get_attribute("type") != "button"
    for place in ("#dock", "#interrupted", ".chooser", ".tray", "#confirm", ".veil"):
        expect(page.locator(place).first).to_be_hidden()


def test_a_password_is_changed(page: Page, person: Person, complaints: Complaints) -> None:
    complaints.allow("status of 422")
    new = "a long way to the tide pools"
    dashboard = Dashboard(page).sign_in_by_form(person)
    page.get_by_role("link", name="(change the password)").click()
    for old in ("wrong", person.password):
        page.get_by_label("Present password").fill(old)
        page.get_by_label("New password", exact=True).fill(new)
        page.get_by_label("New password, once more").fill(new)
        page.get_by_role("button", name="Change the password").click()
        if old == "wrong":
            expect(page.get_by_role("alert")).to_be_visible()
            expect(page.get_by_label("Present password")).to_have_value("")
    expect(page.get_by_role("heading", name="The password is changed")).to_be_visible()
    expect_nothing_that_needs_a_script(page)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("Whoever runs this site can set a new one")).to_be_visible()
    dashboard.sign_in_by_form(replace(person, password=new))
