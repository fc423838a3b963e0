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


#: Every URL: name -> (method, owner, other user, anonymous). 302 is the way to the sign-in page.
ACCESS = {
    "dashboard": ("GET", 200, 200, 302),
    "details": ("GET", 200, 404, 302),
    # Without a name, which its owner is told.
    "rename": ("POST", 422, 404, 302),
    "remove": ("POST", 303, 404, 302),
    # These name nothing, so they change nothing.
    "remove-chosen": ("POST", 303, 303, 302),
    "restore": ("POST", 303, 303, 302),
    # Without a body.
    "send": ("POST", 411, 411, 401),
    "tokens": ("GET", 200, 200, 302),
    "revoke-token": ("POST", 404, 404, 302),
    "texts": ("GET", 200, 200, 200),
    "sessions": ("GET", 200, 200, 401),
    "handshake": ("GET", 200, 200, 401),
    "session": ("GET", 200, 404, 401),
    "session-handshake": ("GET", 200, 404, 401),
    "chunk": ("PUT", 200, 404, 401),
    "complete": ("POST", 409, 404, 401),
    "content": ("GET", 409, 404, 401),
    # Without a body.
    "part-sessions": ("POST", 400, 400, 401),
    "part-session": ("GET", 200, 404, 401),
    "part": ("PUT", 200, 404, 401),
    "upload-stream": ("GET", 200, 404, 401),
    # Without a body.
    "json-init": ("POST", 400, 400, 401),
    "json-chunk": ("POST", 411, 411, 401),
    "json-complete": ("POST", 400, 400, 401),
    "json-cancel": ("POST", 400, 400, 401),
    "json-status": ("GET", 200, 404, 401),
    "chunked-upload": ("POST", 411, 411, 403),
    "chunked-upload-complete": ("POST", 400, 400, 403),
    # Without `Tus-Resumable`: with it, see tests/protocol/tus.
    "tus-uploads": ("POST", 412, 412, 412),
    "tus-upload": ("HEAD", 412, 412, 412),
    # What scripts can ask for is no secret.
    "openapi": ("GET", 200, 200, 200),
    "api": ("GET", 200, 200, 200),
    None: ("GET", 404, 404, 401),
}


def _path(name: str | None, session: dict[str, Any]) -> str:
    own: str = session["urls"]["self"]
    paths: dict[str | None, str] = {
        "dashboard": "/",
        "details": f"/uploads/{session['id']}/",
        "rename": f"/uploads/{session['id']}/rename",
        "remove": f"/uploads/{session['id']}/remove",
        "remove-chosen": "/uploads/remove",
        "restore": "/uploads/restore",
        "send": "/uploads/send",
        "tokens": "/tokens/",
        "revoke-token": "/tokens/1/revoke",
        "texts": "/texts.js",
        "sessions": "/api/v1/uploads",
        "handshake": URL,
        "session": own,
        "session-handshake": f"{own}/handshake",
        "chunk": f"{own}/chunks/0",
        "complete": f"{own}/complete",
        "content": f"{own}/content",
        "part-sessions": "/uploads/sessions",
        "part-session": f"/uploads/sessions/{session['id']}",
        "part": f"/uploads/sessions/{session['id']}/parts/1",
        "upload-stream": f"/upload/{session['id']}",
        "json-init": "/api/v1/upload/init",
        "json-chunk": "/api/v1/upload/chunk",
        "json-complete": "/api/v1/upload/complete",
        "json-cancel": "/api/v1/upload/cancel",
        "json-status": f"/api/v1/upload/status/{session['id']}",
        "chunked-upload": "/api/chunked-upload/",
        "chunked-upload-complete": "/api/chunked-upload/complete/",
        "tus-uploads": "/files/",
        "tus-upload": f"/files/{session['id']}",
        "openapi": "/api/v1/openapi.yaml",
        "api": "/api/",
        None: "/api/v1/nothing",
    }
    return paths[name]


def test_p9_no_url_is_without_a_rule() -> None:
    assert all(isinstance(pattern, URLPattern) for pattern in urlpatterns)
    assert {pattern.name for pattern in urlpatterns} == set(ACCESS)


@pytest.mark.parametrize("who", ["owner", "other", "anonymous"])
@pytest.mark.parametrize("name", list(ACCESS))
def test_p9_b6_access(
    alice_client: Client, bob_client: Client, begin: Begin, name: str | None, who: str
) -> None:
    session = begin()
    client = {"owner": alice_client, "other": bob_client, "anonymous": Client()}[who]
    method, *statuses = ACCESS[name]
    expected = statuses[["owner", "other", "anonymous"].index(who)]
    body = CHUNKS[0] if method == "PUT" else b""
    headers = {"Content-Digest": content_digest(body)} if body else {}
    response = client.generic(method, _path(name, session), body, headers=headers)
    assert response.status_code == expected


def test_p9_another_user_s_upload_looks_like_none_at_all(
    alice_client: Client, bob_client: Client, begin: Begin
) -> None:
    theirs = begin()["urls"]["self"]
    unknown = f"/api/v1/uploads/{uuid4()}"
    for method in ("get", "delete"):
        answers = [getattr(bob_client, method)(path) for path in (theirs, unknown)]
        assert answers[0].status_code == answers[1].status_code == 404
        assert answers[0].json() == answers[1].json()
    assert bob_client.get("/api/v1/uploads").json()["results"] == []
    assert alice_client.get(theirs).json()["state"] == "active"


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
