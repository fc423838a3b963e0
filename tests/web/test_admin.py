"""The admin looks and revokes; it never edits states."""

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from tests.support.tokens import find_owner
from uploads.engine.tokens import issue_token
from uploads.models import AccessToken, EventKind, FileSession, SessionEvent, TokenScope
from uploads.web.headers import HEADER, POLICY

from .pages import STATES, completed, make_session, trashed

MODELS = ("filesession", "storedfile", "usage", "accesstoken")


@pytest.fixture
def admin_of_site(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password="root-password"))
    return client


def test_a_revoked_token_opens_nothing_any_more(admin_of_site: Client, alice: User) -> None:
    token, kept = issue_token(alice, "lost laptop"), issue_token(alice, "server")
    lost = AccessToken.objects.get(name="lost laptop")
    response = admin_of_site.post(
        reverse("admin:uploads_accesstoken_changelist"),
        {"action": "revoke", "_selected_action": [lost.pk]},
        follow=True,
    )
    assert "1 revoked" in response.content.decode()
    assert find_owner(token) is None
    assert find_owner(kept) == alice


def test_the_admin_says_what_a_token_may_do_and_when_it_was_used(
    admin_of_site: Client, alice: User
) -> None:
    issue_token(alice, "script", scopes=[TokenScope.UPLOAD, TokenScope.DELETE])
    AccessToken.objects.update(last_used_at=datetime(2026, 5, 4, 9, 30, tzinfo=UTC))
    own = reverse("admin:uploads_accesstoken_change", args=[AccessToken.objects.get().pk])
    for url in (reverse("admin:uploads_accesstoken_changelist"), own):
        html = admin_of_site.get(url).content.decode()
        assert "upload, delete" in html
        assert "May 4, 2026, 9:30 a.m." in html
        assert AccessToken.objects.get().digest not in html


def test_no_token_is_edited_or_deleted_here(admin_of_site: Client, alice: User) -> None:
    issue_token(alice, "script")
    token = AccessToken.objects.get()
    for name in ("change", "delete"):
        url = reverse(f"admin:uploads_accesstoken_{name}", args=[token.pk])
        assert admin_of_site.post(url, {"name": "other", "post": "yes"}).status_code == 403
    token.refresh_from_db()
    assert token.name == "script"


@pytest.mark.parametrize("model", MODELS)
def test_the_lists_of_the_admin_look_and_do_not_touch(
    alice: User, admin_of_site: Client, model: str
) -> None:
    completed(alice)
    issue_token(alice, "script")
    response = admin_of_site.get(f"/admin/uploads/{model}/")
    assert (response.status_code, response[HEADER]) == (200, POLICY)
    assert admin_of_site.get(f"/admin/uploads/{model}/", {"q": "tides"}).status_code == 200
    assert admin_of_site.get(f"/admin/uploads/{model}/add/").status_code == 403


def test_a_session_is_looked_at_with_its_story_and_never_changed(
    alice: User, admin_of_site: Client
) -> None:
    session = make_session(alice)
    SessionEvent.objects.create(session=session, kind=EventKind.RENAMED, detail="old-name.csv")
    own = f"/admin/uploads/filesession/{session.pk}/"
    page = admin_of_site.get(own + "change/")
    assert page.status_code == 200
    assert "old-name.csv" in page.content.decode()
    story = {"events-TOTAL_FORMS": "0", "events-INITIAL_FORMS": "0", "status": "completed"}
    assert admin_of_site.post(own + "change/", story).status_code == 403
    assert admin_of_site.post(own + "delete/", {"post": "yes"}).status_code == 403
    assert FileSession.objects.get().status == session.status
    assert session.events.count() == 1


def test_an_upload_of_unknown_size_is_listed_and_looked_at_too(
    alice: User, admin_of_site: Client
) -> None:
    session = STATES["of unknown size"](alice)
    for own in ("", f"{session.pk}/change/"):
        response = admin_of_site.get(f"/admin/uploads/filesession/{own}")
        assert response.status_code == 200
        assert session.filename in response.content.decode()


def test_the_operator_finds_what_an_owner_has_deleted(alice: User, admin_of_site: Client) -> None:
    trashed(alice, "gone.txt")
    completed(alice, "kept.txt")
    html = admin_of_site.get("/admin/uploads/filesession/", {"trashed_at__isempty": "0"})
    assert "gone.txt" in html.content.decode()
    assert "kept.txt" not in html.content.decode()
