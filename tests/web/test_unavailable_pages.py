"""Pages while the database is busy or has no room: calm, honest, and not in the log as defects."""

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.contrib.sessions.models import Session
from django.db import InterfaceError, OperationalError, connection
from django.test import Client
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from pytest_django import Settings

from uploads.engine.tokens import issue_token
from uploads.errors import StorageUnavailable
from uploads.web import actions, form_bodies, views
from uploads.web.context import list_context
from uploads.web.form_bodies import MAX_FORMS
from uploads.web.headers import HEADER, POLICY
from uploads.web.listing import Listing

from .pages import address, completed

LIST = "/api/v1/uploads/handshake"
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
HTMX = {"HX-Request": "true", "Accept": "text/html"}

FULL = OperationalError("database or disk is full")
BUSY = OperationalError("database is locked")

Fail = Callable[[Exception], None]

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def as_a_server_answers(client: Client, alice_client: Client) -> None:
    client.raise_request_exception = alice_client.raise_request_exception = False


@pytest.fixture
def list_fails(monkeypatch: pytest.MonkeyPatch) -> Fail:
    """The query for the list of uploads raises."""

    def fail(error: Exception) -> None:
        def list_context(*_: object) -> None:
            raise error

        monkeypatch.setattr(views, "list_context", list_context)

    return fail


@pytest.fixture
def locked(transactional_db: None) -> Iterator[None]:
    """Another process writes, and does not come to an end."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(str(django_settings.DATABASES["default"]["NAME"]))
    other.execute("BEGIN IMMEDIATE")
    yield
    other.close()
    connection.close()


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What comes through the filters of the site's own loggers, which tell no others."""
    loggers = [logging.getLogger(name) for name in ("django.request", "uploads")]
    for logger in loggers:
        logger.addHandler(caplog.handler)
    yield caplog
    for logger in loggers:
        logger.removeHandler(caplog.handler)


def expect_calm(response: Any, status: int = 503) -> str:
    assert response.status_code == status
    assert int(response["Retry-After"]) > 0
    assert response["Cache-Control"] == "no-store"
    assert response["Content-Type"] == "text/html; charset=utf-8"
    assert response[HEADER] == POLICY
    html: str = response.content.decode()
    assert "Nothing was lost" in html
    assert "Try again" in html
    return html


def sign_in(client: Client) -> Any:
    data = {"username": "alice", "password": "alice-password"}
    return client.post("/sign-in/", data, headers=BROWSER)


# ------------------------------------------------------------ a database that is really locked


def test_signing_in_while_the_database_is_locked_is_no_error_page(
    alice: User, client: Client, locked: None, logged: pytest.LogCaptureFixture
) -> None:
    html = expect_calm(sign_in(client))
    assert "The server is busy" in html
    # One line for the operator, without a traceback.
    (record,) = logged.records
    assert record.levelname == "WARNING"
    assert record.getMessage() == "POST /sign-in/: database is locked"
    assert record.exc_info is None


def test_signing_in_works_again_once_the_lock_is_gone(alice: User, client: Client) -> None:
    assert sign_in(client).status_code == 302


def test_a_session_that_cannot_be_saved_after_the_view_is_no_error_page(
    alice_client: Client, settings: Settings, locked: None
) -> None:
    settings.SESSION_SAVE_EVERY_REQUEST = True
    expect_calm(alice_client.get("/", headers=BROWSER))


def test_a_session_that_somebody_ended_is_still_that(
    alice: User, alice_client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SESSION_SAVE_EVERY_REQUEST = True

    def signed_out_meanwhile(user: User, listing: Listing) -> dict[str, object]:
        Session.objects.all().delete()
        return list_context(user, listing)

    monkeypatch.setattr(views, "list_context", signed_out_meanwhile)
    response = alice_client.get("/", headers=BROWSER)
    assert response.status_code == 400
    assert "The request was not understood" in response.content.decode()


def test_the_admin_too_says_that_the_server_is_busy(
    client: Client, transactional_db: None, request: pytest.FixtureRequest
) -> None:
    root = User.objects.create_superuser("root", password="root-password")
    issue_token(root, "script")
    client.force_login(root)
    request.getfixturevalue("locked")
    url = reverse("admin:uploads_accesstoken_changelist")
    data = {"action": "revoke", "_selected_action": [root.upload_tokens.get().pk]}
    expect_calm(client.post(url, data, headers=BROWSER))


def test_reading_goes_on_while_another_process_writes(alice_client: Client, locked: None) -> None:
    assert alice_client.get("/", headers=BROWSER).status_code == 200


# ------------------------------------------------------------------------- each kind of trouble


@pytest.mark.parametrize("error", [BUSY, InterfaceError("connection already closed")])
def test_the_dashboard_says_that_the_server_is_busy(
    alice_client: Client, list_fails: Fail, error: Exception
) -> None:
    list_fails(error)
    html = expect_calm(alice_client.get("/", headers=BROWSER))
    assert "The server is busy" in html
    assert "alice" not in html, "her name is in the database that does not answer"


@pytest.mark.parametrize("text", ["database or disk is full", "disk I/O error"])
def test_a_full_disk_is_named(alice_client: Client, list_fails: Fail, text: str) -> None:
    list_fails(OperationalError(text))
    html = expect_calm(alice_client.get("/", headers=BROWSER), status=507)
    assert "The server has no room" in html


def test_a_storage_that_is_away_is_no_error_page(alice_client: Client, list_fails: Fail) -> None:
    list_fails(StorageUnavailable("The server could not reach its storage."))
    response = alice_client.get("/", headers=BROWSER)
    expect_calm(response)
    assert response["Retry-After"] == str(StorageUnavailable.retry_after)


@pytest.mark.parametrize(("error", "status"), [(BUSY, 503), (FULL, 507)])
def test_a_refresh_that_fails_leaves_the_list_as_it_is(
    alice_client: Client, list_fails: Fail, error: Exception, status: int
) -> None:
    list_fails(error)
    response = alice_client.get(LIST, headers=HTMX)
    assert response.status_code == status
    assert response.content == b""
    assert response["HX-Reswap"] == "none"
    assert int(response["Retry-After"]) > 0


@pytest.mark.parametrize("locked_out", ["remove", "rename"])
def test_an_action_that_the_database_has_no_time_for_changes_nothing_and_says_so(
    alice: User, alice_client: Client, monkeypatch: pytest.MonkeyPatch, locked_out: str
) -> None:
    def busy(*_: object) -> None:
        raise BUSY

    session = completed(alice)
    monkeypatch.setattr(actions, "trash", busy)
    monkeypatch.setattr(actions, "rename_session", busy)
    data = {"filename": "other.txt"}
    html = expect_calm(alice_client.post(address(session, locked_out), data, headers=BROWSER))
    assert "The server is busy" in html
    session.refresh_from_db()
    assert (session.filename, session.trashed_at) == ("tides.csv", None)


def test_a_script_is_refused_in_the_shape_of_all_refusals(
    alice_client: Client, list_fails: Fail
) -> None:
    list_fails(BUSY)
    response = alice_client.get("/", headers={"Accept": "*/*"})
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == "unavailable"


def test_a_defect_is_still_an_error_and_logged_as_one(
    alice_client: Client, list_fails: Fail, logged: pytest.LogCaptureFixture
) -> None:
    list_fails(ZeroDivisionError("a defect"))
    response = alice_client.get("/", headers=BROWSER)
    assert response.status_code == 500
    assert "Something went wrong here" in response.content.decode()
    (record,) = logged.records
    assert record.levelname == "ERROR"
    assert record.exc_info


def test_p5_forms_that_stall_take_only_so_many_threads(client: Client) -> None:
    """The others are told to come back; pages and uploads need no such thread at all."""
    form = {"username": "alice", "password": "wrong"}
    with ExitStack() as stack:
        for _ in range(MAX_FORMS):
            stack.enter_context(form_bodies._forms)
        answer = client.post(reverse("login"), form, headers=BROWSER)
        assert (answer.status_code, answer["Retry-After"]) == (503, "2")
        assert b"The server is busy" in answer.content
        assert client.get(reverse("login")).status_code == 200
    assert client.post(reverse("login"), form, headers=BROWSER).status_code == 200


def test_no_key_of_a_mailed_link_is_logged_while_the_database_is_locked(
    alice: User, client: Client, locked: None, logged: pytest.LogCaptureFixture
) -> None:
    key = default_token_generator.make_token(alice)
    uid = urlsafe_base64_encode(force_bytes(alice.pk))
    url = reverse("password_reset_confirm", kwargs={"uidb64": uid, "token": key})
    expect_calm(client.get(url, headers=BROWSER))
    (record,) = logged.records
    assert key not in record.getMessage()
    assert "<token>" in record.getMessage()
