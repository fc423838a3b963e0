"""An upload begun over one protocol, gone on with over a second, completed over a third."""

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import Settings

from tests.support.bodies import SMALL_CHUNK, cut, payload, sha256
from tests.support.sessions import content_of
from uploads.models import FileSession, SessionStatus

from .conftest import Answer

pytestmark = pytest.mark.django_db(transaction=True)

#: Three chunks of the smallest size, the last one short.
DATA = payload(2 * SMALL_CHUNK + 1000, seed=9)
RAW = "application/octet-stream"
#: Pieces: more than DATA has, however it is sent.
MANY = 20


@pytest.fixture(autouse=True)
def chunks_are_small(settings: Settings) -> None:
    """Also where a protocol leaves their size to the server."""
    settings.UPLOADS = {**settings.UPLOADS, "CHUNK_SIZE": SMALL_CHUNK}


def sent(answer: Answer) -> Any:
    assert answer.status_code in {200, 201}, answer.content
    return answer.json() if answer.content else None


def as_json(client: Client, path: str, body: dict[str, Any]) -> Any:
    return sent(client.post(path, json.dumps(body), "application/json"))


def chunks_of(session: FileSession) -> dict[int, bytes]:
    """Those that are missing."""
    chunks = cut(DATA, session.chunk_size)
    return {index: chunks[index] for index in session.bitmap.missing()}


# ------------------------------------------------------------------- begin


def begin_native(client: Client) -> str:
    body = {"filename": "a.bin", "size": len(DATA), "chunk_size": SMALL_CHUNK}
    identity: str = as_json(client, "/api/v1/uploads/handshake", body)["id"]
    return identity


def begin_json(client: Client) -> str:
    body = {"filename": "a.bin", "total_size": len(DATA), "chunk_size": SMALL_CHUNK}
    identity: str = as_json(client, "/api/v1/upload/init", body)["upload_id"]
    return identity


def begin_parts(client: Client) -> str:
    body = {"filename": "a.bin", "size": len(DATA), "part_size": SMALL_CHUNK}
    identity: str = as_json(client, "/uploads/sessions", body)["id"]
    return identity


def begin_chunked_upload(client: Client) -> str:
    """Its first piece ends inside a chunk."""
    headers = {"Content-Range": f"bytes 0-99999/{len(DATA)}"}
    file = SimpleUploadedFile("a.bin", DATA[:100_000])
    body = sent(client.post("/api/chunked-upload/", {"file": file}, headers=headers))
    return str(UUID(body["upload_id"]))


# ------------------------------------------------------------------- go on


def go_on_natively(client: Client, session: FileSession, most: int = MANY) -> None:
    for index, chunk in list(chunks_of(session).items())[:most]:
        sent(client.put(f"/api/v1/uploads/{session.pk}/chunks/{index}", chunk, RAW))


def go_on_in_json(client: Client, session: FileSession, most: int = MANY) -> None:
    status = sent(client.get(f"/api/v1/upload/status/{session.pk}"))
    chunks = cut(DATA, status["chunk_size"])
    for index in status["progress"]["missing_chunks"][:most]:
        body = {
            "upload_id": str(session.pk),
            "chunk_index": index,
            "chunk_data": base64.b64encode(chunks[index]).decode(),
            "checksum": sha256(chunks[index]),
        }
        as_json(client, "/api/v1/upload/chunk", body)


def go_on_in_parts(client: Client, session: FileSession, most: int = MANY) -> None:
    """From the end."""
    parts = sent(client.get(f"/uploads/sessions/{session.pk}"))
    chunks = cut(DATA, parts["part_size"])
    for number in parts["missing_parts"][::-1][:most]:
        path = f"/uploads/sessions/{session.pk}/parts/{number}"
        sent(client.put(path, chunks[number - 1], "application/x-www-form-urlencoded"))


def go_on_as_a_stream(client: Client, session: FileSession, most: int = MANY) -> None:
    for _ in range(most):
        offset = int(client.head(f"/upload/{session.pk}")["Upload-Offset"])
        end = min(offset + 120_000, len(DATA))
        if offset == end:
            return
        headers = {"Content-Range": f"bytes {offset}-{end - 1}/{len(DATA)}"}
        sent(client.put(f"/upload/{session.pk}", DATA[offset:end], RAW, headers=headers))


def go_on_by_chunked_upload(client: Client, session: FileSession, most: int = MANY) -> None:
    offset = session.offset
    for _ in range(most):
        end = min(offset + 150_000, len(DATA))
        if offset == end:
            return
        headers = {"Content-Range": f"bytes {offset}-{end - 1}/{len(DATA)}"}
        file = SimpleUploadedFile("a.bin", DATA[offset:end])
        form = {"file": file, "upload_id": session.pk.hex}
        offset = sent(client.post("/api/chunked-upload/", form, headers=headers))["offset"]


# ----------------------------------------------------------------- complete


def complete_natively(client: Client, session: FileSession) -> None:
    as_json(client, f"/api/v1/uploads/{session.pk}/complete", {"sha256": sha256(DATA)})


def complete_in_json(client: Client, session: FileSession) -> None:
    body = {"upload_id": str(session.pk), "file_hash": sha256(DATA)}
    as_json(client, "/api/v1/upload/complete", body)


def complete_by_chunked_upload(client: Client, session: FileSession) -> None:
    form = {"upload_id": session.pk.hex, "md5": hashlib.md5(DATA).hexdigest()}
    sent(client.post("/api/chunked-upload/complete/", form))


BEGINNINGS = [begin_native, begin_json, begin_parts, begin_chunked_upload]
CONTINUATIONS = [
    go_on_natively,
    go_on_in_json,
    go_on_in_parts,
    go_on_as_a_stream,
    go_on_by_chunked_upload,
]
ENDS = [complete_natively, complete_in_json, complete_by_chunked_upload]


@pytest.mark.parametrize("complete", ENDS)
@pytest.mark.parametrize("go_on", CONTINUATIONS)
@pytest.mark.parametrize("begin", BEGINNINGS)
def test_any_protocol_continues_what_any_other_began_and_any_completes_it(
    alice: User,
    alice_client: Client,
    begin: Callable[[Client], str],
    go_on: Callable[[Client, FileSession], None],
    complete: Callable[[Client, FileSession], None],
) -> None:
    identity = begin(alice_client)
    session = FileSession.objects.get(pk=identity)
    if not session.offset:
        # Something is in before the other takes over.
        path = f"/api/v1/uploads/{identity}/chunks/1"
        sent(alice_client.put(path, cut(DATA, session.chunk_size)[1], RAW))
    go_on(alice_client, FileSession.objects.get(pk=identity))
    session = FileSession.objects.get(pk=identity)
    assert session.offset == len(DATA)
    complete(alice_client, session)
    session.refresh_from_db()
    assert session.status == SessionStatus.COMPLETED
    assert content_of(session) == DATA
    assert FileSession.objects.filter(owner=alice).count() == 1


@pytest.mark.parametrize("first", CONTINUATIONS)
@pytest.mark.parametrize("second", CONTINUATIONS)
def test_two_protocols_take_turns_on_one_upload(
    alice_client: Client,
    first: Callable[[Client, FileSession, int], None],
    second: Callable[[Client, FileSession, int], None],
) -> None:
    """One piece each, as long as something is missing; tails and chunks ahead lie between them."""
    identity = begin_chunked_upload(alice_client)
    for go_on in [first, second] * MANY:
        session = FileSession.objects.get(pk=identity)
        if session.offset < len(DATA):
            go_on(alice_client, session, 1)
    complete_natively(alice_client, FileSession.objects.get(pk=identity))
    assert content_of(FileSession.objects.get(pk=identity)) == DATA


@pytest.mark.parametrize("complete", ENDS)
def test_a_stream_without_a_size_is_completed_by_any(
    alice_client: Client, complete: Callable[[Client, FileSession], None]
) -> None:
    identity = ""
    for start in range(0, len(DATA), 200_000):
        file = SimpleUploadedFile("a.bin", DATA[start : start + 200_000])
        form = {"file": file, "offset": start, "upload_id": identity}
        identity = sent(alice_client.post("/api/chunked-upload/", form))["upload_id"]
    session = FileSession.objects.get(pk=UUID(identity))
    native = sent(alice_client.get(f"/api/v1/uploads/{session.pk}"))
    assert (native["size"], native["missing"], native["offset"]) == (None, None, len(DATA))
    complete(alice_client, session)
    session.refresh_from_db()
    assert (session.status, session.size) == (SessionStatus.COMPLETED, len(DATA))
    assert content_of(session) == DATA
