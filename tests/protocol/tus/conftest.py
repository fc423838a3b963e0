"""tus, spoken by Django's test client: requests and answers as literals, one file a verb."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks

from tests.support.bodies import SMALL_CHUNK
from uploads.models import FileSession
from uploads.protocols import waiting

#: What every request but OPTIONS says.
V = {"Tus-Resumable": "1.0.0"}
#: What every body is.
BODY = "application/offset+octet-stream"

Answer = Any
Ask = Callable[..., Answer]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verifier runs when the request has ended: nothing is to be waited for."""
    monkeypatch.setattr(waiting, "WAIT_SECONDS", 0.0)


@pytest.fixture
def ask(
    alice_client: Client, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> Ask:
    """`ask("PATCH /files/…", {headers}, body)`; what was enqueued has run when it returns.

    `declared` is the Content-Length, where the body is cut short; None for a chunked body.
    """

    def send(
        line: str,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        *,
        client: Client = alice_client,
        declared: int | str | None = -1,
    ) -> Answer:
        method, path = line.split(" ")
        given = V if headers is None else headers
        wire: dict[str, Any] = {"CONTENT_LENGTH": str(len(body) if declared == -1 else declared)}
        if declared is None:
            wire = {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}
        wire |= {"wsgi.input": io.BytesIO(body), "wsgi.input_terminated": True}
        named = {name: value for name, value in given.items() if name != "Content-Type"}
        kind = given.get("Content-Type", "")
        with django_capture_on_commit_callbacks(execute=True):
            return client.generic(method, path, b"x", kind, headers=named, **wire)

    return send


@pytest.fixture
def create(ask: Ask) -> Callable[..., str]:
    """Create an upload of `length` bytes, or of an unknown length; its address's path."""

    def begin(length: int | None, **headers: str) -> str:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        size = {"Upload-Defer-Length": "1"} if length is None else {"Upload-Length": str(length)}
        answer = ask("POST /files/", V | size | named)
        assert answer.status_code == 201, answer.content
        location: str = answer["Location"]
        return location.removeprefix("http://testserver")

    return begin


@pytest.fixture
def patch(ask: Ask) -> Ask:
    """`patch(path, offset, body, **headers)`."""

    def send(path: str, offset: object, body: bytes, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        given = V | {"Content-Type": BODY, "Upload-Offset": str(offset)} | named
        return ask(f"PATCH {path}", given, body)

    return send


def row(path: str) -> FileSession:
    return FileSession.objects.get(pk=path.rpartition("/")[2])


def told(answer: Answer, *names: str) -> dict[str, str]:
    """Which of these headers the answer has, and what they say."""
    return {name: answer[name] for name in names if name in answer}


def fits(answer: Answer, status: int, **headers: str | None) -> bool:
    """Whether the answer has this status, these headers (None: not there), and the version."""
    assert (answer.status_code, answer["Tus-Resumable"]) == (status, "1.0.0"), answer.content
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    assert {name: answer.get(name) for name in named} == named
    return True


__all__ = ["SMALL_CHUNK", "Answer", "Ask", "User"]
