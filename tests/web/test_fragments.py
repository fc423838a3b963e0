"""Refreshes: an empty answer while nothing has changed, and never one that is meant for others."""

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from django.utils.http import urlencode

from uploads.engine.renaming import rename
from uploads.models import FileSession, SessionEvent, SessionStatus
from uploads.web import context

from .documents import parse
from .pages import LIST, PARTIAL, STATES, address, completed, make_session, names, trashed

pytestmark = pytest.mark.django_db

HOSTILE = [
    "<!--seen-->.txt",
    "--><!--seen--><b>",
    "\"'><script>alert(1)</script>.txt",
    '"}\' hx-get="/" x=\'{"',
    "{{ seen }}{% now 'Y' %}",
    "\u202etxt.exe",
    "שלום עולם.txt",
    "a&amp;b&lt;.txt",
    "line\u2028separator",
]


def ask(client: Client, url: str, seen: str | None = None, **headers: str) -> tuple[int, str]:
    if seen is not None:
        url += ("&" if "?" in url else "?") + urlencode({"seen": seen})
    response = client.get(url, headers={**PARTIAL, **headers})
    assert "no-store" in response["Cache-Control"]
    return response.status_code, response.content.decode()


def digest(html: str) -> str:
    (found,) = re.findall(r"""hx-vals='{"seen": "(\w+)"}'""", html)
    return str(found)


def last_seen(client: Client, url: str) -> str:
    status, html = ask(client, url)
    assert status == 200
    return digest(html)


@pytest.mark.parametrize("state", sorted(STATES.keys() - {"cancelled"}))
def test_nothing_new_is_an_empty_answer(alice: User, alice_client: Client, state: str) -> None:
    session = STATES[state](alice)
    for url in (LIST, address(session)):
        assert ask(alice_client, url, last_seen(alice_client, url)) == (204, "")


def test_the_page_knows_what_its_first_refresh_has_to_bring(
    alice: User, alice_client: Client
) -> None:
    """Page and partial agree to the letter, or each would be swapped in once for nothing."""
    session = make_session(alice)
    for page, url in (("/", LIST), (address(session), address(session))):
        html = alice_client.get(page).content.decode()
        assert ask(alice_client, url, digest(html)) == (204, "")


def receive(session: FileSession) -> None:
    FileSession.objects.filter(pk=session.pk).update(received=b"\x03", received_count=2)


def fail(session: FileSession) -> None:
    FileSession.objects.filter(pk=session.pk).update(status=SessionStatus.FAILED, error="Why.")


def call_otherwise(session: FileSession) -> None:
    rename(session, "other.txt")


def grow_quiet(session: FileSession) -> None:
    FileSession.objects.filter(pk=session.pk).update(updated_at=timezone.now() - timedelta(hours=1))


@pytest.mark.parametrize("change", [receive, fail, call_otherwise, grow_quiet])
@pytest.mark.parametrize("where", ["list", "page"])
def test_whatever_changes_is_brought_and_then_known(
    alice: User, alice_client: Client, change: Callable[[FileSession], None], where: str
) -> None:
    session = make_session(alice, ago=5)
    url = LIST if where == "list" else address(session)
    seen = last_seen(alice_client, url)
    change(session)
    status, html = ask(alice_client, url, seen)
    assert status == 200
    assert ask(alice_client, url, digest(html)) == (204, "")


def test_what_comes_and_goes_is_brought(alice: User, alice_client: Client) -> None:
    seen = last_seen(alice_client, LIST)
    session = make_session(alice)
    status, html = ask(alice_client, LIST, seen)
    assert (status, names(html)) == (200, ["tides.csv"])
    session.delete()
    assert ask(alice_client, LIST, digest(html))[0] == 200


def test_what_happened_to_an_upload_is_brought_to_its_page(
    alice: User, alice_client: Client
) -> None:
    session = make_session(alice)
    seen = last_seen(alice_client, address(session))
    SessionEvent.objects.create(session=session, kind="continued")
    assert ask(alice_client, address(session), seen)[0] == 200


@pytest.mark.parametrize("seen", ["", "0" * 18, "é", "\0", "<!--seen-->", "x" * 50_000])
def test_a_digest_of_nothing_brings_the_list(alice: User, alice_client: Client, seen: str) -> None:
    make_session(alice)
    status, html = ask(alice_client, LIST, seen)
    assert (status, names(html)) == (200, ["tides.csv"])


def test_the_digest_of_one_list_is_not_that_of_another(alice: User, alice_client: Client) -> None:
    completed(alice)
    seen = {
        last_seen(alice_client, LIST + query)
        for query in ("", "?q=t", "?q=ti", "?sort=name", "?kind=document", "?show=unfinished")
    }
    assert len(seen) == 6
    front = last_seen(alice_client, LIST)
    assert ask(alice_client, f"{LIST}?q=t", front)[0] == 200


def test_p9_a_digest_never_answers_for_somebody_else_s_list(
    alice: User, alice_client: Client, bob: User, bob_client: Client
) -> None:
    """Not even where both lists show files of the same name, size and moment."""
    then = timezone.now()
    for owner in (alice, bob):
        completed(owner, updated_at=then, created_at=then)
    seen = last_seen(alice_client, LIST)
    status, html = ask(bob_client, LIST, seen)
    assert (status, names(html)) == (200, ["tides.csv"])
    assert last_seen(bob_client, LIST) != seen


def test_who_is_signed_out_learns_it_whatever_was_seen(alice: User, alice_client: Client) -> None:
    make_session(alice)
    seen = last_seen(alice_client, LIST)
    alice_client.logout()
    assert ask(alice_client, LIST, seen) == (401, "")


def test_another_language_is_another_list(alice: User, alice_client: Client) -> None:
    make_session(alice)
    for url in (LIST, address(FileSession.objects.get())):
        seen = last_seen(alice_client, url)
        assert ask(alice_client, url, seen, **{"Accept-Language": "de"})[0] == 200


def test_the_seconds_of_the_undo_notice_count_down(alice: User, alice_client: Client) -> None:
    session = trashed(alice)
    seen = last_seen(alice_client, LIST)
    FileSession.objects.filter(pk=session.pk).update(
        trashed_at=timezone.now() - timedelta(seconds=20)
    )
    status, html = ask(alice_client, LIST, seen)
    assert status == 200
    assert 1 <= int(parse(html).by_id("undo-notice").get("data-refresh-in")) <= 10


# --------------------------------------------------------------------- names full of markup


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_text_wherever_it_is_shown_and_never_the_place_of_the_digest(
    alice: User, alice_client: Client, name: str
) -> None:
    session = make_session(alice, name, folder=name.replace("/", ""))
    done = completed(alice, name, mime_type='text/"><b>')
    for url in (LIST, address(session), address(done), f"/api/v1/uploads/{session.pk}/handshake"):
        status, html = ask(alice_client, url)
        assert status == 200
        texts = [e.text for e in parse(html).all("h1", "h3") if e.text]
        assert set(texts) == {" ".join(name.split())}
        assert "<!--" not in html
        assert "<script" not in html
        if url != f"/api/v1/uploads/{session.pk}/handshake":
            assert html.count(digest(html)) == 1
            assert ask(alice_client, url, digest(html)) == (204, "")


@pytest.mark.parametrize("name", HOSTILE)
def test_the_notices_about_a_name_show_it_as_text(
    alice: User, alice_client: Client, name: str
) -> None:
    trashed(alice, name)
    status, html = ask(alice_client, LIST)
    assert status == 200
    (text,) = parse(html).by_id("undo-notice").all("p")
    assert text.text == " ".join(f"“{name}” was deleted.".split())
    assert html.count(digest(html)) == 1


@pytest.mark.parametrize("search", HOSTILE)
def test_a_search_never_is_the_place_of_the_digest(alice_client: Client, search: str) -> None:
    html = alice_client.get(LIST, {"q": search}, headers=PARTIAL).content.decode()
    assert html.count(digest(html)) == 1
    assert "<!--" not in html
    assert parse(html).by_id("search").get("value") == search


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_text_in_the_whole_document(alice: User, alice_client: Client, name: str) -> None:
    session = make_session(alice, name)
    for url in ("/", address(session)):
        html = alice_client.get(url).content.decode()
        assert "<script>alert" not in html
        assert "<!--" not in html
        (title,) = re.findall(r"<title>(.*?)</title>", html, re.DOTALL)
        assert unescape(title).startswith("Uploads" if url == "/" else name)
        assert [e.get("id") for e in parse(html).having("data-session")] == [f"upload-{session.pk}"]


def test_a_file_that_completes_while_the_list_is_read_is_on_it_once(
    alice: User, alice_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = completed(alice)
    own = FileSession.objects.filter(pk=session.pk)

    def completing(read: Callable[..., Any]) -> Callable[..., Any]:
        def after_the_first_read(*given: Any) -> Any:
            found = read(*given)
            own.update(status=SessionStatus.COMPLETED)
            return found

        return after_the_first_read

    for name in ("page_of", "_unfinished"):
        monkeypatch.setattr(context, name, completing(getattr(context, name)))
    for address_of_it in (LIST, "/"):
        own.update(status=SessionStatus.ASSEMBLING)
        text = alice_client.get(address_of_it, headers=PARTIAL).content.decode()
        assert text.count(f'id="upload-{session.pk}"') == 1
        assert "No file is complete yet" not in text
