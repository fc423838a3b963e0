"""From the wheel to the first upload: the project of docs/integrate.md, in a browser."""

import http.client
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect

from tests.support.bodies import payload
from tests.support.client import NativeClient
from tests.support.nginx import NGINX, WHY_SKIPPED, nginx
from tests.support.project import BLOCKS, PASSWORD, USER, Project, make_project, new_project
from tests.support.signatures import content_for
from tests.support.waiting import wait_until
from tests.support.wheel import build_wheel, copy_sources
from uploads.core.plan import MIB

from .conftest import MakeFile
from .support import CHUNK, PATIENCE, Complaints

pytestmark = [pytest.mark.browser, pytest.mark.server]

#: Three chunks, of which the last one is short.
SIZE = 2 * CHUNK + 12_345
#: The page of a report that is there.
SAVED = re.compile(r"/reports/\d+/$")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    return build_wheel(copy_sources(folder / "sources"), folder / "built")


@pytest.fixture(scope="module")
def project(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    project = make_project(tmp_path_factory.mktemp("integration"), wheel)
    with project.served():
        yield project


@pytest.fixture(scope="module")
def cookies(project: Project) -> requests.Session:
    """Of somebody who has signed in, by the page to which the form sends them."""
    session = requests.Session()
    page = session.get(f"{project.url}/reports/new/", timeout=120)
    assert page.url == f"{project.url}/admin/login/?next=/reports/new/"
    token = session.cookies["csrftoken"]
    given = {"username": USER, "password": PASSWORD, "csrfmiddlewaretoken": token}
    answer = session.post(page.url, given, headers={"Referer": page.url}, timeout=120)
    assert answer.url == f"{project.url}/reports/new/"
    return session


def chunks_sent(page: Page) -> list[str]:
    """The addresses of those that are sent from now on."""
    sent: list[str] = []

    def hear(request: Request) -> None:
        if request.method == "PUT" and "/chunks/" in request.url:
            sent.append(request.url)

    page.on("request", hear)
    return sent


def context_of(
    browser: Browser, project: Project, cookies: requests.Session, *, scripts: bool = True
) -> BrowserContext:
    context = browser.new_context(base_url=project.url, java_script_enabled=scripts)
    context.set_default_timeout(PATIENCE)
    value = cookies.cookies["sessionid"]
    context.add_cookies([{"name": "sessionid", "value": value, "url": project.url}])
    return context


@pytest.fixture
def page(
    browser: Browser, project: Project, cookies: requests.Session, complaints: Complaints
) -> Iterator[Page]:
    context = context_of(browser, project, cookies)
    # Pages of this project and of Django's admin have no icon.
    complaints.allow(r"404 .*/favicon\.ico")
    complaints.watch(context)
    yield context.new_page()
    context.close()


def expect_arrived(page: Page, field: str, count: int = 1) -> None:
    """What the form submits in the place of the files is there."""
    ids = page.locator(f"input[type=hidden][name='{field}']:not([value=''])")
    expect(ids).to_have_count(count)


def media(project: Project, name: str) -> bytes:
    return (project.folder / "media" / name).read_bytes()


def test_a_file_is_sent_in_chunks_and_saved_by_the_form(
    page: Page, project: Project, make_file: MakeFile
) -> None:
    sent = chunks_sent(page)
    table = make_file("tides.csv", SIZE)
    page.goto("/reports/new/")
    page.get_by_label("Title").fill("Tides")
    page.get_by_label("File").set_input_files(table)
    expect_arrived(page, "file")
    page.get_by_role("button", name="Save").click()
    page.wait_for_url(SAVED)
    assert len(set(sent)) == 3
    assert media(project, "reports/tides.csv") == table.read_bytes()
    wait_until(lambda: "tides.csv is where it belongs" in project.log, "the signal")
    assert f"tides.csv has arrived, {SIZE} bytes" in project.log


def test_a_file_that_a_validator_refuses_is_refused_with_its_words(
    page: Page, project: Project, make_file: MakeFile
) -> None:
    page.goto("/reports/new/")
    locked = make_file("locked.pdf", 1000)
    with locked.open("ab") as file:
        file.write(b"trailer << /Encrypt 7 0 R >>")
    page.get_by_label("File").set_input_files(locked)
    words = "This PDF is locked by a password. Save it without one."
    expect(page.get_by_text(words, exact=True)).to_be_visible()
    wait_until(lambda: "locked.pdf was refused: This PDF is locked" in project.log, "the signal")


def test_several_files_in_one_field(page: Page, project: Project, make_file: MakeFile) -> None:
    photos = [make_file(f"{number}.png", 1000, seed=number) for number in (1, 2)]
    page.goto("/reports/photos/")
    page.get_by_label("Photos").set_input_files(photos)
    expect_arrived(page, "photos", 2)
    page.get_by_role("button", name="Save").click()
    # A file has its name before it has its bytes.
    for photo in photos:
        expect_saved(project, f"photos/{photo.name}", photo.read_bytes())
    assert len(list((project.folder / "media" / "photos").iterdir())) == 2


def expect_saved(project: Project, name: str, content: bytes) -> None:
    path = project.folder / "media" / name
    wait_until(lambda: path.is_file() and path.read_bytes() == content, f"{name} to be saved")


def test_a_formset_has_an_upload_in_each_row(
    page: Page, project: Project, make_file: MakeFile
) -> None:
    page.goto("/reports/many/")
    for number in (0, 1):
        table = make_file(f"row-{number}.csv", 1000, seed=number)
        page.locator(f"#id_form-{number}-title").fill(f"Row {number}")
        page.locator(f"#id_form-{number}-file").set_input_files(table)
    for number in (0, 1):
        expect_arrived(page, f"form-{number}-file")
    page.get_by_role("button", name="Save").click()
    for number in (0, 1):
        name = f"row-{number}.csv"
        expect_saved(project, f"reports/{name}", content_for(name, 1000, seed=number))


def test_the_admin_takes_an_upload(page: Page, project: Project, make_file: MakeFile) -> None:
    table = make_file("admin.csv", CHUNK + 1, seed=3)
    page.goto("/admin/reports/report/add/")
    page.get_by_label("Title").fill("By the admin")
    page.get_by_label("File:", exact=True).set_input_files(table)
    expect_arrived(page, "file")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was added successfully")).to_be_visible()
    assert media(project, "reports/admin.csv") == table.read_bytes()


def test_without_javascript_the_form_saves_a_file_too(
    browser: Browser, project: Project, cookies: requests.Session, make_file: MakeFile
) -> None:
    table = make_file("plain.csv", MIB, seed=4)
    context = context_of(browser, project, cookies, scripts=False)
    try:
        page = context.new_page()
        page.goto("/reports/new/")
        page.get_by_label("Title").fill("Plain")
        page.get_by_label("File").set_input_files(table)
        page.get_by_role("button", name="Save").click()
        page.wait_for_url(SAVED)
    finally:
        context.close()
    assert media(project, "reports/plain.csv") == table.read_bytes()


def test_the_dashboard_works_below_its_own_address(page: Page, make_file: MakeFile) -> None:
    film = make_file("film.mkv", SIZE, seed=5)
    page.goto("/files/")
    page.get_by_label("Choose files").set_input_files(film)
    row = page.locator("#upload-list > li").filter(has_text="film.mkv")
    expect(row.locator(".state")).to_have_text("Completed", use_inner_text=True)
    # This project ends sign-ins elsewhere.
    expect(page.locator(".account-name")).to_have_text(USER)
    expect(page.get_by_role("button", name="Sign out")).to_have_count(0)
    with page.expect_download() as download:
        row.get_by_role("link", name="Download").click()
    assert download.value.path().read_bytes() == film.read_bytes()
    for link in ("Access tokens", "Uploads"):
        page.get_by_role("link", name=link, exact=True).click()
        expect(page.locator("h1")).to_have_text(link)


def test_the_pages_speak_german_to_those_who_ask_for_it(
    project: Project, cookies: requests.Session
) -> None:
    german = {"Accept-Language": "de"}
    dashboard = cookies.get(f"{project.url}/files/", headers=german, timeout=120).text
    assert '<html lang="de">' in dashboard
    assert "Dateien auswählen" in dashboard
    texts = cookies.get(f"{project.url}/files/texts.js", headers=german, timeout=120).text
    assert "Dateien ausgew\\u00e4hlt" in texts


def test_the_tests_of_the_project_pass(project: Project) -> None:
    printed = project.call("python", "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert "1 passed" in printed


def test_what_the_wheel_needs_is_what_it_says(project: Project) -> None:
    assert "No broken requirements" in project.call("python", "-m", "pip", "check")
    where = project.call("python", "-c", "import uploads; print(uploads.__file__)")
    assert Path(where.strip()).is_relative_to(project.python.parents[1].resolve())


def test_another_server_takes_up_what_was_left(project: Project) -> None:
    project.write("other server")
    code = (
        "import threading, mysite.wsgi\n"
        "assert 'uploads-recovery' in {thread.name for thread in threading.enumerate()}"
    )
    project.call("python", "-W", "error", "-c", code)


def test_the_hints_of_the_checks_alone_lead_to_a_project_without_mistakes(
    wheel: Path, folder: Path
) -> None:
    project = new_project(folder, wheel)
    added(project, "mysite/settings.py", 'INSTALLED_APPS += ["uploads"]')
    hints = re.findall("HINT: (.*)", project.call("sh", "-c", "python manage.py check || true"))
    assert len(hints) == 6
    settings = re.findall(r"[A-Z_]+(?:\[.*?\])* \+?= .*", "\n".join(hints))
    addresses = re.findall(r'path\("\w+/", include\("[\w.]+"\)\)', "\n".join(hints))
    added(project, "mysite/settings.py", *settings)
    added(
        project,
        "mysite/urls.py",
        "from django.urls import include",
        *(f"urlpatterns += [{address}]" for address in addresses),
    )
    assert "System check identified no issues" in project.manage("check")


def added(project: Project, name: str, *lines: str) -> None:
    with (project.folder / name).open("a") as file:
        file.writelines(f"\n{line}\n" for line in lines)


@pytest.fixture
def front(project: Project, folder: Path) -> Iterator[str]:
    """The address of an nginx with the lines of the document."""
    if NGINX is None:
        pytest.skip(WHY_SKIPPED)
    [lines] = [block.text for block in BLOCKS if block.mark == "nginx"]
    with nginx(lines.replace("http://127.0.0.1:8000", project.url), folder) as port:
        yield f"http://127.0.0.1:{port}/files"


def test_behind_nginx_what_has_come_of_a_body_is_there_before_its_end(
    front: str, project: Project
) -> None:
    token = project.manage("issue_token", USER).splitlines()[-1]
    client = NativeClient(front, token)
    data = payload(CHUNK + 2 * MIB, seed=6)
    session = client.handshake("streamed.bin", len(data)).json()
    parts = urlsplit(front)

    def offset() -> int:
        answer = client.request("HEAD", f"/upload/{session['id']}")
        return int(answer.headers["Upload-Offset"])

    with closing(http.client.HTTPConnection(parts.netloc, timeout=120)) as sender:
        sender.putrequest("PUT", f"{parts.path}/upload/{session['id']}")
        sender.putheader("Authorization", f"Bearer {token}")
        sender.putheader("Upload-Offset", "0")
        sender.putheader("Content-Length", str(len(data)))
        sender.endheaders(data[: CHUNK + 1])
        wait_until(lambda: offset() >= CHUNK, "the first chunk")
        sender.send(data[CHUNK + 1 :])
        assert sender.getresponse().status == 200
    assert offset() == len(data)
