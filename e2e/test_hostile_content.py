"""A stored page, picture or script is never run on the site: neither opened nor embedded."""

from functools import partial
from typing import Any

import pytest

from tests.support.bodies import sha256
from tests.support.client import NativeClient
from tests.support.waiting import wait_until

from .support import Complaints, Dashboard, status

pytestmark = pytest.mark.browser

#: What each of them would do if it were run anywhere on the site.
MARK = "localStorage.setItem('ran', document.location || self.location)"
HTML = f"<!doctype html><title>tide table</title><script>{MARK}</script><p>Hello"
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">'
    f"<script>{MARK}</script><rect width='9' height='9'/></svg>"
)
CSS = "body { --ran: 1; }"
#: The media type that its sender declares is the worst there is for it.
FILES = {
    "page.html": ("text/html", HTML),
    "picture.svg": ("image/svg+xml", SVG),
    "script.js": ("text/javascript", MARK),
    "module.mjs": ("application/javascript", MARK),
    "plain.js": ("text/plain", MARK),
    "style.css": ("text/css", CSS),
}

#: The ways in which a browser may be brought to open an address; each must end as a download.
OPEN = (
    "location.href = url",
    "const frame = document.createElement('iframe'); frame.src = url; document.body.append(frame)",
)
#: Put each address into each kind of element on this page, and say what became of it.
EMBED = """
async (urls) => {
    const kinds = {
        img: (e, url) => { e.src = url; },
        script: (e, url) => { e.src = url; },
        link: (e, url) => { e.rel = "stylesheet"; e.href = url; },
        object: (e, url) => { e.data = url; },
        embed: (e, url) => { e.src = url; },
    };
    const told = [];
    for (const url of urls) {
        for (const [kind, point] of Object.entries(kinds)) {
            const element = document.createElement(kind);
            const ended = new Promise((resolve) => {
                element.onload = () => resolve("load");
                element.onerror = () => resolve("error");
                // Of these two some browsers say nothing else.
                if (kind === "object" || kind === "embed") {
                    document.addEventListener("securitypolicyviolation", resolve, { once: true });
                }
            });
            point(element, url);
            document.body.append(element);
            const how = await ended;
            if (how === "load") told.push(`${kind} ${url}`);
            element.remove();
        }
        try { await import(url); told.push(`import ${url}`); } catch {}
    }
    return told;
}
"""


def is_completed(client: NativeClient, session_id: str) -> bool:
    state: str = status(client, session_id)["state"]
    return state == "completed"


@pytest.fixture
def urls(client: NativeClient) -> dict[str, str]:
    """Of each file its content."""
    found = {}
    for name, (kind, text) in FILES.items():
        data = text.encode()
        fields = {"mime_type": kind, "sha256": sha256(data)}
        session: dict[str, Any] = client.handshake(name, len(data), **fields).json()
        client.send_missing(data, session)
        wait_until(partial(is_completed, client, session["id"]), "completion")
        found[name] = session["urls"]["content"]
    return found


def test_it_is_downloaded_where_it_is_opened_and_nothing_else_anywhere(
    dashboard: Dashboard, urls: dict[str, str], complaints: Complaints
) -> None:
    page = dashboard.page
    complaints.allow("Content Security Policy|Refused to|MIME type|net::ERR_|Failed to load")
    for name in ("page.html", "picture.svg"):
        for go in OPEN:
            with page.expect_download() as download:
                page.evaluate(f"(url) => {{ {go}; }}", urls[name])
            assert download.value.suggested_filename == name
    assert page.evaluate(EMBED, list(urls.values())) == []
    assert page.evaluate("getComputedStyle(document.body).getPropertyValue('--ran')") == ""
    assert page.evaluate("localStorage.getItem('ran')") is None
