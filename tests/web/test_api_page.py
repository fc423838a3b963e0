"""The page of the API, and the OpenAPI document that it is made of."""

import pytest
import yaml
from django.contrib.auth.models import User
from django.test import Client

from tests.support.server import REPOSITORY
from uploads.web.api_page import METHODS, prose

from .documents import Element, parse

pytestmark = pytest.mark.django_db

URL = "/api/"
DOCUMENT_URL = "/api/v1/openapi.yaml"
SPOKEN = yaml.safe_load((REPOSITORY / "docs" / "openapi.yaml").read_text())
GERMAN = {"Accept-Language": "de"}


@pytest.fixture
def page(client: Client) -> Element:
    """Of somebody who is not signed in."""
    return parse(client.get(URL).content.decode())


def operations(page: Element) -> dict[str, Element]:
    """By method and path, as the heading of each says."""
    return {
        article.all("h3")[0].text: article
        for article in page.all("article")
        if "operation" in article.classes
    }


def test_the_document_is_served_as_it_is_to_everybody(client: Client) -> None:
    answer = client.get(DOCUMENT_URL)
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/yaml"
    assert answer["Cache-Control"] == "no-store"
    assert answer.content == (REPOSITORY / "docs" / "openapi.yaml").read_bytes()


@pytest.mark.parametrize("address", [URL, DOCUMENT_URL])
def test_another_method_is_told_which_ones_there_are_and_not_of_a_csrf_token(address: str) -> None:
    answer = Client(enforce_csrf_checks=True).post(address)
    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")


def test_every_operation_of_the_document_is_on_the_page(page: Element) -> None:
    described = {
        f"{method.upper()} {path}"
        for path, item in SPOKEN["paths"].items()
        for method in METHODS
        if method in item
    }
    assert set(operations(page)) == described


def test_an_operation_shows_what_goes_in_and_what_comes_out(page: Element) -> None:
    shown = operations(page)["PUT /uploads/sessions/{id}/parts/{number}"].text
    assert "Send a part as the raw body" in shown
    assert "Upload-Offset header, integer, from 0" in shown
    assert "number path, integer, from 1, required" in shown
    assert "--data-binary @-" in shown
    assert '"received_parts": 1' in shown
    assert "409" in shown
    assert "chunk_conflict" in shown


def test_the_fields_of_a_body_show_what_they_may_be(page: Element) -> None:
    shown = operations(page)["POST /api/v1/uploads/handshake"].text
    assert "filename string, at most 255 characters, required" in shown
    assert "chunk_size integer | null, 262144 to 67108864" in shown
    assert "state active | assembling | completed | failed | cancelled | expired" in shown


def test_a_member_that_is_not_always_answered_says_so(page: Element) -> None:
    shown = operations(page)["GET /api/v1/uploads/{id}"].text
    assert "error string, not always there" in shown
    assert "Upload-Length integer, from 0, not always there" in shown
    assert "id string, uuid The" not in shown


def test_the_contents_lead_to_every_operation(page: Element) -> None:
    (contents,) = [nav for nav in page.all("nav") if "api-contents" in nav.classes]
    links = [link.get("href").removeprefix("#") for link in contents.all("a")]
    headings = [heading.get("id") for heading in page.all("h2", "h3") if heading.get("id")]
    assert links == headings


def test_in_another_language_what_the_document_says_is_marked_as_english(client: Client) -> None:
    german = parse(client.get(URL, headers=GERMAN).content.decode())
    (article,) = [a for name, a in operations(german).items() if name == "POST /uploads/send"]
    assert "Antworten" in article.text
    for element in german.all("code", "dt", "h2", "h3", "pre"):
        languages = [above.get("lang") for above in element.and_above() if above.get("lang")]
        assert languages[0] == "en" or element.text.isdigit(), element.text
    for heading in article.all("h4"):
        assert not any(above.get("lang") == "en" for above in heading.and_above())


def test_it_is_the_same_signed_in_with_the_site_around(
    alice: User, alice_client: Client, page: Element
) -> None:
    signed_in = parse(alice_client.get(URL).content.decode())
    assert operations(signed_in).keys() == operations(page).keys()
    assert alice.username in signed_in.text
    assert alice.username not in page.text


def test_the_page_of_tokens_leads_here(alice_client: Client) -> None:
    tokens = parse(alice_client.get("/tokens/").content.decode())
    (link,) = [a for a in tokens.all("a") if a.get("href") == URL]
    assert link.text == "How scripts send and fetch files"


def test_text_of_the_document_is_escaped_but_for_its_code() -> None:
    assert prose("a <b> `c <d>`\n e\n\nf") == ["a &lt;b&gt; <code>c &lt;d&gt;</code> e", "f"]
