"""PUT and POST /api/v1/uploads/<id>/chunks/<index> (A3)."""

import io
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks

from tests.support.bodies import SMALL_CHUNK, content_digest, flipped, sha256
from uploads.models import FileSession

from .conftest import CHUNKS, DATA, Answer, Begin, Put, refused

TOTAL = len(DATA)


@pytest.fixture
def post(
    alice_client: Client, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> Put:
    def send(session: dict[str, Any], index: int, chunk: bytes, **fields: str) -> Answer:
        path = session["urls"]["chunk"].replace("{index}", str(index))
        form = {"chunk": SimpleUploadedFile("blob", chunk), **fields}
        with django_capture_on_commit_callbacks(execute=True):
            return alice_client.post(path, form)

    return send


def missing(session: dict[str, Any]) -> list[int]:
    return FileSession.objects.get(pk=session["id"]).bitmap.missing()


def test_the_answer_has_exactly_these_fields(begin: Begin, put: Put) -> None:
    response = put(begin(), 1, CHUNKS[1])
    assert response.status_code == 200
    assert response.json() == {
        "index": 1,
        "duplicate": False,
        "state": "active",
        "received_chunks": 1,
        "total_chunks": 3,
        "progress": SMALL_CHUNK * 1000 // TOTAL / 10,
    }


def test_the_last_chunk_completes_by_itself(alice_client: Client, completed: Any) -> None:
    """A4, B10: the happy path."""
    assert alice_client.get(completed["urls"]["self"]).json()["state"] == "completed"


def test_p6_the_last_answer_can_be_asked_for_again(completed: Any, put: Put) -> None:
    response = put(completed, 2, CHUNKS[2])
    assert response.status_code == 200
    assert response.json()["duplicate"] is True
    assert response.json()["state"] == "completed"
    assert refused(put(completed, 2, flipped(CHUNKS[2])), 409, "chunk_conflict")


@pytest.mark.parametrize("algorithm", ["sha-256", "blake3"])
def test_a_right_digest_passes_and_a_wrong_one_is_422(
    begin: Begin, put: Put, algorithm: str
) -> None:
    session = begin()
    declared = content_digest(CHUNKS[0], algorithm)
    wrong = put(session, 0, flipped(CHUNKS[0]), Content_Digest=declared)
    assert refused(wrong, 422, "digest_mismatch")
    assert missing(session) == [0, 1, 2]
    assert put(session, 0, CHUNKS[0], Content_Digest=declared).status_code == 200


def test_an_unknown_algorithm_is_ignored(begin: Begin, put: Put) -> None:
    assert put(begin(), 0, CHUNKS[0], Content_Digest="md5=:AAAA:").status_code == 200
    quoted = 'x="a, sha-256=:AAAA:, b"'
    assert put(begin(), 1, CHUNKS[1], Content_Digest=quoted).status_code == 200


@pytest.mark.parametrize("header", ["", "sha-256=:x:", "%%%", "sha-256", "blake3=abc"])
def test_a_malformed_digest_is_400(begin: Begin, put: Put, header: str) -> None:
    session = begin()
    assert refused(put(session, 0, CHUNKS[0], Content_Digest=header), 400, "invalid_request")
    assert missing(session) == [0, 1, 2]


@pytest.mark.parametrize("total", [str(TOTAL), "*"])
def test_c7_a_range_that_agrees_is_accepted(begin: Begin, put: Put, total: str) -> None:
    header = f"bytes {SMALL_CHUNK}-{2 * SMALL_CHUNK - 1}/{total}"
    assert put(begin(), 1, CHUNKS[1], Content_Range=header).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        f"bytes 0-{SMALL_CHUNK - 1}/{TOTAL}",
        f"bytes {SMALL_CHUNK}-{2 * SMALL_CHUNK}/{TOTAL}",
        f"bytes {SMALL_CHUNK}-{2 * SMALL_CHUNK - 1}/{TOTAL + 1}",
        f"bytes */{TOTAL}",
        "bytes 5-1/*",
        "chunks 1-2/3",
        "bytes",
        "bytes " + "9" * 5000 + "-1/2",
    ],
    ids=lambda header: header[:40],
)
def test_c7_a_range_that_disagrees_is_400(begin: Begin, put: Put, header: str) -> None:
    session = begin()
    assert refused(put(session, 1, CHUNKS[1], Content_Range=header), 400, "range_mismatch")
    assert missing(session) == [0, 1, 2]


@pytest.mark.parametrize("change", [-1, 1, -1000])
def test_a_wrong_length_is_400_and_says_what_was_expected(
    begin: Begin, put: Put, change: int
) -> None:
    body = CHUNKS[0][:change] if change < 0 else CHUNKS[0] + bytes(change)
    response = put(begin(), 0, body)
    assert refused(response, 400, "length_mismatch")
    assert response.json()["expected"] == SMALL_CHUNK
    assert response.json()["actual"] == SMALL_CHUNK + change


@pytest.mark.parametrize("index", ["3", "99999999999999999999", "-1", "x", "1.5", "9" * 5000])
def test_an_index_out_of_bounds_is_404(begin: Begin, put: Put, index: str) -> None:
    response = put(begin(), index, CHUNKS[0])
    assert response.status_code == 404
    assert response.json()["code"] in {"chunk_not_found", "not_found"}


def test_no_length_is_411(begin: Begin, put: Put) -> None:
    assert refused(put(begin(), 0, b""), 411, "length_required")


@pytest.mark.parametrize(
    ("state", "status", "code"),
    [
        ("failed", 409, "session_failed"),
        ("cancelled", 410, "session_cancelled"),
        ("expired", 410, "session_expired"),
    ],
)
def test_a_chunk_of_an_ended_session(
    begin: Begin, put: Put, state: str, status: int, code: str
) -> None:
    session = begin()
    FileSession.objects.update(status=state)
    assert refused(put(session, 0, CHUNKS[0]), status, code)


def test_a_form_is_as_good_as_raw_bytes(begin: Begin, post: Put) -> None:
    session = begin()
    response = post(session, 0, CHUNKS[0], sha256=sha256(CHUNKS[0]))
    assert (response.status_code, response.json()["duplicate"]) == (200, False)
    assert post(session, 0, CHUNKS[0]).json()["duplicate"] is True
    assert missing(session) == [1, 2]


def test_a_form_is_checked_like_raw_bytes(begin: Begin, post: Put) -> None:
    session = begin()
    assert refused(post(session, 0, CHUNKS[0][:-1]), 400, "length_mismatch")
    assert refused(post(session, 0, CHUNKS[0] + b"x"), 400, "length_mismatch")
    assert refused(post(session, 0, CHUNKS[0], sha256=sha256(b"")), 422, "digest_mismatch")
    assert refused(post(session, 0, CHUNKS[0], sha256="x"), 400, "invalid_request")
    assert refused(post(session, 9, CHUNKS[0]), 404, "chunk_not_found")
    assert refused(post(session, 0, CHUNKS[0] + bytes(20_000)), 413, "too_large")
    assert missing(session) == [0, 1, 2]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"nonsense"),
        ("multipart/form-data; boundary=b", b"--b--\r\n"),
        ("multipart/form-data; boundary=\xff", b"x"),
    ],
)
def test_a_body_that_is_no_such_form_is_400(
    alice_client: Client, begin: Begin, kind: str, body: bytes
) -> None:
    path = begin()["urls"]["chunk"].replace("{index}", "0")
    assert refused(alice_client.post(path, body, kind), 400, "invalid_request")


def test_a_form_with_another_file_field_is_400(alice_client: Client, begin: Begin) -> None:
    path = begin()["urls"]["chunk"].replace("{index}", "0")
    wrong = {"file": SimpleUploadedFile("blob", CHUNKS[0])}
    assert refused(alice_client.post(path, wrong), 400, "invalid_request")


@pytest.mark.parametrize("kind", ["application/octet-stream", "application/json"])
def test_a_post_that_is_no_form_is_415(alice_client: Client, begin: Begin, kind: str) -> None:
    path = begin()["urls"]["chunk"].replace("{index}", "0")
    assert refused(alice_client.post(path, b"x", kind), 415, "unsupported_media_type")


def _cut_form(at: bytes) -> tuple[bytes, bytes]:
    """A form of chunk 0 and then its hash, wrong; and what of it is there before the last `at`."""
    whole = (
        b'--b\r\nContent-Disposition: form-data; name="chunk"; filename="f"\r\n\r\n'
        + CHUNKS[0]
        + b'\r\n--b\r\nContent-Disposition: form-data; name="sha256"\r\n\r\n'
        + b"f" * 64
        + b"\r\n--b--\r\n"
    )
    end = whole.rindex(at) if at else len(whole)
    return whole, whole[:end]


@pytest.mark.parametrize(
    "at",
    [
        b'\r\nContent-Disposition: form-data; name="sha256"',
        b'; name="sha256"',
        b"f" * 64,
        b"f" * 10 + b"\r\n",
        b"--b--",
        b"\r\n",
    ],
    ids=["before the field", "in its head", "before its value", "in its value", "b", "end"],
)
def test_p2_a_form_cut_behind_its_file_changes_nothing(
    alice_client: Client, begin: Begin, at: bytes
) -> None:
    """The lost field would have been the digest that refuses these bytes."""
    session = begin()
    whole, given = _cut_form(at)
    assert len(CHUNKS[0]) < len(given) < len(whole)
    path = session["urls"]["chunk"].replace("{index}", "0")
    ended: dict[str, Any] = {
        "wsgi.input": io.BytesIO(given),
        "CONTENT_LENGTH": str(len(whole)),
    }
    response = alice_client.generic("POST", path, b"x", "multipart/form-data; boundary=b", **ended)
    assert refused(response, 400, "length_mismatch")
    assert missing(session) == [0, 1, 2]


def test_a_whole_form_with_its_hash_behind_the_file_is_checked(
    alice_client: Client, begin: Begin
) -> None:
    session = begin()
    whole, _ = _cut_form(b"")
    path = session["urls"]["chunk"].replace("{index}", "0")
    response = alice_client.post(path, whole, "multipart/form-data; boundary=b")
    assert refused(response, 422, "digest_mismatch")
    assert missing(session) == [0, 1, 2]


def test_p10_a_file_name_in_an_unknown_charset_is_400(alice_client: Client, begin: Begin) -> None:
    path = begin()["urls"]["chunk"].replace("{index}", "0")
    head = b"Content-Disposition: form-data; name=chunk; filename*=bogus''x"
    body = b"--b\r\n" + head + b"\r\n\r\nabc\r\n--b--\r\n"
    response = alice_client.post(path, body, "multipart/form-data; boundary=b")
    assert refused(response, 400, "invalid_request")
