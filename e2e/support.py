"""The dashboard as a person meets it: by names, buttons and visible words."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, WebError, expect

from tests.support.bodies import sha256
from tests.support.client import NativeClient
from tests.support.proxy import Proxy
from tests.support.server import Server
from tests.support.waiting import wait_until
from uploads.core.plan import MIB

#: Milliseconds; generous, since nothing here measures time and machines are busy.
PATIENCE = 60_000

CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

#: A chunk as the server cuts files by default.
CHUNK = 5 * MIB

#: What a browser and htmx log, at level error, when a test takes the network away.
NETWORK_ERRORS = r"net::ERR_|htmx:error: Failed to fetch"

#: Of a file to be cut off in the middle: eight chunks, the last one short.
SIZE = 8 * CHUNK - 12_345
#: Three chunks are on their way at a time, so when this much went up two are in, and one isn't.
MIDDLE = 22 * MIB
SURELY_IN = 2

#: Headers, handshakes and the list's refreshes; far less than any chunk.
SMALL_TALK = MIB


@dataclass(frozen=True)
class Person:
    name: str
    password: str
    token: str


def in_django(server: Server, code: str) -> str:
    """Run code on the server's data; its standard output."""
    return server.manage("shell", "--no-imports", "-c", code)


def make_people(server: Server, count: int) -> list[Person]:
    """Accounts in one go: each start of Django costs a second, and each hash of a password too."""
    password = "one password for them all"
    code = f"""
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from uploads.engine.tokens import issue_token
hashed = make_password({password!r})
for number in range({count}):
    user = User.objects.create(username=f"person-{{number}}", password=hashed)
    print(user.username, issue_token(user, "browser tests"))
"""
    lines = [
        line.split() for line in server.manage("shell", "--no-imports", "-c", code).splitlines()
    ]
    return [Person(name, password, token) for name, token in lines]


def age(server: Server, session_id: str, minutes: int = 10) -> None:
    """Let the last chunk of a session have come that long ago."""
    code = (
        "from datetime import timedelta\n"
        "from django.db.models import F\n"
        "from uploads.models import FileSession\n"
        f"FileSession.objects.filter(pk={session_id!r})"
        f".update(updated_at=F('updated_at') - timedelta(minutes={minutes}))"
    )
    in_django(server, code)


def begin(client: NativeClient, filename: str, content: bytes, chunks: list[int]) -> dict[str, Any]:
    """The session of a script that was stopped when `chunks` were in."""
    answer = client.handshake(filename, len(content), sha256=sha256(content))
    answer.raise_for_status()
    session: dict[str, Any] = answer.json()
    client.send_missing(content, {**session, "missing": chunks})
    return status(client, session["id"])


def status(client: NativeClient, session_id: str) -> dict[str, Any]:
    answer = client.request("GET", f"/api/v1/uploads/{session_id}")
    answer.raise_for_status()
    session: dict[str, Any] = answer.json()
    return session


def interrupted(client: NativeClient, proxy: Proxy, row: "Item") -> dict[str, Any]:
    """The session of an upload that a proxy holds or has cut in the MIDDLE.

    The server may still be at a chunk that reached it whole, so more may soon be in than it says.
    """
    wait_until(lambda: proxy.was_held.is_set() or proxy.was_cut.is_set(), "the middle", timeout=60)

    def session() -> dict[str, Any] | None:
        found = status(client, row.session_id)
        return found if found["received_chunks"] >= SURELY_IN else None

    found = wait_until(session, timeout=60, what="chunks to be acknowledged")
    assert found is not None
    assert found["missing"]
    return found


def bytes_missing(session: dict[str, Any]) -> int:
    """At most: the last chunk may be shorter."""
    return len(session["missing"]) * CHUNK


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Complaints:
    """What pages say on their console when something is wrong, CSP violations among them."""

    def __init__(self) -> None:
        self._heard: list[str] = []
        self._allowed: list[str] = []

    def watch(self, context: BrowserContext) -> None:
        context.on("console", self._hear)
        context.on("weberror", self._hear_error)

    def allow(self, pattern: str) -> None:
        """For what a test brings about on purpose."""
        self._allowed.append(pattern)

    def unexpected(self) -> list[str]:
        return [
            text
            for text in self._heard
            if not any(re.search(pattern, text) for pattern in self._allowed)
        ]

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning", "assert"}:
            self._heard.append(f"{message.type}: {message.text} ({message.location['url']})")

    def _hear_error(self, error: WebError) -> None:
        self._heard.append(f"uncaught: {error.error}")


class Item:
    """One upload as the page shows it: a row of the list, or an item of the tray above it."""

    def __init__(self, page: Page, place: Locator) -> None:
        self.page = page
        self.place = place
        self.line = place.locator(".live")
        self.map = place.locator(".map")

    def button(self, name: str) -> Locator:
        return self.place.get_by_role("button", name=name, exact=True)

    def link(self, name: str) -> Locator:
        return self.place.get_by_role("link", name=name, exact=True)

    def expect_state(self, label: str) -> None:
        """Waits for the one word, of the server's or this page's, that can be seen."""
        state = self.place.locator(".state")
        expect(state).to_have_text(label, use_inner_text=True)

    @property
    def newest(self) -> "Item":
        """Of several uploads of that name the one that was begun last."""
        return Item(self.page, self.place.first)

    @property
    def session_id(self) -> str:
        element_id = self.place.get_attribute("id") or ""
        return element_id.removeprefix("upload-")

    def resume_with(self, path: Path, button: str = "Resume") -> None:
        """Press Resume, which asks for the file, and choose one."""
        with self.page.expect_file_chooser() as chooser:
            self.button(button).click()
        chooser.value.set_files(path)

    def download(self, folder: Path) -> Path:
        """By the link, as the browser saves it."""
        with self.page.expect_download() as download:
            self.link("Download").click()
        target = folder / f"downloaded-{self.session_id}"
        download.value.save_as(target)
        return target


def expect_map_is_true(client: NativeClient, row: Item) -> None:
    """The page shows, perhaps after its next refresh, what the server has."""

    def agree() -> bool:
        session = status(client, row.session_id)
        shown = f"{session['received_chunks']}/{session['total_chunks']}"
        return row.map.get_attribute("data-chunks") == shown

    wait_until(agree, "the map to show what is in", timeout=PATIENCE / 1000)


class Dashboard:
    def __init__(self, page: Page) -> None:
        self.page = page
        self.list = page.locator("#uploads")
        self.items = page.locator("#upload-list > li")
        self.tray_items = page.locator("#tray > li")
        self.dialog = page.get_by_role("dialog")

    def sign_in(self, person: Person, url: str = "/") -> Self:
        self.page.goto(url)
        self.page.get_by_label("User name").fill(person.name)
        self.page.get_by_label("Password").fill(person.password)
        self.page.get_by_role("button", name="Sign in").click()
        return self.expect_open()

    def open(self) -> Self:
        self.page.goto("/")
        return self.expect_open()

    def expect_open(self) -> Self:
        expect(self.page.get_by_role("heading", name="Your uploads")).to_be_visible()
        # Until then nobody listens for chosen files.
        self.page.wait_for_load_state("load")
        return self

    def choose(self, *paths: Path) -> None:
        self.page.get_by_label("Choose files").set_input_files(list(paths))

    def row(self, filename: str) -> Item:
        return Item(self.page, self._named(self.items, filename))

    def in_tray(self, filename: str) -> Item:
        return Item(self.page, self._named(self.tray_items, filename))

    def upload(self, path: Path) -> Item:
        """Choose a file and see it through."""
        self.choose(path)
        row = self.row(path.name)
        row.expect_state("Completed")
        return row

    def answer(self, button: str) -> None:
        """To the question that the dialog asks."""
        self.dialog.get_by_role("button", name=button, exact=True).click()
        expect(self.dialog).to_be_hidden()

    def refreshes(self) -> "Refreshes":
        return Refreshes(self.page)

    def _named(self, places: Locator, filename: str) -> Locator:
        heading = self.page.get_by_role("heading", name=filename, exact=True)
        return places.filter(has=heading)


class Refreshes:
    """Counts the requests for the list that a page makes from now on."""

    def __init__(self, page: Page) -> None:
        self.count = 0
        page.on("request", lambda request: self._hear(request.method, request.url))

    def _hear(self, method: str, url: str) -> None:
        if method == "GET" and url.partition("?")[0].endswith("/api/v1/uploads/handshake"):
            self.count += 1
