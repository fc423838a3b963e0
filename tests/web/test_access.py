"""Who sees what: one's own sessions, signed in, and nobody else's."""

from gzip import decompress
from typing import Any, NoReturn
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http.multipartparser import MultiPartParser
from django.test import Client
from pytest_django import Settings

from uploads.models import AccessToken, FileSession
from uploads.protocols.auth import PAGE_OF

from .pages import HTMX, LIST, PARTIAL, address, completed, make_session, names, rows, trashed

pytestmark = pytest.mark.django_db


def test_signed_out_a_page_asks_to_sign_in_and_comes_back(client: Client) -> None:
    response = client.get("/?q=tide")
    assert (response.status_code, response["Location"]) == (302, "/sign-in/?next=/%3Fq%3Dtide")
    own_page = f"/uploads/{uuid4()}/"
    response = client.get(own_page)
    assert (response.status_code, response["Location"]) == (302, f"/sign-in/?next={own_page}")


def test_a_signed_out_poll_never_swaps_the_sign_in_page_into_the_list(client: Client) -> None:
    unknown = uuid4()
    for url in (LIST, f"/api/v1/uploads/{unknown}/handshake", f"/uploads/{unknown}/"):
        response = client.get(url, headers=PARTIAL)
        assert response.status_code == 401
        assert response.content == b""
        assert response["HX-Redirect"] == "/sign-in/?next=/"
        assert "no-store" in response["Cache-Control"]


def test_p9_nobody_sees_the_sessions_of_another(alice: User, bob: User, bob_client: Client) -> None:
    for session in (make_session(alice, "secret-plans.txt"), completed(alice, "secret-song.ogg")):
        assert "secret" not in bob_client.get("/").content.decode()
        assert session.filename not in bob_client.get("/?q=secret").content.decode()
        for url in (f"/api/v1/uploads/{session.pk}/handshake", address(session)):
            assert bob_client.get(url, headers=PARTIAL).status_code == 404
        assert bob_client.get(address(session)).status_code == 404
    completed(bob, "own.txt")
    assert names(rows(bob_client)) == ["own.txt"]


def test_p9_what_another_has_deleted_is_not_offered_for_bringing_back(
    alice: User, bob_client: Client
) -> None:
    trashed(alice, "secret.txt")
    assert "secret" not in rows(bob_client)


def test_what_was_deleted_has_no_page_any_more(alice: User, alice_client: Client) -> None:
    session = trashed(alice)
    assert alice_client.get(address(session)).status_code == 404
    url = f"/api/v1/uploads/{session.pk}/handshake"
    assert alice_client.get(url, headers=HTMX).status_code == 404


def test_an_unknown_upload_is_not_found(alice_client: Client) -> None:
    for url in (f"/api/v1/uploads/{uuid4()}/handshake", f"/uploads/{uuid4()}/"):
        assert alice_client.get(url, headers=HTMX).status_code == 404


def test_an_address_of_no_upload_is_no_error(alice_client: Client) -> None:
    for url in ("/uploads/1/", "/uploads/none/", "/uploads/%00/", "/uploads/"):
        assert alice_client.get(url).status_code == 404


def test_pages_and_partials_are_never_stored_and_partials_vary_on_who_asks_how(
    alice: User, alice_client: Client
) -> None:
    session = make_session(alice)
    for url in ("/", address(session)):
        assert "no-store" in alice_client.get(url)["Cache-Control"]
    for url in (LIST, f"/api/v1/uploads/{session.pk}/handshake"):
        response = alice_client.get(url, headers=HTMX)
        assert response["Cache-Control"] == "no-store"
        assert "HX-Request" in response["Vary"]


# ------------------------------------------------- a page that outlives a sign-in as somebody else


def test_the_page_of_another_account_leads_to_the_sign_in_and_shows_nothing(
    alice: User, bob: User, bob_client: Client
) -> None:
    completed(bob, "own.txt")
    headers = {**HTMX, PAGE_OF: str(alice.pk)}
    for url in ("/", "/tokens/"):
        response = bob_client.get(url, headers=headers)
        # A redirect would go round and round: the sign-in page sends him back.
        assert (response.status_code, response["HX-Redirect"]) == (401, "/sign-in/?next=/")
    response = bob_client.get(LIST, headers={**PARTIAL, PAGE_OF: str(alice.pk)})
    assert (response.status_code, response.content) == (401, b"")
    # Her own page, or a request that says nothing of any, is his.
    for whose in ({}, {PAGE_OF: str(bob.pk)}):
        assert "own.txt" in bob_client.get(LIST, headers={**HTMX, **whose}).content.decode()


def test_a_form_of_another_account_s_page_changes_nothing(
    alice: User, bob: User, bob_client: Client
) -> None:
    session = completed(bob)
    headers = {**HTMX, PAGE_OF: str(alice.pk)}
    forms: dict[str, dict[str, Any]] = {
        address(session, "remove"): {},
        address(session, "rename"): {"filename": "other.txt"},
        "/uploads/remove": {"id": str(session.pk)},
        "/tokens/": {"name": "backup", "lifetime": "90", "scopes": ["read"]},
    }
    for url, fields in forms.items():
        response = bob_client.post(url, fields, headers=headers)
        assert (response.status_code, response["HX-Redirect"]) == (401, "/sign-in/?next=/")
    kept = FileSession.objects.get(pk=session.pk)
    assert (kept.filename, kept.trashed_at) == (session.filename, None)
    assert not AccessToken.objects.exists()


# ----------------------------------------------------------------------------- requests by size


@pytest.mark.parametrize("url", ["/uploads/remove", "/tokens/", "/sign-in/"])
def test_a_file_sent_to_a_form_without_one_is_refused_unread(
    alice_client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    def read(_: object) -> NoReturn:
        raise AssertionError("the body was read")

    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    monkeypatch.setattr(MultiPartParser, "parse", read)
    response = alice_client.post(url, {"file": SimpleUploadedFile("film.mkv", b"x" * 1001)})
    assert response.status_code == 400


def test_who_takes_compressed_lists_gets_them(alice: User, alice_client: Client) -> None:
    session = completed(alice, "tide table.csv")
    for url in ("/", LIST, address(session)):
        response = alice_client.get(url, headers={**HTMX, "Accept-Encoding": "gzip"})
        assert response["Content-Encoding"] == "gzip"
        assert "tide table.csv" in decompress(response.content).decode()
        assert "Content-Encoding" not in alice_client.get(url, headers=HTMX)


def test_what_another_tab_has_deleted_is_gone_from_a_list_without_a_complaint(
    alice: User, alice_client: Client
) -> None:
    session = trashed(alice)
    url = address(session, "remove")
    page = "http://testserver/?q=tide"
    response = alice_client.post(url, headers={**HTMX, "HX-Current-URL": page})
    assert (response.status_code, response["Location"]) == (303, page)
    # Where no script shows that the row has gone, it is said.
    assert alice_client.post(url).status_code == 404
