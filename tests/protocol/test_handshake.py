"""POST /api/v1/uploads/handshake (A2)."""

import json
from typing import Any

import pytest
from django.test import Client

from tests.support.bodies import SMALL_CHUNK, sha256
from uploads.models import FileSession

from .conftest import CHUNKS, DATA, Begin, Put, refused

URL = "/api/v1/uploads/handshake"
GOOD = {"filename": "f", "size": 10}


def test_the_answer_has_exactly_these_fields(alice_client: Client, begin: Begin) -> None:
    body = begin()
    own = f"/api/v1/uploads/{body['id']}"
    session = FileSession.objects.get(pk=body["id"])
    assert body == {
        "status": "created",
        "id": str(session.pk),
        "state": "active",
        "filename": "file.bin",
        "folder": "",
        "size": len(DATA),
        "chunk_size": SMALL_CHUNK,
        "total_chunks": 3,
        "received_chunks": 0,
        "offset": 0,
        "missing": [0, 1, 2],
        "progress": 0.0,
        "sha256": sha256(DATA),
        "expires_at": session.expires_at.isoformat(),
        "urls": {
            "self": own,
            "chunk": f"{own}/chunks/{{index}}",
            "complete": f"{own}/complete",
            "content": f"{own}/content",
        },
    }
    assert body["expires_at"].endswith("+00:00")


def test_created_is_201_and_everything_else_200(
    alice_client: Client, begin: Begin, put: Put
) -> None:
    fields = {"filename": "f", "size": len(DATA), "sha256": sha256(DATA), "chunk_size": SMALL_CHUNK}

    def handshake() -> tuple[int, str, list[int]]:
        response = alice_client.post(URL, fields, "application/json")
        return response.status_code, response.json()["status"], response.json()["missing"]

    assert handshake() == (201, "created", [0, 1, 2])
    put(begin(), 0, CHUNKS[0])
    assert handshake() == (200, "resumed", [1, 2])
    for index in (1, 2):
        put(begin(), index, CHUNKS[index])
    assert handshake() == (200, "file_exists", [])


def test_an_empty_file_is_created_and_completed_at_once(begin: Begin) -> None:
    body = begin(size=0, sha256=sha256(b""))
    assert (body["status"], body["state"], body["missing"]) == ("created", "completed", [])
    assert body["progress"] == 100


def test_fields_that_may_be_null_or_absent(alice_client: Client) -> None:
    optional = dict.fromkeys(["sha256", "resume_key", "mime_type", "chunk_size", "folder"])
    response = alice_client.post(URL, {**GOOD, **optional}, "application/json")
    assert (response.status_code, response.json()["sha256"]) == (201, None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": -1},
        {"size": True},
        {"size": "10"},
        {"size": 1.5},
        {"size": 10.0},
        {"size": None},
        {"size": 2**63},
        {"size": 10**30},
        {"size": [1]},
        {"chunk_size": SMALL_CHUNK - 1},
        {"chunk_size": 64 * 1024 * 1024 + 1},
        {"chunk_size": False},
        {"sha256": "xyz"},
        {"sha256": 5},
        {"sha256": "a" * 63},
        {"resume_key": "k" * 256},
        {"resume_key": "a\x00b"},
        {"resume_key": "\ud800"},
        {"resume_key": {}},
        {"mime_type": "text"},
        {"mime_type": "text/plain\r\nX-Evil: 1"},
        {"mime_type": "\ud800/x"},
        {"folder": 5},
        {"folder": ["a"]},
    ],
    ids=str,
)
def test_a_field_of_the_wrong_form_is_named(alice_client: Client, wrong: dict[str, Any]) -> None:
    response = alice_client.post(URL, json.dumps({**GOOD, **wrong}), "application/json")
    assert refused(response, 400, "invalid_request")
    assert response.json()["field"] == next(iter(wrong))
    assert not FileSession.objects.exists()


@pytest.mark.parametrize(
    "name", ["", "..", "a/b", "a\\b", "nul\x00", "\ud800", "x\u202etxt.exe", "a" * 256]
)
def test_b10_a_bad_file_name_is_refused(alice_client: Client, name: str) -> None:
    response = alice_client.post(URL, json.dumps({**GOOD, "filename": name}), "application/json")
    assert refused(response, 400, "invalid_filename")


@pytest.mark.parametrize("folder", ["/etc", "a/../b", "a\\b", "a/nul\x00", "\ud800", "a" * 256])
def test_b10_a_bad_folder_is_refused_and_named(alice_client: Client, folder: str) -> None:
    response = alice_client.post(URL, json.dumps({**GOOD, "folder": folder}), "application/json")
    assert refused(response, 400, "invalid_filename")
    assert response.json()["field"] == "folder"
    assert not FileSession.objects.exists()


def test_a_folder_is_kept_and_told(alice_client: Client, begin: Begin) -> None:
    session = begin(folder="photos//2026/")
    assert session["folder"] == "photos/2026"
    assert alice_client.get(session["urls"]["self"]).json()["folder"] == "photos/2026"
    [listed] = alice_client.get("/api/v1/uploads").json()["results"]
    assert listed["folder"] == "photos/2026"


def test_a_complete_file_in_another_folder_is_there_at_once(
    alice_client: Client, begin: Begin, put: Put, completed: dict[str, Any]
) -> None:
    copy = begin(folder="copies")
    assert (copy["status"], copy["state"], copy["missing"]) == ("file_exists", "completed", [])
    assert copy["id"] != completed["id"]
    assert alice_client.get(copy["urls"]["content"]).getvalue() == DATA
    assert refused(put(copy, 0, CHUNKS[0]), 409, "wrong_state")
    assert begin(folder="copies")["id"] == copy["id"]


def test_a_hash_in_capitals_is_the_same_hash(begin: Begin) -> None:
    first = begin(sha256=sha256(DATA).upper())
    assert first["sha256"] == sha256(DATA)
    assert begin()["id"] == first["id"]


def test_a_file_too_large_is_413(alice_client: Client) -> None:
    response = alice_client.post(URL, {**GOOD, "size": 2**62}, "application/json")
    assert refused(response, 413, "too_large")


def test_an_empty_file_with_a_hash_of_other_bytes_is_422(alice_client: Client) -> None:
    fields = {"filename": "f", "size": 0, "sha256": "a" * 64}
    assert refused(alice_client.post(URL, fields, "application/json"), 422, "digest_mismatch")
