"""A real server, a network that can be cut, and a browser; each test has an account of its own."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from tests.support.client import NativeClient
from tests.support.proxy import Proxy
from tests.support.server import Server
from tests.support.signatures import content_for

from .browser_install import chromium
from .support import CHROMIUM_ARGUMENTS, PATIENCE, Complaints, Dashboard, Person, make_people

#: A name that resolves to this machine and that browsers do not trust as they trust localhost.
PLAIN_HOST = "holdfast.test"

#: More than there are tests.
PEOPLE = 260

expect.set_options(timeout=PATIENCE)

MakeFile = Callable[..., Path]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    arguments = [*CHROMIUM_ARGUMENTS, f"--host-resolver-rules=MAP {PLAIN_HOST} 127.0.0.1"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def mails() -> Iterator[Path]:
    """The folder that the server writes its mails into."""
    with tempfile.TemporaryDirectory(prefix="holdfast-mails-") as name:
        yield Path(name)


@pytest.fixture(scope="session")
def shared_server(mails: Path) -> Iterator[Server]:
    with Server(
        HOLDFAST_HOSTS=f"{PLAIN_HOST},127.0.0.1,localhost",
        HOLDFAST_EMAIL_URL=f"file://{mails}",
        HOLDFAST_EMAIL_FROM="holdfast@example.org",
    ) as server:
        yield server


@pytest.fixture(scope="session")
def people(shared_server: Server) -> Iterator[Person]:
    return iter(make_people(shared_server, PEOPLE))


@pytest.fixture
def server(shared_server: Server) -> Server:
    return shared_server


@pytest.fixture
def person(people: Iterator[Person]) -> Person:
    """Somebody without any uploads."""
    return next(people)


@pytest.fixture
def client(server: Server, person: Person) -> NativeClient:
    """The same person's script. It goes around the proxy, so its bytes are not counted."""
    return NativeClient(server.url, person.token)


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with Proxy(server.port) as proxy:
        yield proxy


@pytest.fixture
def complaints() -> Iterator[Complaints]:
    """Fails a test whose pages complained about anything that it did not allow."""
    complaints = Complaints()
    yield complaints
    assert complaints.unexpected() == []


@pytest.fixture
def context(browser: Browser, proxy: Proxy, complaints: Complaints) -> Iterator[BrowserContext]:
    context = browser.new_context(base_url=proxy.url)
    context.set_default_timeout(PATIENCE)
    context.set_default_navigation_timeout(PATIENCE)
    complaints.watch(context)
    yield context
    context.close()


@pytest.fixture
def lax_context(browser: Browser, proxy: Proxy, complaints: Complaints) -> Iterator[BrowserContext]:
    """Other projects' pages have no policy as strict as ours."""
    context = browser.new_context(base_url=proxy.url, bypass_csp=True)
    context.set_default_timeout(PATIENCE)
    complaints.watch(context)
    yield context
    context.close()


@pytest.fixture
def dashboard(context: BrowserContext, person: Person) -> Dashboard:
    return Dashboard(context.new_page()).sign_in(person)


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="holdfast-e2e-") as name:
        yield Path(name)


@pytest.fixture
def make_file(folder: Path) -> MakeFile:
    """`make_file(name, size, seed=0)`: a file of what its name says, other bytes for each
    seed.
    """

    def make(name: str, size: int, seed: int = 0) -> Path:
        path = folder / name
        path.write_bytes(content_for(name, size, seed))
        return path

    return make
