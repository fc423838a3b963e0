"""The dashboard: what is under way, what is finished, what was interrupted; and the way in."""

import re
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from uploads.models import FileSession, SessionStatus
from uploads.web.context import MAX_UNFINISHED

from .documents import Element
from .pages import (
    HTMX,
    LIST,
    STATES,
    completed,
    link,
    make_session,
    names,
    row,
    rows,
    shown,
    trashed,
)

pytestmark = pytest.mark.django_db


def banner(document: Element) -> str:
    found = [e.text for e in document.walk() if e.get("data-slot") == "interrupted"]
    return found[0] if found else ""


def section(document: Element, list_id: str) -> list[str]:
    """The names in one of the two lists; none when it is not there."""
    found = [ul for ul in document.all("ul") if ul.get("id") == list_id]
    return [h3.text for ul in found for h3 in ul.all("h3")]


def make_many(owner: User, count: int) -> None:
    FileSession.objects.bulk_create(
        FileSession(
            owner=owner,
            filename=f"{i}.txt",
            size=i,
            chunk_size=1000,
            created_at=timezone.now() - timedelta(hours=1, seconds=i),
            updated_at=timezone.now() - timedelta(hours=1, seconds=i),
            expires_at=timezone.now() + timedelta(hours=1),
        )
        for i in range(count)
    )


# ---------------------------------------------------------------------------- the lists


def test_page_and_partial_show_the_same_list(alice: User, alice_client: Client) -> None:
    for make in STATES.values():
        make(alice)
    for query in ("", "?q=tide", "?show=unfinished&sort=name", "?q=nothing"):
        assert rows(alice_client, query) in alice_client.get("/" + query).content.decode()


def test_a_fragment_has_no_blank_text_around_it_that_morphs_would_leave_behind(
    alice: User, alice_client: Client
) -> None:
    session = make_session(alice)
    for html in (rows(alice_client), row(alice_client, session)):
        assert html.startswith("<")
        assert html.endswith(">")


def test_what_is_under_way_and_what_is_finished_are_two_lists_the_newest_first(
    alice: User, alice_client: Client
) -> None:
    make_session(alice, "old.txt", ago=500)
    make_session(alice, "new.txt", ago=100)
    make_session(alice, "gone.txt", ago=300, status=SessionStatus.CANCELLED)
    completed(alice, "done-long-ago.txt", ago=900)
    completed(alice, "done.txt", ago=200)
    document = shown(alice_client, "/")
    assert section(document, "unfinished-list") == ["new.txt", "old.txt"]
    assert section(document, "upload-list") == ["done.txt", "done-long-ago.txt"]


def test_what_is_under_way_keeps_its_place_while_it_moves(
    alice: User, alice_client: Client
) -> None:
    first, second = (
        make_session(alice, "first.txt", ago=20),
        make_session(alice, "second.txt", ago=10),
    )
    FileSession.objects.filter(pk=first.pk).update(updated_at=timezone.now())
    assert names(rows(alice_client)) == [second.filename, first.filename]


@pytest.mark.parametrize("query", ["?q=tide", "?kind=document", "?sort=name&after=x&q=a"])
def test_who_looks_for_something_sees_only_that(
    alice: User, alice_client: Client, query: str
) -> None:
    make_session(alice, "tide-under-way.txt")
    completed(alice, "tide.txt")
    document = shown(alice_client, "/" + query)
    assert section(document, "unfinished-list") == []
    assert not banner(document)


def test_another_order_alone_hides_nothing(alice: User, alice_client: Client) -> None:
    make_session(alice, "under-way.txt")
    document = shown(alice_client, "/?sort=name")
    assert section(document, "unfinished-list") == ["under-way.txt"]


def test_no_more_than_a_hundred_under_way_are_shown_and_a_link_leads_to_all(
    alice: User, alice_client: Client
) -> None:
    make_many(alice, MAX_UNFINISHED + 1)
    document = shown(alice_client, "/")
    assert section(document, "unfinished-list") == [f"{i}.txt" for i in range(MAX_UNFINISHED)]
    links = [a.get("href") for a in document.all("a") if a.text == "All that is under way"]
    assert links == ["/?show=unfinished"]
    found: list[str] = []
    query: str | None = links[0].removeprefix("/")
    while query:
        html = rows(alice_client, query)
        found += names(html)
        query = link(html, "next")
    assert sorted(found) == sorted(f"{i}.txt" for i in range(MAX_UNFINISHED + 1))


def test_a_hundred_under_way_need_no_other_page(alice: User, alice_client: Client) -> None:
    make_many(alice, MAX_UNFINISHED)
    document = shown(alice_client, "/")
    assert len(section(document, "unfinished-list")) == MAX_UNFINISHED
    assert "All that is under way" not in document.text


def test_a_page_of_the_finished_is_as_long_as_the_site_wants(
    alice: User, alice_client: Client, settings: Settings
) -> None:
    settings.UPLOADS = {**settings.UPLOADS, "PAGE_SIZE": 2}
    for i in range(3):
        completed(alice, f"{i}.txt", ago=10 * i)
        make_session(alice, f"under-way-{i}.txt")
    document = shown(alice_client, "/")
    assert section(document, "upload-list") == ["0.txt", "1.txt"]
    assert len(section(document, "unfinished-list")) == 3


# --------------------------------------------------------------------------- the banner


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, ""), (1, "1 upload was interrupted."), (3, "3 uploads were interrupted.")],
)
def test_the_banner_counts_what_was_interrupted_and_nothing_else(
    alice: User, alice_client: Client, count: int, words: str
) -> None:
    for state, make in STATES.items():
        if state not in {"interrupted", "of unknown size"}:
            make(alice)
    for _ in range(count):
        make_session(alice)
    document = shown(alice_client, "/")
    assert banner(document) == words
    marked = document.by_id("uploads").having("data-interrupted")
    assert len(marked) == count


# ------------------------------------------------------------------- empty, full, in between


def test_the_empty_page_invites(alice_client: Client) -> None:
    document = shown(alice_client, "/")
    assert "Nothing here yet" in document.by_id("empty").text
    assert not [e for e in document.walk() if e.get("id") in {"tools", "finished"}]


@pytest.mark.parametrize("state", sorted(STATES.keys() - {"cancelled"}))
def test_a_page_that_has_anything_is_not_empty(
    alice: User, alice_client: Client, state: str
) -> None:
    STATES[state](alice)
    document = shown(alice_client, "/")
    assert not [e for e in document.walk() if e.get("id") == "empty"]
    assert document.by_id("finished")


def test_the_means_to_find_files_are_there_wherever_there_is_something_to_find_or_was_sought(
    alice: User, alice_client: Client
) -> None:
    def has_tools(query: str) -> bool:
        return "tools" in [e.get("id") for e in shown(alice_client, "/" + query).having("id")]

    make_session(alice)
    assert not has_tools("")
    for query in ("?q=nowhere", "?kind=image", "?show=unfinished"):
        assert has_tools(query)
    completed(alice)
    assert has_tools("")


def test_only_finished_files_are_deleted_together(alice: User, alice_client: Client) -> None:
    make_session(alice)
    completed(alice)
    for query, offered in (("", True), ("?show=unfinished", False)):
        ids = [e.get("id") for e in shown(alice_client, "/" + query).having("id")]
        assert ("remove-chosen" in ids) is offered


def test_while_nothing_is_complete_yet_the_page_says_so(alice: User, alice_client: Client) -> None:
    make_session(alice)
    assert shown(alice_client, "/").by_id("nothing").text == "No file is complete yet."


def test_a_search_without_an_answer_offers_the_way_out(alice: User, alice_client: Client) -> None:
    completed(alice)
    nothing = shown(alice_client, "/?q=nowhere").by_id("nothing")
    assert nothing.text == "Nothing matches. Show everything"
    assert [a.get("href") for a in nothing.all("a")] == ["/"]


def test_a_search_in_an_empty_house_is_a_search(alice_client: Client) -> None:
    assert "Nothing matches." in shown(alice_client, "/?q=nowhere").by_id("nothing").text


def test_nothing_under_way_is_said_where_it_was_asked_for(alice_client: Client) -> None:
    nothing = shown(alice_client, "/?show=unfinished").by_id("nothing")
    assert nothing.text == "Nothing is under way."


@pytest.mark.parametrize(
    ("count", "words"),
    [(1, "1 file, 15.0 MB used; 3.0 GB free"), (2, "2 files, 30.0 MB used; 3.0 GB free")],
)
def test_the_space_that_is_used_and_left_is_shown(
    alice: User, alice_client: Client, bob: User, count: int, words: str
) -> None:
    completed(bob)
    make_session(alice)
    trashed(alice)
    for _ in range(count):
        completed(alice)
    assert shown(alice_client, "/").by_id("storage").text == words


# ----------------------------------------------------------------------- what htmx is told


def test_a_list_that_the_form_fetched_gets_the_address_that_links_to_it_have(
    alice_client: Client,
) -> None:
    url = "/?q=tide&kind=&sort=newest"
    response = alice_client.get(url, headers={**HTMX, "HX-Target": "div#uploads"})
    assert response["HX-Replace-Url"] == "/?q=tide"
    cleared = alice_client.get("/?q=&kind=", headers={**HTMX, "HX-Target": "div#uploads"})
    assert cleared["HX-Replace-Url"] == "/"


def test_other_visits_keep_the_address_they_came_by(alice_client: Client) -> None:
    for headers in ({}, HTMX, {**HTMX, "HX-Target": "main#main"}):
        assert "HX-Replace-Url" not in alice_client.get("/?q=tide", headers=headers)


def test_a_list_that_cannot_be_refreshed_stays(alice: User, alice_client: Client) -> None:
    make_session(alice)
    uploads = shown(alice_client, "/").by_id("uploads")
    assert uploads.get("hx-status:4xx") == uploads.get("hx-status:5xx") == "swap:none"


def test_the_page_gives_the_module_everything_it_needs(alice_client: Client) -> None:
    html = alice_client.get("/").content.decode()
    assert f'data-handshake-url="{LIST}"' in html
    assert 'data-sessions-url="/api/v1/uploads"' in html
    assert 'data-sign-in-url="/sign-in/"' in html
    assert 'data-worker-url="/static/js/uploads/hash-worker.js"' in html
    assert f'data-csrf-cookie="{django_settings.CSRF_COOKIE_NAME}"' in html
    assert re.search(r'data-csrf-token="\w{64}"', html)


# ----------------------------------------------------------------------------- the way in


def test_signing_in_leads_to_the_dashboard_and_a_wrong_password_says_so(
    alice: User, client: Client
) -> None:
    wrong = client.post("/sign-in/", {"username": "alice", "password": "guess"})
    assert 'role="alert"' in wrong.content.decode()
    right = client.post("/sign-in/", {"username": "alice", "password": "alice-password"})
    assert (right.status_code, right["Location"]) == (302, "/")


def test_signing_in_keeps_where_one_was_going(client: Client, db: None) -> None:
    html = client.get("/sign-in/?next=/%3Fq%3Dtide").content.decode()
    assert '<input type="hidden" name="next" value="/?q=tide">' in html


def test_signing_out_needs_a_form_and_not_a_link(alice_client: Client) -> None:
    assert alice_client.get("/sign-out/").status_code == 405
    assert alice_client.post("/sign-out/")["Location"] == "/sign-in/"
    assert alice_client.get("/").status_code == 302
