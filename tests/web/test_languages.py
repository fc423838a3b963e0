"""The pages in the language that a browser asks for: words change, what programs read does not."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from uploads.models import EventKind, SessionEvent, SessionStatus

from .documents import Element, parse
from .pages import HTMX, LIST, STATES, address, completed, make_session, trashed

pytestmark = pytest.mark.django_db
GERMAN = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}
#: What scripts, styles and browsers read; never a matter of language.
FOR_PROGRAMS = {
    "data-chunks",
    "data-session",
    "data-sha256",
    "data-state",
    "datetime",
    "formaction",
    "href",
    "hx-get",
    "hx-trigger",
    "id",
    "max",
    "value",
    "viewbox",
    "width",
    "x",
}
each_state = pytest.mark.parametrize("state", STATES)


def german(client: Client, url: str) -> Element:
    response = client.get(url, headers=GERMAN)
    assert response.status_code == 200
    assert "Accept-Language" in response["Vary"]
    return parse(response.content.decode())


def for_programs(document: Element) -> list[Any]:
    return [
        [(name, e.get(name)) for name in FOR_PROGRAMS if name in e.attrs]
        for e in document.walk()
        if e.get("name") != "csrfmiddlewaretoken"
    ]


@each_state
def test_every_state_can_be_shown_in_german(alice: User, alice_client: Client, state: str) -> None:
    session = STATES[state](alice)
    for kind in EventKind.values:
        SessionEvent.objects.create(session=session, kind=kind, detail="1")
    for url in ("/", "/?show=unfinished", address(session)):
        document = german(alice_client, url)
        assert [html.get("lang") for html in document.all("html")] == ["de"]


@each_state
def test_what_programs_read_is_the_same_in_every_language(
    alice: User, alice_client: Client, state: str
) -> None:
    session = STATES[state](alice)
    for url in ("/", address(session)):
        in_english = parse(alice_client.get(url).content.decode())
        assert for_programs(german(alice_client, url)) == for_programs(in_english)


def test_the_map_is_drawn_in_every_language(alice: User, alice_client: Client) -> None:
    session = make_session(alice)
    document = german(alice_client, address(session))
    bars = document.all("rect")
    assert len(bars) == 3
    for bar in bars:
        assert re.fullmatch(r"\d+(\.\d+)?", bar.get("x"))
        assert re.fullmatch(r"\d+(\.\d+)?", bar.get("width"))


def test_numbers_for_people_are_written_as_they_write_them(
    alice: User, alice_client: Client
) -> None:
    document = german(alice_client, address(make_session(alice)))
    assert [e.text for e in document.having("data-percent")] == ["33,3 %"]


def test_other_pages_can_be_shown_in_german(alice: User, alice_client: Client) -> None:
    completed(alice)
    trashed(alice)
    for url in ("/?q=nowhere", "/?q=tide", "/tokens/"):
        german(alice_client, url)
    assert alice_client.get(LIST, headers={**HTMX, **GERMAN}).status_code == 200
    assert Client().get("/sign-in/", headers=GERMAN).status_code == 200
    assert alice_client.get("/no-such-page", headers=GERMAN).status_code == 404


def test_a_refused_name_and_what_was_done_can_be_said_in_german(
    alice: User, alice_client: Client
) -> None:
    session = completed(alice)
    for name in ("", "a/b", "x" * 256, "a\nb"):
        url = address(session, "rename")
        response = alice_client.post(url, {"filename": name}, headers=GERMAN)
        assert response.status_code == 422
        parse(response.content.decode())
    alice_client.post(address(make_session(alice), "remove"), headers=GERMAN)
    german(alice_client, "/")


def test_the_script_has_its_words_in_every_language(alice_client: Client) -> None:
    for language in ("en", "de"):
        response = alice_client.get("/texts.js", headers={"Accept-Language": language})
        assert response.status_code == 200
        assert "javascript" in response["Content-Type"]
        assert b"gettext" in response.content
        assert "Accept-Language" in response["Vary"]


def test_a_language_that_there_is_none_of_is_answered_in_english(
    alice: User, alice_client: Client
) -> None:
    session = make_session(alice, status=SessionStatus.FAILED)
    response = alice_client.get(address(session), headers={"Accept-Language": "tlh"})
    assert [e.get("lang") for e in parse(response.content.decode()).all("html")] == ["en"]
