"""Who may do what: cookies need their CSRF token, personal tokens do not; others see nothing."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from tests.support.tokens import find_owner
from uploads.engine.tokens import PREFIX, issue_token
from uploads.models import AccessToken, FileSession
from uploads.protocols.auth import PAGE_OF

from .conftest import refused

URL = "/api/v1/uploads/handshake"
FIELDS = {"filename": "f", "size": 10}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_a_cookie_needs_its_csrf_token(alice: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    assert refused(client.post(URL, FIELDS, "application/json"), 403, "csrf_failed")
    token = "a" * 32
    client.cookies["csrftoken"] = token
    wrong = client.post(URL, FIELDS, "application/json", headers={"X-CSRFToken": "b" * 32})
    assert refused(wrong, 403, "csrf_failed")
    right = client.post(URL, FIELDS, "application/json", headers={"X-CSRFToken": token})
    assert right.status_code == 201


def test_a_personal_token_needs_none(alice_token: str) -> None:
    client = Client(enforce_csrf_checks=True)
    response = client.post(URL, FIELDS, "application/json", headers=bearer(alice_token))
    assert response.status_code == 201


@pytest.mark.parametrize(
    "header", ["Bearer nonsense", "Bearer", "Bearer ", "Basic YTpi", "x", "Bearer \xff", "Bearer  "]
)
def test_a_wrong_token_is_401_even_with_a_cookie(alice_client: Client, header: str) -> None:
    response = alice_client.get("/api/v1/uploads", headers={"Authorization": header})
    assert refused(response, 401, "not_authenticated")


def test_only_the_hash_of_a_token_is_stored(alice: User, alice_token: str) -> None:
    row = AccessToken.objects.get()
    assert alice_token.startswith(PREFIX)
    assert alice_token not in map(str, vars(row).values())
    assert find_owner(alice_token) == alice


def test_expired_revoked_and_inactive_tokens_are_nobody_s(alice: User) -> None:
    expired, revoked, inactive = (issue_token(alice, n, timedelta(hours=1)) for n in "abc")
    past = timezone.now() - timedelta(seconds=1)
    AccessToken.objects.filter(name="a").update(
        created_at=past - timedelta(days=1), expires_at=past
    )
    AccessToken.objects.filter(name="b").update(revoked_at=past)
    assert [find_owner(expired), find_owner(revoked)] == [None, None]
    assert find_owner(inactive) == alice
    User.objects.update(is_active=False)
    assert find_owner(inactive) is None


def test_p9_what_a_page_of_another_account_sends_never_becomes_this_one_s(
    alice: User, bob: User, bob_client: Client
) -> None:
    """Alice's page is open still; in another tab of this browser bob has signed in."""
    hers = {PAGE_OF: str(alice.pk)}
    answer = bob_client.post(URL, FIELDS, "application/json", headers=hers)
    assert refused(answer, 401, "not_authenticated")
    assert not FileSession.objects.exists()
    own = bob_client.post(URL, FIELDS, "application/json", headers={PAGE_OF: str(bob.pk)}).json()
    chunk = own["urls"]["chunk"].replace("{index}", "0")
    for method, url in (
        ("GET", "/api/v1/uploads"),
        ("GET", own["urls"]["self"]),
        ("PUT", chunk),
        ("DELETE", own["urls"]["self"]),
    ):
        answer = bob_client.generic(method, url, b"0123456789", headers=hers)
        assert refused(answer, 401, "not_authenticated")
    session = FileSession.objects.get()
    assert (session.owner, session.received_count, session.status) == (bob, 0, "active")


def test_a_personal_token_is_its_owner_s_whatever_page_is_named(alice_token: str) -> None:
    headers = {**bearer(alice_token), PAGE_OF: "0"}
    assert Client().get("/api/v1/uploads", headers=headers).status_code == 200
