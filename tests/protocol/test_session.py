"""GET, HEAD and DELETE of a session, complete, content and the list."""

from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from tests.support.bodies import SMALL_CHUNK, sha256
from uploads.engine.trash import trash
from uploads.models import FileSession

from .conftest import CHUNKS, DATA, Begin, Put, refused

KEYS = {
    "id", "state", "filename", "folder", "size", "chunk_size", "total_chunks", "received_chunks",
    "offset", "missing", "progress", "sha256", "expires_at", "urls",
}  # fmt: skip


@pytest.mark.parametrize("suffix", ["", "/handshake"])
def test_c4_get_and_head_tell_what_is_received(
    alice_client: Client, begin: Begin, put: Put, suffix: str
) -> None:
    session = begin()
    put(session, 0, CHUNKS[0])
    url = session["urls"]["self"] + suffix
    got, head = alice_client.get(url), alice_client.head(url)
    assert set(got.json()) == KEYS
    assert (got.json()["missing"], head.content) == ([1, 2], b"")
    for response in (got, head):
        assert response.status_code == 200
        assert response["Upload-Length"] == str(len(DATA))
        assert response["Upload-Received"] == str(SMALL_CHUNK)
        assert response["Upload-Chunks"] == "1/3"
        assert response["Cache-Control"] == "no-store"


def test_a_cancelled_upload_is_gone(alice_client: Client, begin: Begin, put: Put) -> None:
    """B10."""
    session = begin()
    url = session["urls"]["self"]
    assert alice_client.delete(url).status_code == 204
    for response in (alice_client.get(url), alice_client.delete(url), put(session, 0, CHUNKS[0])):
        assert refused(response, 410, "session_cancelled")
    assert begin()["status"] == "created"


def test_a_deleted_upload_was_never_there(alice_client: Client, completed: Any) -> None:
    url = completed["urls"]["self"]
    assert alice_client.delete(url).status_code == 204
    for response in (alice_client.get(url), alice_client.delete(url)):
        assert refused(response, 404, "session_not_found")


def test_the_content_is_an_attachment_that_cannot_run(alice_client: Client, completed: Any) -> None:
    response = alice_client.get(completed["urls"]["content"])
    assert b"".join(response.streaming_content) == DATA  # type: ignore[attr-defined]
    assert response["Content-Length"] == str(len(DATA))
    assert response["Content-Disposition"] == 'attachment; filename="file.bin"'
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in response["Content-Security-Policy"]


def test_p1_unfinished_content_is_not_served(alice_client: Client, begin: Begin) -> None:
    session = begin()
    response = alice_client.get(session["urls"]["content"])
    assert refused(response, 409, "content_not_ready")


def test_complete_names_what_is_missing(alice_client: Client, begin: Begin, put: Put) -> None:
    session = begin()
    put(session, 1, CHUNKS[1])
    response = alice_client.post(session["urls"]["complete"], {}, "application/json")
    assert refused(response, 409, "chunks_missing")
    assert response.json()["missing"] == [0, 2]


def test_complete_declares_the_hash_and_can_be_repeated(
    alice_client: Client,
    begin: Begin,
    put: Put,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    session = begin(sha256=None)
    for index, chunk in enumerate(CHUNKS):
        put(session, index, chunk)
    url, declared = session["urls"]["complete"], {"sha256": sha256(DATA)}
    with django_capture_on_commit_callbacks(execute=True):
        for _ in range(2):
            response = alice_client.post(url, declared, "application/json")
            assert (response.status_code, response.json()["state"]) == (202, "assembling")
    response = alice_client.post(url, declared, "application/json")
    assert (response.status_code, response.json()["state"]) == (200, "completed")
    other = alice_client.post(url, {"sha256": "f" * 64}, "application/json")
    assert refused(other, 409, "hash_conflict")


def test_lists_are_paged_newest_first_and_hold_each_once(
    alice_client: Client, begin: Begin, settings: Settings, upload_root: object
) -> None:
    settings.UPLOADS = {"ROOT": upload_root, "PAGE_SIZE": 2}
    ids = [begin(sha256=None)["id"] for _ in range(5)]
    seen, url = [], "/api/v1/uploads?state=active"
    while url:
        body = alice_client.get(url).json()
        assert set(body) == {"results", "next"}
        assert len(body["results"]) <= 2
        seen += [result["id"] for result in body["results"]]
        url = body["next"]
    assert seen == ids[::-1]


def test_lists_by_state(alice_client: Client, begin: Begin, completed: Any) -> None:
    begin(size=5, sha256=None)
    for state in ("active", "completed", "failed"):
        results = alice_client.get(f"/api/v1/uploads?state={state}").json()["results"]
        assert [result["state"] for result in results] == [state] * (state != "failed")
    for wrong in ("state=x", "before=x", "before=%00", "state=%00"):
        assert refused(alice_client.get(f"/api/v1/uploads?{wrong}"), 400, "invalid_request")


def test_a_failed_upload_says_why(alice_client: Client, begin: Begin) -> None:
    session = begin()
    FileSession.objects.update(status="failed", error="Because.")
    body = alice_client.get(session["urls"]["self"]).json()
    assert (body["state"], body["error"]) == ("failed", "Because.")
    assert refused(alice_client.get(session["urls"]["content"]), 409, "session_failed")


@pytest.mark.parametrize("path", ["/api/v1/uploads/x", "/api/v1/nothing", "/api/v1/uploads/"])
def test_an_unknown_address_is_refused_in_the_same_shape(alice_client: Client, path: str) -> None:
    assert refused(alice_client.get(path), 404, "not_found")


@pytest.mark.parametrize("method", ["post", "put", "patch"])
def test_another_method_is_405_and_names_the_right_ones(
    alice_client: Client, begin: Begin, method: str
) -> None:
    response = getattr(alice_client, method)(begin()["urls"]["self"])
    assert refused(response, 405, "method_not_allowed")
    assert response["Allow"] == "GET, HEAD, DELETE"


def test_what_its_owner_trashed_is_404_at_every_address(
    alice: User, alice_client: Client, completed: dict[str, Any], put: Put
) -> None:
    trash(alice, [UUID(completed["id"])])
    urls = completed["urls"]
    answers = [
        alice_client.get(urls["self"]),
        alice_client.get(urls["self"] + "/handshake"),
        alice_client.get(urls["content"]),
        alice_client.post(urls["complete"], {}, "application/json"),
        alice_client.delete(urls["self"]),
        put(completed, 0, CHUNKS[0]),
    ]
    for answer in answers:
        assert refused(answer, 404, "session_not_found")
    assert alice_client.get("/api/v1/uploads").json()["results"] == []
