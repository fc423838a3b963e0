"""B8: one line for each request that changes something, and an id that leads to it."""

import json
import logging
import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError, connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django import Settings

from tests.support.bodies import SMALL_CHUNK, content_digest, flipped, sha256
from uploads.models import AccessToken, FileSession
from uploads.protocols import request_ids
from uploads.protocols.fairness import fair_share
from uploads.protocols.request_log import about

from .conftest import CHUNKS, DATA, Begin, Put, refused

HANDSHAKE = "/api/v1/uploads/handshake"
FIELDS = {"filename": "f", "size": 10}


class Log(logging.Handler):
    """Keeps what is logged as the site's own console handler writes it, filters included."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        console = logging.getLogger("uploads").handlers[0]
        self.setFormatter(console.formatter)
        for each in console.filters:
            self.addFilter(each)

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Those of requests, as objects."""
        texts = [text for text in self.texts if " INFO uploads.requests [" in text]
        return [json.loads(text.partition("]: ")[2]) for text in texts]

    @property
    def last(self) -> dict[str, Any]:
        return self.lines[-1]


@pytest.fixture
def log() -> Iterator[Log]:
    handler = Log()
    loggers = [logging.getLogger(name) for name in ("uploads", "django.request")]
    for logger in loggers:
        logger.addHandler(handler)
    yield handler
    for logger in loggers:
        logger.removeHandler(handler)


# ------------------------------------------------------------------------------------ the line


def test_the_whole_of_a_line_in_its_order(alice: User, begin: Begin, put: Put, log: Log) -> None:
    session = begin()
    log.texts.clear()
    response = put(session, 1, CHUNKS[1], X_Request_ID="from-a-proxy.1")
    [line] = log.lines
    assert isinstance(line.pop("milliseconds"), int)
    assert list(line.items()) == [
        ("request_id", "from-a-proxy.1"),
        ("method", "PUT"),
        ("route", "chunk"),
        ("user", alice.pk),
        ("session", session["id"]),
        ("index", 1),
        ("bytes_in", SMALL_CHUNK),
        ("status", 200),
        ("code", None),
    ]
    assert response["X-Request-ID"] == "from-a-proxy.1"
    [text] = log.texts
    assert "\n" not in text
    assert " INFO uploads.requests [from-a-proxy.1]: {" in text


def test_a_handshake_tells_the_session_that_it_begins(begin: Begin, log: Log) -> None:
    session = begin()
    assert (log.last["route"], log.last["session"]) == ("handshake", session["id"])
    assert (log.last["status"], log.last["code"]) == (201, None)


def test_a_refusal_is_told_by_its_code(begin: Begin, put: Put, log: Log) -> None:
    session = begin()
    wrong = content_digest(flipped(CHUNKS[0]))
    assert refused(put(session, 0, CHUNKS[0], Content_Digest=wrong), 422, "digest_mismatch")
    assert (log.last["status"], log.last["code"]) == (422, "digest_mismatch")


def test_what_is_asked_of_nobody_s_session_is_told_as_it_was_asked(
    alice_client: Client, log: Log
) -> None:
    session_id = uuid4()
    alice_client.put(f"/uploads/sessions/{session_id}/parts/3", b"abc")
    line = log.last
    assert (line["route"], line["session"], line["part"]) == ("part", str(session_id), 3)
    assert (line["status"], line["code"]) == (404, "session_not_found")


def test_no_address_of_ours_has_no_route(alice_client: Client, log: Log) -> None:
    alice_client.post("/api/v1/upload-secret-name?token=secret")
    assert (log.last["route"], log.last["status"], log.last["code"]) == (None, 404, "not_found")
    assert "secret" not in "".join(log.texts)


@pytest.mark.parametrize("length", ["", "ten"])
def test_a_body_of_unknown_length_has_none(alice_client: Client, log: Log, length: str) -> None:
    path = f"/api/v1/uploads/{uuid4()}/chunks/0"
    alice_client.generic("PUT", path, b"x", CONTENT_LENGTH=length)
    assert log.last["bytes_in"] is None


def test_too_many_at_once_have_their_line_too(
    alice: User, alice_client: Client, settings: Settings, log: Log
) -> None:
    settings.UPLOADS = {**settings.UPLOADS, "MAX_REQUESTS_PER_USER": 1}
    with fair_share(RequestFactory().put("/"), alice):
        alice_client.post(HANDSHAKE, FIELDS, "application/json")
    line = log.last
    assert (line["status"], line["code"], line["user"]) == (429, "too_many_requests", alice.pk)


def test_a_token_is_told_by_whose_it_is(
    alice: User, client: Client, alice_token: str, log: Log
) -> None:
    bearer = {"Authorization": f"Bearer {alice_token}"}
    client.post(HANDSHAKE, FIELDS, "application/json", headers=bearer)
    assert log.last["user"] == alice.pk
    assert alice_token not in "".join(log.texts)


def test_who_is_not_signed_in_is_nobody(client: Client, db: None, log: Log) -> None:
    client.post(HANDSHAKE, FIELDS, "application/json")
    line = log.last
    assert (line["user"], line["status"], line["code"]) == (None, 401, "not_authenticated")


def test_a_form_tells_every_session_that_it_fills(alice_client: Client, log: Log) -> None:
    files = [SimpleUploadedFile(name, name.encode()) for name in ("a.txt", "b.txt")]
    alice_client.post("/uploads/send", {"file": files})
    ids = [
        str(pk) for pk in FileSession.objects.order_by("created_at").values_list("pk", flat=True)
    ]
    assert (log.last["route"], log.last["session"], log.last["sessions"]) == ("send", ids[-1], ids)


def test_a_form_of_one_file_tells_its_session_once(alice_client: Client, log: Log) -> None:
    alice_client.post("/uploads/send", {"file": SimpleUploadedFile("a.txt", b"a")})
    assert log.last["session"] == str(FileSession.objects.get().pk)
    assert "sessions" not in log.last


def test_the_forms_of_the_pages_have_a_line(
    alice: User, alice_client: Client, completed: dict[str, Any], log: Log
) -> None:
    session_id = completed["id"]
    rename = reverse("uploads:rename", kwargs={"session_id": session_id})
    assert alice_client.post(rename, {"filename": "new-secret.txt"}).status_code == 303
    assert (log.last["route"], log.last["session"]) == ("rename", session_id)
    assert (log.last["user"], log.last["status"]) == (alice.pk, 303)
    alice_client.post(
        reverse("uploads:tokens"), {"name": "secret-token", "lifetime": "30", "scopes": ["read"]}
    )
    assert (log.last["route"], log.last["status"]) == ("tokens", 200)
    revoke = reverse("uploads:revoke-token", kwargs={"token_id": AccessToken.objects.get().pk})
    alice_client.post(revoke)
    assert log.last["route"] == "revoke-token"
    assert "secret" not in "".join(log.texts)


def test_a_form_without_its_csrf_token_has_a_line(alice: User, log: Log) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    response = client.post(reverse("uploads:restore"))
    assert response.status_code == 403
    assert (log.last["route"], log.last["status"]) == ("restore", 403)
    assert log.last["request_id"] == response["X-Request-ID"]


def test_signing_in_has_none(alice: User, client: Client, log: Log) -> None:
    client.post("/sign-in/", {"username": "alice", "password": "alice-password"})
    assert log.lines == []


def test_what_changes_nothing_has_none(
    alice_client: Client, completed: dict[str, Any], log: Log
) -> None:
    log.texts.clear()
    for path in ("/", HANDSHAKE, completed["urls"]["self"], completed["urls"]["content"]):
        alice_client.get(path).getvalue()
        alice_client.options(path)
    assert alice_client.head(completed["urls"]["self"]).status_code == 200
    assert log.lines == []


def test_a_defect_of_ours_has_its_line_and_its_id(
    begin: Begin, put: Put, alice_client: Client, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = begin()

    def broken(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr("uploads.engine.receiving.check_chunk", broken)
    alice_client.raise_request_exception = False
    response = put(session, 0, CHUNKS[0])
    assert (response.status_code, log.last["status"], log.last["code"]) == (500, 500, None)
    assert log.last["session"] == session["id"]
    request_id = response["X-Request-ID"]
    [traceback] = [text for text in log.texts if "a defect" in text]
    assert f" ERROR django.request [{request_id}]: " in traceback
    assert log.last["request_id"] == request_id


def test_other_lines_of_a_request_carry_its_id_and_those_of_none_a_dash(
    alice_client: Client, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr("uploads.engine.opening.open_session", busy)
    headers = {"X-Request-ID": "abc"}
    alice_client.post(HANDSHAKE, FIELDS, "application/json", headers=headers)
    logging.getLogger("uploads.engine").warning("afterwards")
    told, line, afterwards = log.texts
    assert " WARNING uploads.protocols [abc]: POST " in told
    assert " [abc]: {" in line
    assert (log.last["status"], log.last["code"]) == (503, "unavailable")
    assert " WARNING uploads.engine [-]: afterwards" in afterwards


def test_a_line_costs_no_query(alice_client: Client, log: Log) -> None:
    """Who it was is not asked of the database only to be told."""
    with CaptureQueriesContext(connection) as queries:
        assert alice_client.delete(reverse("uploads:restore")).status_code == 303
    assert len(queries) == 0
    assert (log.last["route"], log.last["user"]) == ("restore", None)


def test_to_tell_something_without_the_middleware_does_no_harm(alice: User) -> None:
    about(RequestFactory().post("/"), user=alice, session=FileSession(), code="x")


# --------------------------------------------------------------------------------- the id alone


@pytest.mark.parametrize("given", ["a", "A-b_c.9", "x" * 128])
def test_an_id_that_is_understood_is_answered(client: Client, db: None, given: str) -> None:
    assert client.get("/sign-in/", headers={"X-Request-ID": given})["X-Request-ID"] == given


@pytest.mark.parametrize(
    "given", ["", "x" * 129, "a b", "a\tb", 'a"b', "a{b", "\xe4", "a\n", "a:b"]
)
def test_one_that_could_forge_a_line_is_replaced(given: str) -> None:
    assert re.fullmatch("[0-9a-f]{32}", request_ids.chosen(given))


def test_no_two_requests_share_an_id_of_ours(client: Client, db: None) -> None:
    ids = {client.get("/sign-in/")["X-Request-ID"] for _ in range(5)}
    assert len(ids) == 5
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 302),
        ("/sign-in/", 200),
        ("/nowhere", 404),
        ("/api/v1/uploads", 401),
        ("/static/nothing.js", 404),
        ("/texts.js", 200),
    ],
)
def test_every_answer_has_one(client: Client, db: None, path: str, status: int) -> None:
    response = client.get(path, headers={"X-Request-ID": "mine"})
    assert (response.status_code, response["X-Request-ID"]) == (status, "mine")


def test_so_has_an_answer_before_any_view(client: Client) -> None:
    headers = {"Host": "unknown.example", "X-Request-ID": "mine"}
    response = client.get("/", headers=headers)
    assert (response.status_code, response["X-Request-ID"]) == (400, "mine")


def test_a_download_is_logged_under_its_id_until_its_end(
    alice_client: Client, completed: dict[str, Any]
) -> None:
    headers = {"X-Request-ID": "mine"}
    response = alice_client.get(completed["urls"]["content"], headers=headers)
    assert request_ids.current.get() == "mine"
    assert sha256(response.getvalue()) == sha256(DATA)
    response.close()
    assert request_ids.current.get() == request_ids.NO_REQUEST
