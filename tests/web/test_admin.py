"""The admin looks and revokes; it never edits states."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from uploads.engine.tokens import find_owner, issue_token
from uploads.models import AccessToken


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


def test_no_token_is_edited_or_deleted_here(admin_of_site: Client, alice: User) -> None:
    issue_token(alice, "script")
    token = AccessToken.objects.get()
    for name in ("change", "delete"):
        url = reverse(f"admin:uploads_accesstoken_{name}", args=[token.pk])
        assert admin_of_site.post(url, {"name": "other", "post": "yes"}).status_code == 403
    token.refresh_from_db()
    assert token.name == "script"
