"""What holds on every page there is, in every state: policy, structure, names of controls."""

import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.test import Client, RequestFactory

from uploads.engine.tokens import issue_token
from uploads.models import EventKind, SessionEvent
from uploads.web.headers import HEADER, POLICY, ContentSecurityPolicyMiddleware

from .documents import Element, parse
from .pages import HTMX, LIST, PARTIAL, STATES, address, completed, make_session, trashed

pytestmark = pytest.mark.django_db

Page = Callable[[User, Client], Any]


def full_dashboard(alice: User, client: Client) -> Any:
    """Everything at once: both lists, the banner, the notice of what was deleted, and a message."""
    for make in STATES.values():
        make(alice)
    trashed(alice)
    client.post(address(make_session(alice), "remove"))
    return client.get("/")


def full_list(alice: User, client: Client) -> Any:
    full_dashboard(alice, client)
    return client.get(LIST, headers=HTMX)


def details_in(state: str) -> Page:
    def get(alice: User, client: Client) -> Any:
        session = STATES[state](alice)
        SessionEvent.objects.create(session=session, kind=EventKind.OPENED)
        return client.get(address(session))

    return get


def searched(query: str) -> Page:
    def get(alice: User, client: Client) -> Any:
        for _ in range(2):
            completed(alice)
        make_session(alice)
        return client.get("/" + query)

    return get


def tokens(alice: User, client: Client) -> Any:
    issue_token(alice, "script")
    return client.get("/tokens/")


def too_many(alice: User, client: Client) -> Any:
    for _ in range(settings.AXES_FAILURE_LIMIT):
        response = Client().post("/sign-in/", {"username": "alice", "password": "guess"})
    return response


PAGES: dict[str, Page] = {
    "sign-in": lambda _, client: Client().get("/sign-in/"),
    "sign-in forgotten": lambda _, client: Client().get("/sign-in/forgotten/"),
    "a link sent": lambda _, client: Client().get("/sign-in/forgotten/sent/"),
    "a link that no longer works": lambda _, client: Client().get("/sign-in/new-password/x/y/"),
    "a new password set": lambda _, client: Client().get("/sign-in/new-password/"),
    "too many attempts": too_many,
    "the password": lambda _, client: client.get("/account/password/"),
    "a password refused": lambda _, client: client.post("/account/password/"),
    "a password changed": lambda _, client: client.get("/account/password/changed/"),
    "sign-in refused": lambda _, client: Client().post("/sign-in/", {"username": "alice"}),
    "the empty dashboard": lambda _, client: client.get("/"),
    "the full dashboard": full_dashboard,
    "a search": searched("?q=tide&kind=document&sort=name"),
    "a search for nothing": searched("?q=nowhere"),
    "under way": searched("?show=unfinished"),
    **{f"details, {state}": details_in(state) for state in STATES},
    "a name refused": lambda alice, client: client.post(
        address(completed(alice), "rename"), {"filename": "a/b"}
    ),
    "no tokens": lambda _, client: client.get("/tokens/"),
    "tokens": tokens,
    "a token made": lambda _, client: client.post("/tokens/", {"name": "x", "lifetime": "30"}),
    "a token refused": lambda _, client: client.post("/tokens/", {"name": "", "lifetime": "x"}),
    "the API": lambda _, client: client.get("/api/"),
    "the API, signed out": lambda _, client: Client().get("/api/"),
    "nothing here": lambda _, client: client.get("/no-such-page"),
}
FRAGMENTS: dict[str, Page] = {
    "the list": full_list,
    "a row": lambda alice, client: client.get(
        f"/api/v1/uploads/{make_session(alice).pk}/handshake", headers=HTMX
    ),
    "details": lambda alice, client: client.get(address(make_session(alice)), headers=PARTIAL),
}


#: What each looks like. No test changes it, so that each is made once.
_made: dict[str, str] = {}


@pytest.fixture
def document(request: pytest.FixtureRequest, alice: User, alice_client: Client) -> Element:
    name = request.param
    if name not in _made:
        _made[name] = {**PAGES, **FRAGMENTS}[name](alice, alice_client).content.decode()
    return parse(_made[name])


def each(found: dict[str, Page]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("document", found, indirect=True)


def is_there_without_script(element: Element) -> bool:
    """Whether a person sees it where scripts never run."""
    return not is_filled_in_by_script(element) and not any(
        "needs-script" in above.classes for above in element.and_above()
    )


def is_filled_in_by_script(element: Element) -> bool:
    return any(
        "hidden" in above.attrs or above.tag in {"template", "dialog"}
        for above in element.and_above()
    )


# -------------------------------------------------------------------------------- the policy


@pytest.mark.parametrize("name", [*PAGES, *FRAGMENTS])
def test_every_page_has_the_policy(alice: User, alice_client: Client, name: str) -> None:
    response = {**PAGES, **FRAGMENTS}[name](alice, alice_client)
    assert response[HEADER] == POLICY


@each({**PAGES, **FRAGMENTS})
def test_nothing_is_inline(document: Element) -> None:
    for element in document.walk():
        assert element.tag != "style"
        assert not [
            value for value in element.attrs.values() if re.match(r"\s*(javascript|js):", value)
        ]
        assert not [name for name in element.attrs if name.startswith("hx-on")]
        assert not [name for name in element.attrs if name == "style" or name.startswith("on")]
        if element.tag == "script":
            assert element.get("src")
            assert not element.text


def test_a_stricter_policy_of_a_response_stays(rf: RequestFactory) -> None:
    def answer(request: HttpRequest) -> HttpResponse:
        return HttpResponse("<p>", headers={HEADER: "sandbox"})

    assert ContentSecurityPolicyMiddleware(answer)(rf.get("/"))[HEADER] == "sandbox"


def test_json_carries_no_policy_for_pages(alice_client: Client) -> None:
    assert HEADER not in alice_client.get("/api/v1/uploads")


def test_the_policy_allows_no_inline_code_and_no_other_origin() -> None:
    assert "unsafe-inline" not in POLICY
    assert "'unsafe-eval'" not in POLICY
    assert "http" not in POLICY


@each({**PAGES, **FRAGMENTS})
def test_nothing_is_loaded_from_elsewhere(document: Element) -> None:
    for element in document.walk():
        for name in ("src", "href", "action", "formaction", "hx-get"):
            assert not re.match(r"\w+:|//", element.get(name)), element.attrs


# ----------------------------------------------------------------------------- the structure


@each({**PAGES, **FRAGMENTS})
def test_every_id_is_one_element_s_own(document: Element) -> None:
    counted = Counter(e.get("id") for e in document.having("id"))
    assert [given for given, count in counted.items() if count > 1 or not given] == []


@each(PAGES)
def test_every_reference_leads_to_an_element(document: Element) -> None:
    ids = {e.get("id") for e in document.having("id")}
    for element in document.walk():
        for name in ("for", "form", "aria-labelledby", "aria-describedby", "aria-controls"):
            assert set(element.get(name).split()) <= ids, (element.tag, element.attrs)
        if element.get("href").startswith("#"):
            assert element.get("href")[1:] in ids


@each(PAGES)
def test_every_page_has_one_main_part_one_title_and_its_headings_in_order(
    document: Element,
) -> None:
    (main,) = document.all("main")
    assert [title.text for title in document.all("title")] != [""]
    levels = [int(heading.tag[1]) for heading in main.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


@each(PAGES)
def test_every_control_has_a_name(document: Element) -> None:
    labelled = {label.get("for") for label in document.all("label") if label.text}
    texts = {e.get("id"): e.text for e in document.having("id")}
    for control in document.all("input", "select", "textarea", "progress", "meter"):
        if control.get("type") == "hidden" or is_filled_in_by_script(control):
            continue
        assert (
            control.get("aria-label").strip()
            or any(texts.get(given) for given in control.get("aria-labelledby").split())
            or control.get("id") in labelled
            or any(above.tag == "label" and above.text for above in control.and_above())
        ), control.attrs


@each(PAGES)
def test_every_button_and_link_says_what_it_does(document: Element) -> None:
    for element in document.all("button", "a"):
        if not is_filled_in_by_script(element):
            assert element.text or element.get("aria-label"), element.attrs


@each(PAGES)
def test_every_form_part_and_list_of_links_has_a_name_of_its_own(document: Element) -> None:
    texts = {e.get("id"): e.text for e in document.having("id")}
    for tag in ("nav", "section", "aside", "dialog"):
        given = [
            e.get("aria-label") or texts.get(e.get("aria-labelledby"), "")
            for e in document.all(tag)
            if is_there_without_script(e)
        ]
        assert all(given), tag
        assert len(given) == len(set(given)), tag


@each(PAGES)
def test_every_moment_can_be_read_by_programs(document: Element) -> None:
    for time in document.all("time"):
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", time.get("datetime")), time.attrs
        assert time.text


# ---------------------------------------------------------------------------- without JavaScript


@each(PAGES)
def test_without_javascript_every_button_in_sight_sends_a_form(document: Element) -> None:
    for button in filter(is_there_without_script, document.all("button")):
        assert button.get("type") == "submit", button.attrs
        outer = [above for above in button.and_above() if above.tag == "form"]
        (form,) = [document.by_id(button.get("form"))] if button.get("form") else outer
        assert form.get("method") in {"get", "post"}
        # Without an address a form goes to that of its page, which must then take it.
        assert button.get("formaction") or form.get("action") or "sign-in" in form.classes


@each(PAGES)
def test_without_javascript_no_control_in_sight_belongs_to_nothing(document: Element) -> None:
    for control in document.all("input", "select", "textarea"):
        if is_there_without_script(control) and control.get("type") != "hidden":
            inside = any(above.tag == "form" for above in control.and_above())
            assert control.get("form") or inside, control.attrs
            assert control.get("name"), control.attrs


def test_without_javascript_files_can_be_sent_found_and_deleted(
    alice: User, alice_client: Client
) -> None:
    session = completed(alice)
    found = parse(alice_client.get("/").content.decode())
    (sender,) = [f for f in found.all("form") if f.get("enctype") == "multipart/form-data"]
    assert any(above.tag == "noscript" for above in sender.and_above())
    assert sender.get("action") == "/uploads/send"
    tools = found.by_id("tools")
    assert (tools.get("method"), tools.get("action")) == ("get", "/")
    assert [b.get("type") for b in tools.all("button")] == ["submit"]
    fields = {e.get("name") for e in tools.having("name")}
    assert fields == {"q", "kind", "sort"}
    delete = found.by_id(f"delete-{session.pk}")
    assert delete.get("formaction") == address(session, "remove")
    assert found.by_id(delete.get("form")).get("method") == "post"


@pytest.mark.parametrize("template", ["400", "403", "403_csrf", "404", "500", "503"])
def test_error_pages_render_without_any_context(template: str) -> None:
    html = render_to_string(f"{template}.html")
    assert parse(html).all("h1")
    assert "To your uploads" in html or "Try again" in html
