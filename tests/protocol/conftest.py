"""The native protocol, spoken by Django's test client."""

from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpRequest
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks

from tests.support.bodies import SMALL_CHUNK, cut, sha256
from tests.support.signatures import content_for

#: Of the files that most tests are about, tables and others.
DATA = content_for("tides.csv", 2 * SMALL_CHUNK + 1000)
CHUNKS = cut(DATA, SMALL_CHUNK)

Answer = Any
Begin = Callable[..., dict[str, Any]]
Put = Callable[..., Answer]


@pytest.fixture(autouse=True)
def never_the_whole_body(monkeypatch: pytest.MonkeyPatch) -> None:
    """C6: a view that asks for `request.body` would hold it all in memory."""

    def refuse(self: HttpRequest) -> bytes:
        raise AssertionError("request.body was read")

    monkeypatch.setattr(HttpRequest, "body", property(refuse))


@pytest.fixture
def begin(alice_client: Client) -> Begin:
    """A handshake for DATA; its answer."""

    def handshake(client: Client = alice_client, **given: Any) -> dict[str, Any]:
        fields = {
            "filename": "file.bin",
            "size": len(DATA),
            "sha256": sha256(DATA),
            "chunk_size": SMALL_CHUNK,
            **given,
        }
        response = client.post("/api/v1/uploads/handshake", fields, "application/json")
        body: dict[str, Any] = response.json()
        return body

    return handshake


@pytest.fixture
def put(
    alice_client: Client, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> Put:
    """PUT a chunk, and let the verifier run if that was the last."""

    def send(session: dict[str, Any], index: object, body: bytes, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        path = session["urls"]["chunk"].replace("{index}", str(index))
        with django_capture_on_commit_callbacks(execute=True):
            return alice_client.put(path, body, "application/octet-stream", headers=named)

    return send


@pytest.fixture
def completed(begin: Begin, put: Put) -> dict[str, Any]:
    session = begin()
    for index, chunk in enumerate(CHUNKS):
        assert put(session, index, chunk).status_code == 200
    return session


def refused(response: Answer, status: int, code: str) -> bool:
    """Whether this is that refusal, in the one shape of all refusals (P10)."""
    assert response["Content-Type"] == "application/problem+json"
    body = response.json()
    assert (response.status_code, body["status"], body["code"]) == (status, status, code)
    return True
