"""The dashboard as a person meets it: by names, buttons and visible words."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from playwright.sync_api import (
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    WebError,
    expect,
)

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
NETWORK_ERRORS = "net::ERR_"

#: Of a file to be cut off in the middle: eight chunks, the last one short.
SIZE = 8 * CHUNK - 12_345
#: Three chunks are on their way at a time, so when this much went up two are in, and one isn't.
MIDDLE = 22 * MIB
SURELY_IN = 2

#: The same where a server's settings are those of `small_chunks`.
SMALL_SIZE, SMALL_MIDDLE = SIZE // 5, MIDDLE // 5

#: Headers, handshakes and the list's refreshes; far less than any chunk.
SMALL_TALK = MIB


#: Where tests find every server, whatever its port; cookies know nothing of ports.
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Person:
    name: str
    password: str
    token: str
    #: Of a session that has begun already; empty for who signs in by the form.
    cookie: str = ""


def in_django(server: Server, code: str) -> str:
    """Run code on the server's data; its standard output."""
    return server.manage("shell", "--no-imports", "-c", code)


def make_people(server: Server, count: int) -> list[Person]:
    """Accounts in one go: each start of Django costs a second, and each hash of a password too.

    They are signed in already: the form has tests of its own.
    """
    password = "one password for them all"
    code = f"""
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from uploads.engine.tokens import issue_token
hashed = make_password({password!r})
with transaction.atomic():
    for number in range({count}):
        user = User.objects.create(username=f"person-{{number}}", password=hashed)
        client = Client()
        client.force_login(user)
        cookie = client.cookies["sessionid"].value
        print(user.username, issue_token(user, "browser tests"), cookie)
"""
    lines = [line.split() for line in in_django(server, code).splitlines()]
    return [Person(name, password, token, cookie) for name, token, cookie in lines]


def give_address(server: Server, person: Person) -> str:
    """An e-mail address of the account, new to it."""
    address = f"{person.name}@example.org"
    code = "from django.contrib.auth.models import User\n"
    in_django(
        server, code + f"User.objects.filter(username={person.name!r}).update(email={address!r})"
    )
    return address


def link_mailed_to(address: str, mails: Path) -> str:
    """The link of the one mail that was written into that folder for an address."""

    def found() -> list[str]:
        texts = [path.read_text() for path in mails.iterdir()]
        mailed = [text for text in texts if f"To: {address}\n" in text]
        return [link for text in mailed for link in re.findall(r"^http\S+", text, re.MULTILINE)]

    [link] = wait_until(found, f"a mail to {address}", timeout=PATIENCE / 1000)
    return link


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
    """The session of an upload that a proxy holds in the MIDDLE.

    The server may still be at a chunk that reached it whole, so more may soon be in than it says.
    """
    assert proxy.was_held.wait(PATIENCE / 1000), "nothing was held"

    def session() -> dict[str, Any] | None:
        found = status(client, row.session_id)
        return found if found["received_chunks"] >= SURELY_IN else None

    found = wait_until(session, timeout=60, what="chunks to be acknowledged")
    assert found is not None
    assert found["missing"]
    return found


def assert_only_missing(chunks_sent: list[int], session: dict[str, Any]) -> None:
    """What `session` said was missing went up, at most once: some of it may have arrived since.

    Bytes would tell more, but a request that the page has just given up may be sent again by the
    browser itself when its connection is cut.
    """
    assert set(chunks_sent) <= set(session["missing"])
    assert len(chunks_sent) == len(set(chunks_sent))


def bytes_missing(session: dict[str, Any]) -> int:
    """At most: the last chunk may be shorter."""
    return len(session["missing"]) * CHUNK


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


#: htmx says so of a refresh that was under way when its page was left, which is nothing wrong. Of
#: a request that failed the browser itself says why, so nothing goes unheard.
LEFT_BEHIND = r"htmx:error: Failed to fetch"


class Complaints:
    """What pages say on their console when something is wrong, CSP violations among them."""

    def __init__(self) -> None:
        self._heard: list[str] = []
        self._allowed: list[str] = [LEFT_BEHIND]

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
    """One upload as the page shows it: a row of a list, an item of the tray, the page about it."""

    def __init__(self, page: Page, place: Locator) -> None:
        self.page = page
        self.place = place
        self.line = place.locator(".live")
        self.map = place.locator("[data-chunks]")
        #: The link to the page about it.
        self.details = place.locator(".upload-name").get_by_role("link")

    def button(self, name: str) -> Locator:
        return self.place.get_by_role("button", name=name, exact=True)

    def link(self, name: str) -> Locator:
        return self.place.get_by_role("link", name=name, exact=True)

    def expect_state(self, label: str) -> None:
        """Waits for the one word, of the server's or this page's, that can be seen."""
        state = self.place.locator(".state")
        expect(state).to_have_text(label, use_inner_text=True)

    @property
    def session_id(self) -> str:
        element_id = self.place.get_attribute("id") or ""
        return element_id.removeprefix("upload-")

    def resume_with(self, path: Path, button: str = "Resume") -> None:
        """Press Resume, which asks for the file, and choose one."""
        with self.page.expect_file_chooser() as chooser:
            self.button(button).click()
        chooser.value.set_files(path)

    def open_details(self) -> "Item":
        """The page about it, come to by the link."""
        self.details.click()
        whole = Item(self.page, self.page.locator("article.whole"))
        expect(whole.place).to_be_visible()
        return whole

    def delete(self) -> None:
        """Which asks nothing, for there is an Undo."""
        self.button("Delete").click()
        expect(self.place).to_have_count(0)

    def download(self, folder: Path) -> Path:
        """By the link, as the browser saves it."""
        with self.page.expect_download() as download:
            self.link("Download").click()
        target = folder / f"downloaded-{self.session_id}"
        download.value.save_as(target)
        return target


def click_to_copy(button: Locator, *, again: bool = False) -> None:
    """Click, and wait until it has said so: for two seconds, which may be over when one looks.

    `again`: there is a second click while it says so.
    """
    page = button.page
    button.evaluate(_WATCH_FOR_COPIED, again)
    button.click()
    wait_until(lambda: page.evaluate("window.saidCopied"), "the button to say so")


_WATCH_FOR_COPIED = """(button, again) => {
  window.saidCopied = false;
  new MutationObserver((_, observer) => {
    if (button.textContent.trim() !== "Copied") return;
    observer.disconnect();
    window.saidCopied = true;
    if (again) button.click();
  }).observe(button, { subtree: true, childList: true, characterData: true });
}"""


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
        self.heading = page.get_by_role("heading", name="Uploads", exact=True)
        #: Both lists, and the notices above them: what is fetched anew.
        self.list = page.locator("#uploads")
        #: The list that is found by search, kind and page.
        self.files = page.locator("#upload-list > li")
        self.under_way = page.locator("#unfinished-list > li")
        self.items = self.under_way.or_(self.files)
        self.tray_items = page.locator("#tray > li")
        self.dialog = page.get_by_role("dialog")
        #: All uploads of this tab together.
        self.dock = page.locator("#dock")
        #: About uploads that were interrupted.
        self.banner = page.locator("#interrupted")
        #: About files just deleted.
        self.undo_notice = page.locator("#undo-notice")
        #: About files that are not being sent.
        self.remarks = page.locator("#remarks > .notice")

    def sign_in(self, person: Person, url: str = "/") -> Self:
        """By the cookie of a session that has begun already, where there is one."""
        if not person.cookie:
            return self.sign_in_by_form(person, url)
        host = urlsplit(url).hostname or HOST
        self.page.context.add_cookies(
            [{"name": "sessionid", "value": person.cookie, "domain": host, "path": "/"}]
        )
        self.page.goto(url)
        return self.expect_open()

    def sign_in_by_form(self, person: Person, url: str = "/") -> Self:
        self.page.goto(url)
        self.page.get_by_label("User name").fill(person.name)
        self.page.get_by_label("Password").fill(person.password)
        self.page.get_by_role("button", name="Sign in").click()
        return self.expect_open()

    def open(self) -> Self:
        self.page.goto("/")
        return self.expect_open()

    def expect_open(self) -> Self:
        expect(self.heading).to_be_visible()
        # Until then nobody listens for chosen files.
        self.page.wait_for_load_state("load")
        return self

    def touch(self) -> None:
        """Where nothing comes of it."""
        self.page.get_by_text("Drop files or folders anywhere").click()

    def choose(self, *paths: Path) -> None:
        self.page.get_by_label("Choose files").set_input_files(list(paths))

    def row(self, filename: str) -> Item:
        return Item(self.page, self._named(self.items, filename))

    def file(self, filename: str) -> Item:
        """The row of one that is complete, whatever else has that name and is not."""
        return Item(self.page, self._named(self.files, filename))

    def in_tray(self, filename: str) -> Item:
        return Item(self.page, self._named(self.tray_items, filename))

    def upload(self, path: Path) -> Item:
        """Choose a file and see it through."""
        self.choose(path)
        row = self.row(path.name)
        row.expect_state("Completed")
        return row

    def undo(self) -> None:
        """Bring back what was just deleted."""
        self.undo_notice.get_by_role("button", name="Undo", exact=True).click()
        expect(self.undo_notice).to_have_count(0)

    def answer(self, button: str) -> None:
        """To the question that the dialog asks."""
        self.dialog.get_by_role("button", name=button, exact=True).click()
        expect(self.dialog).to_be_hidden()

    def refreshes(self) -> "Refreshes":
        return Refreshes(self.page)

    def chunks_sent(self) -> list[int]:
        """The chunks that a page sends from now on, as it begins to send them."""
        sent: list[int] = []

        def hear(request: Request) -> None:
            index = re.search(r"/chunks/(\d+)$", request.url)
            if index and request.method == "PUT":
                sent.append(int(index[1]))

        self.page.on("request", hear)
        return sent

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
