"""What a token may do, said when it may not (RFC 6750, section 3); and when it was last used.

Which address needs what, and for whom it is there at all, is held by tests/web/test_isolation.py.
"""

import io
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from tests.support.bodies import SMALL_CHUNK
from uploads.engine import tokens
from uploads.engine.tokens import NEWS, find_token, issue_token, note_use
from uploads.models import AccessToken, FileSession, TokenScope

from .conftest import CHUNKS, DATA, Answer, refused

URL = "/api/v1/uploads"
HANDSHAKE = f"{URL}/handshake"
FIELDS = {"filename": "f.bin", "size": len(DATA), "chunk_size": SMALL_CHUNK}


@pytest.fixture(autouse=True)
def not_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever database another test has made busy."""
    monkeypatch.setattr(tokens, "_paused_until", 0.0)


def who_may(owner: User, *scopes: str) -> Client:
    """A script with a token for `scopes`."""
    token = issue_token(owner, "script", scopes=[TokenScope(scope) for scope in scopes])
    return Client(headers={"Authorization": f"Bearer {token}"})


def send(client: Client, session: Answer, index: int) -> Answer:
    path = session["urls"]["chunk"].replace("{index}", str(index))
    return client.put(path, CHUNKS[index], "application/octet-stream")


def insufficient(response: Answer, has: list[str], needed: list[str]) -> bool:
    assert refused(response, 403, "insufficient_scope")
    body = response.json()
    assert (body["scopes"], body["needed"]) == (has, needed)
    assert response["WWW-Authenticate"] == (
        f'Bearer realm="uploads", error="insufficient_scope", scope="{needed[0]}"'
    )
    return True


def test_who_may_only_upload_begins_resumes_and_learns_how_it_ended_but_fetches_nothing(
    alice: User, django_capture_on_commit_callbacks: Any
) -> None:
    script = who_may(alice, "upload")
    session = script.post(HANDSHAKE, FIELDS, "application/json").json()
    own = session["urls"]
    assert send(script, session, 1).status_code == 200
    for url in (own["self"], f"{own['self']}/handshake", f"/uploads/sessions/{session['id']}"):
        assert script.get(url).status_code == 200
    assert script.head(f"/upload/{session['id']}")["Upload-Chunks"] == "1/3"
    missing = script.get(own["self"]).json()["missing"]
    assert [send(script, session, index).status_code for index in missing] == [200, 200]
    with django_capture_on_commit_callbacks(execute=True):
        assert script.generic("POST", own["complete"]).status_code == 202
    assert script.get(own["self"]).json()["state"] == "completed"
    for url in (own["content"], URL, HANDSHAKE):
        assert insufficient(script.get(url), ["upload"], ["read"])
    assert insufficient(script.delete(own["self"]), ["upload"], ["delete"])
    assert FileSession.objects.get().status == "completed"


def test_who_may_only_upload_cancels_what_is_under_way_twice_with_the_same_end(
    alice: User,
) -> None:
    script = who_may(alice, "upload")
    own = script.post(HANDSHAKE, FIELDS, "application/json").json()["urls"]["self"]
    assert script.delete(own).status_code == 204
    # The answer may have been lost: that it is cancelled is what was wanted.
    assert refused(script.delete(own), 410, "session_cancelled")


def test_who_may_only_delete_ends_what_is_under_way_and_deletes_what_is_complete(
    alice: User, alice_client: Client, completed: Answer
) -> None:
    script = who_may(alice, "delete")
    begun = alice_client.post(HANDSHAKE, FIELDS, "application/json").json()
    for session in (begun, completed):
        assert insufficient(script.get(session["urls"]["self"]), ["delete"], ["read", "upload"])
        assert script.delete(session["urls"]["self"]).status_code == 204
    assert alice_client.get(completed["urls"]["self"]).status_code == 404


def test_who_may_only_read_looks_and_fetches_and_changes_nothing(
    alice: User, completed: Answer
) -> None:
    script = who_may(alice, "read")
    assert [found["id"] for found in script.get(URL).json()["results"]] == [completed["id"]]
    assert b"".join(script.get(completed["urls"]["content"]).streaming_content) == DATA  # type: ignore[attr-defined]
    assert insufficient(script.delete(completed["urls"]["self"]), ["read"], ["delete", "upload"])
    offer = script.post(HANDSHAKE, FIELDS, "application/json")
    assert insufficient(offer, ["read"], ["upload"])
    assert FileSession.objects.get().status == "completed"


def test_the_refusal_says_what_the_token_may_and_what_is_needed(alice: User) -> None:
    detail = who_may(alice, "read", "delete").post(HANDSHAKE).json()["detail"]
    assert detail.startswith("This token may read and delete, and the request needs one that may ")
    assert "may upload. Nothing was read or changed" in detail


def test_chunked_upload_keeps_its_own_shape(alice: User) -> None:
    response = who_may(alice, "read").post("/api/chunked-upload/", {"file": io.BytesIO(b"x")})
    assert (response.status_code, response["Content-Type"]) == (403, "application/json")
    assert response.json() == {
        "detail": "This token may read, and the request needs one that may upload. Nothing was "
        "read or changed: send one that may, from the page of access tokens or `manage.py "
        "issue_token --scope`.",
        "code": "insufficient_scope",
        "scopes": ["read"],
        "needed": ["upload"],
    }
    assert 'error="insufficient_scope", scope="upload"' in response["WWW-Authenticate"]


class NeverRead(io.RawIOBase):
    def read(self, size: int = -1, /) -> bytes:
        raise AssertionError("the body was read")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", HANDSHAKE),
        ("PUT", f"{URL}/{UUID(int=1)}/chunks/0"),
        ("POST", f"{URL}/{UUID(int=1)}/chunks/0"),
        ("POST", f"{URL}/{UUID(int=1)}/complete"),
        ("POST", "/api/v1/upload/chunk"),
        ("PUT", f"/uploads/sessions/{UUID(int=1)}/parts/1"),
        ("PUT", f"/upload/{UUID(int=1)}"),
        ("POST", "/uploads/send"),
        ("POST", "/api/chunked-upload/"),
    ],
)
def test_a_token_that_may_not_is_refused_before_its_body_is_read(
    alice: User, monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    monkeypatch.setattr("uploads.protocols.endpoint.drain_unread", lambda _: None)
    unread: dict[str, Any] = {"wsgi.input": NeverRead(), "CONTENT_LENGTH": "1000"}
    response = who_may(alice, "read").generic(method, path, b"x", "application/json", **unread)
    assert response.json()["code"] == "insufficient_scope"


@pytest.mark.parametrize(
    ("header", "error"),
    [
        ({}, ""),
        ({"Authorization": "Basic YTpi"}, ""),
        ({"Authorization": "Bearer"}, ""),
        ({"Authorization": "Bearer nonsense"}, ', error="invalid_token"'),
    ],
)
def test_who_is_nobody_is_told_how_to_come_in_and_of_an_error_only_if_a_token_came(
    db: None, header: dict[str, str], error: str
) -> None:
    response = Client().get(URL, headers=header)
    assert refused(response, 401, "not_authenticated")
    assert response["WWW-Authenticate"] == f'Bearer realm="uploads"{error}'


# ------------------------------------------------------------------------------------- last use


def last_used() -> datetime | None:
    return AccessToken.objects.get().last_used_at


def use_was(ago: timedelta) -> datetime:
    then = timezone.now() - ago
    AccessToken.objects.update(last_used_at=then)
    return then


def test_the_first_use_is_noted_and_the_next_within_a_minute_costs_nothing(
    alice: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    script = who_may(alice, "read")
    assert last_used() is None
    began = timezone.now()
    script.get(URL)
    first = last_used()
    assert first is not None
    assert began <= first <= timezone.now()
    # The token, its owner, and the list.
    with django_assert_num_queries(3):
        script.get(URL)
    assert last_used() == first


def test_a_use_is_news_again_after_a_minute(alice: User) -> None:
    script = who_may(alice, "read")
    then = use_was(NEWS)
    # What it may not do is a use too: its owner should see that somebody tries.
    assert script.post(HANDSHAKE).status_code == 403
    now = last_used()
    assert now is not None
    assert now > then


def test_who_was_slower_does_not_undo_a_later_use(alice_token: str) -> None:
    token = find_token(alice_token)
    assert token is not None
    then = use_was(timedelta(seconds=10))
    note_use(token)
    assert last_used() == then


def test_a_token_that_is_none_is_not_used(alice: User) -> None:
    script = who_may(alice, "read")
    AccessToken.objects.update(revoked_at=timezone.now())
    assert script.get(URL).status_code == 401
    assert last_used() is None


@contextmanager
def busy_database() -> Iterator[None]:
    """Somebody else writes, and goes on for longer than this connection waits."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 20")
    name = connection.settings_dict["NAME"]
    with closing(sqlite3.connect(name, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@pytest.mark.django_db(transaction=True)
def test_a_busy_database_fails_no_request_for_a_use_and_is_waited_for_once(
    alice: User, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    script = who_may(alice, "read")
    with busy_database():
        assert script.get(URL).status_code == 200
        with django_assert_num_queries(3):
            assert script.get(URL).status_code == 200
    assert last_used() is None
    monkeypatch.setattr(tokens, "_paused_until", 0.0)
    script.get(URL)
    assert last_used() is not None
