"""POST of a session's handshake: the size of a stream that was begun without one."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import Settings

from tests.support.bodies import SMALL_CHUNK, cut, flipped, payload, sha256
from tests.support.sessions import content_of
from uploads.models import FileSession, SessionStatus

from .conftest import Answer, refused

pytestmark = pytest.mark.django_db(transaction=True)

#: Three chunks, the last one short.
DATA = payload(2 * SMALL_CHUNK + 1000, seed=4)
CHUNKS = cut(DATA, SMALL_CHUNK)
#: What the script has sent when it stops: a chunk, and a part of the next.
CAME = SMALL_CHUNK + 5000


@pytest.fixture(autouse=True)
def chunks_are_small(settings: Settings) -> None:
    settings.UPLOADS = {**settings.UPLOADS, "CHUNK_SIZE": SMALL_CHUNK}


def stream(client: Client, came: int = CAME) -> FileSession:
    """The session of a script that has sent so much of DATA, and has not said how long it is."""
    file = SimpleUploadedFile("a.bin", DATA[:came])
    answer = client.post("/api/chunked-upload/", {"file": file, "offset": 0})
    assert answer.status_code == 200, answer.content
    session = FileSession.objects.get(pk=answer.json()["upload_id"])
    assert (session.size, session.offset) == (None, came)
    return session


def url_of(session: FileSession, verb: str = "") -> str:
    return f"/api/v1/uploads/{session.pk}{verb}"


def declare(client: Client, session: FileSession, **body: Any) -> Answer:
    return client.post(url_of(session, "/handshake"), body, "application/json")


def put(client: Client, session: FileSession, index: int, chunk: bytes) -> Answer:
    path = url_of(session, f"/chunks/{index}")
    return client.put(path, chunk, "application/octet-stream")


def complete(client: Client, session: FileSession, **body: Any) -> FileSession:
    """The session as the verifier leaves it, which runs as soon as it is asked to."""
    answer = client.post(url_of(session, "/complete"), body, "application/json")
    assert answer.status_code == 200, answer.content
    session.refresh_from_db()
    return session


def test_once_the_size_is_known_so_is_what_is_missing(alice_client: Client) -> None:
    session = stream(alice_client)
    before = alice_client.get(url_of(session)).json()
    assert (before["size"], before["total_chunks"], before["missing"]) == (None, None, None)
    answer = declare(alice_client, session, size=len(DATA))
    assert answer.status_code == 200
    body = answer.json()
    assert (body["size"], body["total_chunks"], body["missing"]) == (len(DATA), 3, [1, 2])
    # The part of the next chunk is still there, for a script that would go on.
    assert body["offset"] == CAME
    assert body == alice_client.get(url_of(session)).json()


def test_whole_chunks_take_the_place_of_the_part_that_a_stream_left(alice_client: Client) -> None:
    session = stream(alice_client)
    declare(alice_client, session, size=len(DATA))
    for index in (2, 1):
        assert put(alice_client, session, index, CHUNKS[index]).status_code == 200
    done = complete(alice_client, session, sha256=sha256(DATA))
    assert done.status == SessionStatus.COMPLETED
    assert content_of(done) == DATA


def test_a_size_that_has_come_already_leaves_nothing_missing(alice_client: Client) -> None:
    session = stream(alice_client, came=len(DATA))
    assert declare(alice_client, session, size=len(DATA)).json()["missing"] == []
    assert content_of(complete(alice_client, session)) == DATA


def test_chunks_that_are_in_can_be_compared_before_any_size_is_declared(
    alice_client: Client,
) -> None:
    session = stream(alice_client)
    assert put(alice_client, session, 0, CHUNKS[0]).json()["duplicate"] is True
    other = put(alice_client, session, 0, flipped(CHUNKS[0], 7))
    assert refused(other, 409, "chunk_conflict")
    body = alice_client.get(url_of(session)).json()
    assert (body["size"], body["offset"]) == (None, CAME)


def test_p6_the_same_size_again_changes_nothing_and_another_is_refused(
    alice_client: Client,
) -> None:
    session = stream(alice_client)
    first = declare(alice_client, session, size=len(DATA)).json()
    assert declare(alice_client, session, size=len(DATA)).json() == first
    answer = declare(alice_client, session, size=len(DATA) + 1)
    assert refused(answer, 400, "length_mismatch")
    assert (answer.json()["expected"], answer.json()["actual"]) == (len(DATA), len(DATA) + 1)
    assert alice_client.get(url_of(session)).json() == first


def test_a_size_smaller_than_what_has_come_is_refused(alice_client: Client) -> None:
    session = stream(alice_client)
    answer = declare(alice_client, session, size=CAME - 1)
    assert refused(answer, 400, "length_mismatch")
    assert answer.json()["expected"] == CAME
    session.refresh_from_db()
    assert (session.size, session.offset) == (None, CAME)


@pytest.mark.parametrize("given", [{}, {"size": None}, {"size": -1}, {"size": "9"}, {"size": True}])
def test_p10_what_is_no_size_is_refused_by_its_name(
    alice_client: Client, given: dict[str, Any]
) -> None:
    answer = declare(alice_client, stream(alice_client), **given)
    assert refused(answer, 400, "invalid_request")
    assert answer.json()["field"] == "size"


def test_a_size_beyond_the_site_s_limit_is_refused(
    alice_client: Client, settings: Settings
) -> None:
    settings.UPLOADS = {**settings.UPLOADS, "MAX_FILE_SIZE": len(DATA)}
    session = stream(alice_client)
    assert refused(declare(alice_client, session, size=len(DATA) + 1), 413, "too_large")
    assert declare(alice_client, session, size=len(DATA)).status_code == 200


def test_p9_nobody_declares_the_size_of_another_s_upload(
    alice_client: Client, bob_client: Client
) -> None:
    session = stream(alice_client)
    assert refused(declare(bob_client, session, size=len(DATA)), 404, "session_not_found")
    session.refresh_from_db()
    assert session.size is None


@pytest.mark.parametrize(
    ("state", "status", "code"),
    [("cancelled", 410, "session_cancelled"), ("failed", 409, "session_failed")],
)
def test_an_upload_that_has_ended_takes_no_size(
    alice_client: Client, state: str, status: int, code: str
) -> None:
    session = stream(alice_client)
    FileSession.objects.update(status=state)
    assert refused(declare(alice_client, session, size=len(DATA)), status, code)


def test_the_addresses_of_a_handshake_name_their_methods(alice_client: Client) -> None:
    answer = alice_client.delete(url_of(stream(alice_client), "/handshake"))
    assert refused(answer, 405, "method_not_allowed")
    assert answer["Allow"] == "POST, GET, HEAD"
