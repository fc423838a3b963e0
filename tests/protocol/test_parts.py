"""The parts protocol: /uploads/sessions, its parts from 1, and /upload/<id> (D, C4, C7)."""

import base64
import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from tests.support.bodies import (
    SMALL_CHUNK,
    content_digest,
    flipped,
    payload,
    sha256,
)
from tests.support.sessions import begin as begin_tiny
from tests.support.sessions import send, staged
from uploads.core.bitmap import Bitmap
from uploads.core.plan import MAX_CHUNKS
from uploads.engine.opening import Offer, open_session
from uploads.models import FileChunk, FileSession

from .conftest import CHUNKS, DATA, Answer, Begin, Put, refused

URL = "/uploads/sessions"
#: What curl says of a body that was given by --data-binary.
OF_CURL = "application/x-www-form-urlencoded"
TOTAL = len(DATA)
LAST = TOTAL - 2 * SMALL_CHUNK
KEYS = {
    "id", "state", "filename", "folder", "size", "part_size", "total_parts", "received_parts",
    "missing_parts", "offset", "progress", "sha256", "expires_at", "urls",
}  # fmt: skip


@pytest.fixture
def begin(alice_client: Client) -> Begin:
    """A session for DATA; the answer."""

    def open_one(**given: Any) -> dict[str, Any]:
        fields = {
            "filename": "file.bin",
            "size": TOTAL,
            "sha256": sha256(DATA),
            "part_size": SMALL_CHUNK,
            **given,
        }
        body: dict[str, Any] = alice_client.post(URL, fields, "application/json").json()
        return body

    return open_one


@pytest.fixture
def put(
    alice_client: Client, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> Put:
    """PUT a part, and let the verifier run if that was the last."""

    def send_part(
        session: dict[str, Any], number: object, body: bytes, kind: str = OF_CURL, **headers: str
    ) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        path = session["urls"]["part"].replace("{number}", str(number))
        with django_capture_on_commit_callbacks(execute=True):
            return alice_client.put(path, body, kind, headers=named)

    return send_part


Append = Callable[..., Answer]


@pytest.fixture
def append(
    alice_client: Client, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> Append:
    """PUT bytes to /upload/<id>; `declared` is the length, where the body is cut short."""

    def send_bytes(
        session: dict[str, Any], body: bytes, declared: int | None = None, **headers: str
    ) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        length = len(body) if declared is None else declared
        wire: dict[str, Any] = {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(length)}
        with django_capture_on_commit_callbacks(execute=True):
            return alice_client.put(session["urls"]["upload"], b"x", OF_CURL, headers=named, **wire)

    return send_bytes


def row(session: dict[str, Any]) -> FileSession:
    return FileSession.objects.get(pk=session["id"])


def of_part(response: Answer, status: int, code: str, number: int) -> bool:
    """Whether this refusal speaks of part `number`, and never of a chunk from 0."""
    assert refused(response, status, code)
    body = response.json()
    assert body["part"] == number
    assert f"part {number}" in body["detail"].lower()
    assert "chunk" not in body["detail"].lower()
    return True


# The session.


def test_a_session_is_told_in_parts_from_1(alice_client: Client, begin: Begin) -> None:
    session = begin(folder="films/2026", mime_type="video/x-matroska")
    assert set(session) == {*KEYS, "status"}
    own = f"/uploads/sessions/{session['id']}"
    assert session["urls"] == {
        "self": own,
        "part": own + "/parts/{number}",
        "upload": f"/upload/{session['id']}",
        "complete": f"/api/v1/uploads/{session['id']}/complete",
        "content": f"/api/v1/uploads/{session['id']}/content",
    }
    told = {key: session[key] for key in ("status", "folder", "part_size", "total_parts")}
    assert told == {
        "status": "created",
        "folder": "films/2026",
        "part_size": SMALL_CHUNK,
        "total_parts": 3,
    }
    assert (session["received_parts"], session["missing_parts"]) == (0, [1, 2, 3])
    looked = alice_client.get(own)
    assert looked.json() == {key: value for key, value in session.items() if key != "status"}
    head = alice_client.head(own)
    assert (head.status_code, head.content) == (200, b"")


def test_a_session_is_found_again_and_a_complete_file_is_not_sent_twice(
    alice_client: Client, begin: Begin, put: Put
) -> None:
    session = begin()
    put(session, 2, CHUNKS[1])
    resumed = begin()
    assert (resumed["status"], resumed["missing_parts"]) == ("resumed", [1, 3])
    put(session, 1, CHUNKS[0])
    put(session, 3, CHUNKS[2])
    complete = begin()
    assert (complete["status"], complete["state"]) == ("file_exists", "completed")
    content = alice_client.get(complete["urls"]["content"])
    assert b"".join(content.streaming_content) == DATA  # type: ignore[attr-defined]


def test_the_statuses_of_a_session_just_made_and_found(alice_client: Client) -> None:
    fields = {"filename": "f", "size": 10, "resume_key": "mine"}
    answers = [alice_client.post(URL, fields, "application/json") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 200]


def test_a_session_begun_here_is_continued_by_the_native_protocol(
    alice_client: Client, begin: Begin, put: Put
) -> None:
    session = begin()
    put(session, 1, CHUNKS[0])
    native = f"/api/v1/uploads/{session['id']}"
    assert alice_client.get(native).json()["missing"] == [1, 2]
    alice_client.put(f"{native}/chunks/2", CHUNKS[2], "application/octet-stream")
    assert alice_client.get(session["urls"]["self"]).json()["missing_parts"] == [2]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", -1),
        ("size", None),
        ("filename", 1),
        ("sha256", "x"),
        ("part_size", "5"),
        ("folder", "../up"),
    ],
)
def test_p10_a_malformed_field_is_named(
    alice_client: Client, begin: Begin, field: str, value: object
) -> None:
    answer = begin(**{field: value})
    assert (answer["status"], answer["field"]) == (400, field)
    assert not FileSession.objects.exists()


# D1 to D4.


@pytest.mark.parametrize(
    "kind",
    [
        OF_CURL,
        "multipart/form-data; boundary=b",
        "multipart/form-data",
        "application/json",
        "",
        "?",
    ],
)
def test_d1_a_body_is_stored_as_it_is_whatever_it_is_called(
    begin: Begin, put: Put, kind: str
) -> None:
    """`curl --data-binary @part` calls everything a form; a form it is not, and nothing reads it
    as one.
    """
    looks_like_a_form = b"a=1&b=2&" * (SMALL_CHUNK // 8)
    session = begin(sha256=None)
    response = put(session, 1, looks_like_a_form, kind)
    assert response.status_code == 200
    assert response.json() == {
        "part": 1,
        "duplicate": False,
        "state": "active",
        "received_parts": 1,
        "total_parts": 3,
        "progress": SMALL_CHUNK * 1000 // TOTAL / 10,
    }
    assert staged(row(session))[:SMALL_CHUNK] == looks_like_a_form


def test_d2_the_same_part_again_is_counted_once(begin: Begin, put: Put) -> None:
    session = begin()
    answers = [put(session, 2, CHUNKS[1]).json() for _ in range(3)]
    assert [answer["duplicate"] for answer in answers] == [False, True, True]
    assert {answer["received_parts"] for answer in answers} == {1}


def test_d2_the_same_part_with_other_bytes_is_409_and_changes_nothing(
    begin: Begin, put: Put
) -> None:
    session = begin()
    put(session, 2, CHUNKS[1])
    assert of_part(put(session, 2, flipped(CHUNKS[1])), 409, "chunk_conflict", 2)
    stored = staged(row(session))[SMALL_CHUNK : 2 * SMALL_CHUNK]
    assert (stored, row(session).received_count) == (CHUNKS[1], 1)
    assert put(session, 2, CHUNKS[1]).json()["duplicate"] is True


def test_d3_c10_any_order_completes_with_exactly_the_declared_size(begin: Begin, put: Put) -> None:
    session = begin()
    counts = [
        put(session, number, CHUNKS[number - 1]).json()["received_parts"] for number in (3, 1, 2)
    ]
    assert counts == [1, 2, 3]
    assert row(session).status == "completed"
    stored = row(session).stored_file
    assert stored is not None
    assert (stored.size, stored.sha256) == (TOTAL, sha256(DATA))


def test_c10_the_file_in_staging_never_has_another_size(begin: Begin, put: Put) -> None:
    session = begin(sha256=None)
    for number in (3, 1, 2):
        put(session, number, CHUNKS[number - 1])
        assert len(staged(row(session))) == TOTAL
    assert staged(row(session)) == DATA


@pytest.mark.parametrize("size", [SMALL_CHUNK - 1, 64 * 1024 * 1024 + 1, 0, -1])
def test_d4_a_part_size_out_of_bounds_is_refused(begin: Begin, size: int) -> None:
    answer = begin(part_size=size)
    assert (answer["status"], answer["code"], answer["field"]) == (
        400,
        "invalid_request",
        "part_size",
    )
    assert str(SMALL_CHUNK) in answer["detail"]


@pytest.mark.parametrize(("number", "change"), [(1, -1), (1, 1), (3, 1), (3, SMALL_CHUNK - LAST)])
def test_d4_a_part_of_the_wrong_length_is_refused(
    begin: Begin, put: Put, number: int, change: int
) -> None:
    right = CHUNKS[number - 1]
    wrong = right[:change] if change < 0 else right + bytes(change)
    session = begin()
    response = put(session, number, wrong)
    assert of_part(response, 400, "length_mismatch", number)
    told = response.json()
    assert (told["expected"], told["actual"]) == (len(right), len(wrong))
    assert row(session).received_count == 0


@pytest.mark.parametrize("number", [0, 4, 10_001, 10**30])
def test_d4_a_number_outside_the_parts_is_404(begin: Begin, put: Put, number: int) -> None:
    response = put(begin(), number, CHUNKS[0])
    assert of_part(response, 404, "chunk_not_found", number)
    assert "3 parts" in response.json()["detail"]


def test_d4_a_cancelled_upload_is_410(alice_client: Client, begin: Begin, put: Put) -> None:
    session = begin()
    alice_client.delete(f"/api/v1/uploads/{session['id']}")
    assert refused(put(session, 1, CHUNKS[0]), 410, "session_cancelled")
    for url in (session["urls"]["self"], session["urls"]["upload"]):
        assert refused(alice_client.get(url), 410, "session_cancelled")
        assert alice_client.head(url).status_code == 410


def test_d4_an_expired_upload_is_410(alice_client: Client, begin: Begin, put: Put) -> None:
    session = begin()
    FileSession.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert refused(put(session, 1, CHUNKS[0]), 410, "session_expired")
    assert refused(alice_client.get(session["urls"]["upload"]), 410, "session_expired")


def test_d4_a_failed_upload_is_409(begin: Begin, put: Put) -> None:
    session = begin()
    FileSession.objects.update(status="failed", error="Because.")
    assert refused(put(session, 1, CHUNKS[0]), 409, "session_failed")


def test_d4_a_completed_upload_takes_the_same_part_and_no_other(begin: Begin, put: Put) -> None:
    session = begin()
    for number, chunk in enumerate(CHUNKS, start=1):
        put(session, number, chunk)
    again = put(session, 2, CHUNKS[1]).json()
    assert (again["duplicate"], again["state"]) == (True, "completed")
    assert of_part(put(session, 2, flipped(CHUNKS[1])), 409, "chunk_conflict", 2)


ADDRESSES = [
    ("POST", "/uploads/sessions"),
    ("GET", "/uploads/sessions/{id}"),
    ("PUT", "/uploads/sessions/{id}/parts/1"),
    ("GET", "/upload/{id}"),
    ("PUT", "/upload/{id}"),
]


@pytest.mark.parametrize(("method", "address"), ADDRESSES)
@pytest.mark.parametrize("header", [None, "Bearer nonsense", "Basic YTpi"])
def test_d4_no_or_wrong_credentials_are_401(
    begin: Begin, method: str, address: str, header: str | None
) -> None:
    session = begin()
    headers = {"Authorization": header} if header else {}
    path = address.format(id=session["id"])
    response = Client().generic(method, path, CHUNKS[0], OF_CURL, headers=headers)
    assert refused(response, 401, "not_authenticated")
    assert row(session).received_count == 0


@pytest.mark.parametrize(("method", "address"), ADDRESSES)
def test_d4_a_cookie_without_its_csrf_token_changes_nothing(
    alice: User, begin: Begin, method: str, address: str
) -> None:
    session = begin()
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    response = client.generic(method, address.format(id=session["id"]), CHUNKS[0], OF_CURL)
    if method == "GET":
        assert response.status_code == 200
    else:
        assert refused(response, 403, "csrf_failed")
    assert row(session).received_count == 0


@pytest.mark.parametrize(("method", "address"), ADDRESSES[1:])
def test_p9_another_user_s_upload_looks_like_none_at_all(
    bob_client: Client, begin: Begin, method: str, address: str
) -> None:
    session = begin()
    theirs, unknown = (
        bob_client.generic(method, address.format(id=one), CHUNKS[0], OF_CURL)
        for one in (session["id"], uuid4())
    )
    assert refused(theirs, 404, "session_not_found")
    assert theirs.json() == unknown.json()
    assert row(session).received_count == 0


# What a part may declare.


@pytest.mark.parametrize("algorithm", ["sha-256", "blake3"])
def test_p2_a_part_that_is_not_its_digest_is_422(begin: Begin, put: Put, algorithm: str) -> None:
    session = begin()
    declared = content_digest(CHUNKS[0], algorithm)
    wrong = put(session, 1, flipped(CHUNKS[0]), Content_Digest=declared)
    assert of_part(wrong, 422, "digest_mismatch", 1)
    assert {"algorithm", "expected", "actual"} <= set(wrong.json())
    assert row(session).received_count == 0
    assert put(session, 1, CHUNKS[0], Content_Digest=declared).status_code == 200
    malformed = put(session, 2, CHUNKS[1], Content_Digest="sha-256=:x:")
    assert refused(malformed, 400, "invalid_request")


@pytest.mark.parametrize("total", [str(TOTAL), "*"])
def test_c7_a_range_that_is_the_part_s_is_accepted(begin: Begin, put: Put, total: str) -> None:
    header = f"bytes {SMALL_CHUNK}-{2 * SMALL_CHUNK - 1}/{total}"
    offset = str(SMALL_CHUNK)
    response = put(begin(), 2, CHUNKS[1], Content_Range=header, Upload_Offset=offset)
    assert response.status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        f"bytes {SMALL_CHUNK}-{2 * SMALL_CHUNK}/{TOTAL}",
        f"bytes {SMALL_CHUNK + 1}-{2 * SMALL_CHUNK - 1}/{TOTAL}",
        f"bytes {SMALL_CHUNK}-{2 * SMALL_CHUNK - 1}/{TOTAL - 1}",
        f"bytes 0-{SMALL_CHUNK - 1}/{TOTAL}",
        f"bytes */{TOTAL}",
        "bytes",
        "bytes \u0661-2/3",
    ],
)
def test_c7_a_range_is_checked_at_both_ends(begin: Begin, put: Put, header: str) -> None:
    session = begin()
    response = put(session, 2, CHUNKS[1], Content_Range=header)
    assert refused(response, 400, "range_mismatch")
    assert response.json()["expected"] == f"bytes {SMALL_CHUNK}-{2 * SMALL_CHUNK - 1}/{TOTAL}"
    assert response.json()["detail"].startswith("Part 2 is")
    assert row(session).received_count == 0


@pytest.mark.parametrize("header", ["0", str(SMALL_CHUNK + 1), "-1", "x", "9" * 5000])
def test_c7_an_offset_that_is_not_the_part_s_is_400(begin: Begin, put: Put, header: str) -> None:
    session = begin()
    response = put(session, 2, CHUNKS[1], Upload_Offset=header)
    assert refused(response, 400, "range_mismatch")
    assert row(session).received_count == 0


def test_no_length_is_411(begin: Begin, put: Put, append: Append) -> None:
    session = begin()
    assert refused(put(session, 1, b""), 411, "length_required")


def test_p2_a_part_that_ends_early_keeps_nothing(alice_client: Client, begin: Begin) -> None:
    session = begin()
    path = session["urls"]["part"].replace("{number}", "1")
    cut: dict[str, Any] = {
        "wsgi.input": io.BytesIO(CHUNKS[0][:1000]),
        "CONTENT_LENGTH": str(SMALL_CHUNK),
    }
    response = alice_client.put(path, b"x", OF_CURL, **cut)
    assert of_part(response, 400, "length_mismatch", 1)
    assert response.json()["actual"] == 1000
    assert (row(session).received_count, row(session).offset) == (0, 0)


def test_p4_a_part_found_damaged_while_it_comes_again_is_asked_for_once_more(
    begin: Begin, put: Put
) -> None:
    session = begin()
    put(session, 1, CHUNKS[0])
    # As a verifier leaves it to a request that has looked at the session before.
    FileChunk.objects.all().delete()
    response = put(session, 1, CHUNKS[0])
    assert of_part(response, 503, "unavailable", 1)
    assert "Retry-After" in response


# HEAD /upload/<id>.


def upload_headers(response: Answer) -> dict[str, str]:
    return {name: value for name, value in response.items() if name.startswith("Upload-")}


def test_c4_head_tells_what_is_received(alice_client: Client, begin: Begin, put: Put) -> None:
    session = begin()
    put(session, 1, CHUNKS[0])
    put(session, 3, CHUNKS[2])
    head = alice_client.head(session["urls"]["upload"])
    got = alice_client.get(session["urls"]["upload"])
    assert (head.status_code, head.content) == (200, b"")
    assert upload_headers(head) == {
        "Upload-Length": str(TOTAL),
        "Upload-Offset": str(SMALL_CHUNK),
        "Upload-Received": str(SMALL_CHUNK + LAST),
        "Upload-Chunks": "2/3",
        "Upload-Chunk-Size": str(SMALL_CHUNK),
        "Upload-State": "active",
        "Upload-Bitmap": base64.b64encode(b"\x05").decode(),
    }
    assert upload_headers(got) == upload_headers(head)
    assert got.json() == alice_client.get(session["urls"]["self"]).json()
    assert head["Cache-Control"] == "no-store"


def ten_thousand(owner: User, missing: set[int]) -> dict[str, Any]:
    """A session of MAX_CHUNKS chunks, of which those are missing; its /upload/<id>."""
    session = begin_tiny(owner, payload(100 * MAX_CHUNKS))
    assert session.plan.total == MAX_CHUNKS
    bitmap = Bitmap.full(MAX_CHUNKS)
    for index in missing:
        bitmap.discard(index)
    FileSession.objects.update(received=bitmap.to_bytes(), received_count=len(bitmap))
    return {"urls": {"upload": f"/upload/{session.pk}"}}


def indices(text: str) -> list[int]:
    """Those that an Upload-Missing header names."""
    spans = [item.partition("-") for item in text.split(",") if item]
    return [i for first, _, last in spans for i in range(int(first), int(last or first) + 1)]


@pytest.mark.parametrize(
    "missing",
    [
        set(),
        set(range(MAX_CHUNKS)),
        {0, 1, 2, 3, 4, 7, 9999},
        set(range(0, MAX_CHUNKS, 2)),
        set(range(8000, MAX_CHUNKS, 3)),
        set(range(MAX_CHUNKS)) - set(range(0, MAX_CHUNKS, 5)),
    ],
    ids=["none", "all", "few", "every second", "every third late", "four of five"],
)
def test_c4_of_very_many_chunks_the_first_missing_ones_are_named(
    alice_client: Client, alice: User, missing: set[int]
) -> None:
    session = ten_thousand(alice, missing)
    head = alice_client.head(session["urls"]["upload"])
    assert "Upload-Bitmap" not in head
    text = head["Upload-Missing"]
    assert len(text) <= 1024
    named = indices(text)
    assert named == sorted(missing)[: len(named)]
    assert named or not missing
    assert len(named) == len(missing) or len(text) > 1000, "cut only where there is no more room"
    assert sum(len(f"{name}: {value}\r\n") for name, value in head.items()) < 4096


def test_c4_neighbours_are_told_as_ranges(alice_client: Client, alice: User) -> None:
    session = ten_thousand(alice, {0, 1, 2, 3, 4, 7, *range(9, 2001)})
    head = alice_client.head(session["urls"]["upload"])
    assert head["Upload-Missing"] == "0-4,7,9-2000"


def test_c4_of_an_unknown_size_only_what_is_known_is_told(
    alice_client: Client, alice: User
) -> None:
    _, session = open_session(alice, Offer("stream", None, chunk_size=SMALL_CHUNK))
    send(session, 0, CHUNKS[0])
    head = alice_client.head(f"/upload/{session.pk}")
    assert upload_headers(head) == {
        "Upload-Offset": str(SMALL_CHUNK),
        "Upload-Received": str(SMALL_CHUNK),
        "Upload-Chunks": "1/*",
        "Upload-Chunk-Size": str(SMALL_CHUNK),
        "Upload-State": "active",
    }
    body = alice_client.get(f"/upload/{session.pk}").json()
    told = (body["size"], body["total_parts"], body["missing_parts"], body["received_parts"])
    assert told == (None, None, None, 1)


def test_c4_a_completed_upload_is_told_too(alice_client: Client, begin: Begin, put: Put) -> None:
    session = begin()
    for number, chunk in enumerate(CHUNKS, start=1):
        put(session, number, chunk)
    told = upload_headers(alice_client.head(session["urls"]["upload"]))
    assert (told["Upload-State"], told["Upload-Offset"]) == ("completed", str(TOTAL))
    assert told["Upload-Bitmap"] == base64.b64encode(b"\x07").decode()


def test_c4_an_empty_file_is_told_too(alice_client: Client, begin: Begin) -> None:
    session = begin(size=0, sha256=None)
    assert (session["state"], session["total_parts"], session["missing_parts"]) == (
        "completed",
        0,
        [],
    )
    told = upload_headers(alice_client.head(session["urls"]["upload"]))
    assert (told["Upload-Length"], told["Upload-Offset"], told["Upload-Chunks"]) == (
        "0",
        "0",
        "0/0",
    )


# PUT /upload/<id>.


def test_c7_a_file_is_sent_in_pieces_of_any_length(
    alice_client: Client, begin: Begin, append: Append
) -> None:
    session = begin()
    first, second = 1000, SMALL_CHUNK + 5
    assert append(session, DATA[:first]).json() == {
        "offset": first,
        "state": "active",
        "size": TOTAL,
    }
    ranged = f"bytes {first}-{second - 1}/{TOTAL}"
    assert append(session, DATA[first:second], Content_Range=ranged).json()["offset"] == second
    told = upload_headers(alice_client.head(session["urls"]["upload"]))
    assert (told["Upload-Offset"], told["Upload-Chunks"]) == (str(second), "1/3")
    last = append(session, DATA[second:], Upload_Offset=str(second))
    assert (last.status_code, last.json()["offset"]) == (200, TOTAL)
    assert row(session).status == "completed"
    content = alice_client.get(session["urls"]["content"])
    assert b"".join(content.streaming_content) == DATA  # type: ignore[attr-defined]


def test_c7_another_offset_than_the_upload_s_is_409_and_told(begin: Begin, append: Append) -> None:
    session = begin()
    append(session, DATA[:1000])
    for offset in (0, 999, 1001):
        response = append(session, DATA[offset:], Upload_Offset=str(offset))
        assert refused(response, 409, "offset_mismatch")
        assert response.json()["offset"] == 1000
    assert row(session).offset == 1000


def test_c7_what_came_before_a_cut_is_kept_to_the_byte(begin: Begin, append: Append) -> None:
    session = begin()
    at = SMALL_CHUNK + 777
    response = append(session, DATA[:at], declared=TOTAL)
    assert refused(response, 400, "length_mismatch")
    told = response.json()
    assert (told["expected"], told["actual"], told["offset"]) == (TOTAL, at, at)
    assert append(session, DATA[at:], Upload_Offset=str(at)).status_code == 200
    assert row(session).status == "completed"


@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Range": f"bytes 0-{TOTAL}/{TOTAL}"},
        {"Content_Range": f"bytes 0-{TOTAL - 2}/{TOTAL}"},
        {"Content_Range": f"bytes 0-{TOTAL - 1}/{TOTAL + 1}"},
        {"Content_Range": f"bytes 5-1/{TOTAL}"},
        {"Content_Range": f"bytes 0-{TOTAL - 1}/{TOTAL}", "Upload_Offset": "1"},
        {"Content_Range": "bytes"},
        {"Upload_Offset": "+1"},
    ],
)
def test_c7_a_body_that_is_not_its_range_is_400(
    begin: Begin, append: Append, headers: dict[str, str]
) -> None:
    session = begin()
    assert refused(append(session, DATA, **headers), 400, "range_mismatch")
    assert row(session).offset == 0


def test_more_bytes_than_the_file_has_are_400(begin: Begin, append: Append) -> None:
    session = begin()
    assert refused(append(session, DATA + b"x"), 400, "length_mismatch")
    assert row(session).offset == 0


def test_p6_a_stream_passes_over_parts_that_are_in_and_differs_from_none(
    begin: Begin, put: Put, append: Append
) -> None:
    session = begin(sha256=None)
    put(session, 2, flipped(CHUNKS[1]))
    assert of_part(append(session, DATA), 409, "chunk_conflict", 2)
    assert row(session).bitmap.missing() == [2]
    assert append(session, CHUNKS[2], Upload_Offset=str(2 * SMALL_CHUNK)).status_code == 200


def test_p2_a_digest_that_could_not_be_checked_before_is_refused(
    begin: Begin, append: Append
) -> None:
    session = begin()
    response = append(session, DATA, Content_Digest=content_digest(DATA))
    assert refused(response, 400, "invalid_request")
    assert row(session).offset == 0


@pytest.mark.parametrize(
    ("state", "status", "code"),
    [
        ("cancelled", 410, "session_cancelled"),
        ("expired", 410, "session_expired"),
        ("failed", 409, "session_failed"),
    ],
)
def test_d4_an_ended_upload_takes_no_stream(
    begin: Begin, append: Append, state: str, status: int, code: str
) -> None:
    session = begin()
    FileSession.objects.update(status=state)
    assert refused(append(session, DATA), status, code)


def test_d4_a_completed_upload_takes_no_stream(begin: Begin, append: Append) -> None:
    session = begin()
    assert append(session, DATA).json()["offset"] == TOTAL
    assert refused(append(session, DATA), 409, "wrong_state")


def test_a_stream_without_a_length_is_411(alice_client: Client, begin: Begin) -> None:
    response = alice_client.put(begin()["urls"]["upload"], b"", OF_CURL)
    assert refused(response, 411, "length_required")


# Addresses.


@pytest.mark.parametrize(
    "path",
    [
        "/uploads/sessions/",
        "/uploads/sessions/x",
        "/uploads/sessions/{id}/",
        "/uploads/sessions/{id}/parts",
        "/uploads/sessions/{id}/parts/",
        "/uploads/sessions/{id}/parts/x",
        "/uploads/sessions/{id}/parts/-1",
        "/uploads/sessions/{id}/parts/1.0",
        "/uploads/sessions/{id}/parts/1/",
        "/uploads/sessions/{id}/parts/" + "9" * 5000,
        "/upload",
        "/upload/",
        "/upload/x",
        "/upload/{id}/",
        "/upload/{id}0",
    ],
    ids=lambda path: path[:40],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
def test_p10_a_malformed_address_is_refused_in_the_same_shape(
    alice_client: Client, begin: Begin, path: str, method: str
) -> None:
    response = alice_client.generic(method, path.format(id=begin()["id"]), b"x", OF_CURL)
    assert refused(response, 404, "not_found")


def test_the_pages_of_uploads_are_where_they_were(alice_client: Client, begin: Begin) -> None:
    assert alice_client.get(f"/uploads/{begin()['id']}/")["Content-Type"].startswith("text/html")


@pytest.mark.parametrize(
    ("method", "address", "allowed"),
    [
        ("GET", "/uploads/sessions", "POST"),
        ("DELETE", "/uploads/sessions/{id}", "GET, HEAD"),
        ("POST", "/uploads/sessions/{id}/parts/1", "PUT"),
        ("PATCH", "/upload/{id}", "GET, HEAD, PUT"),
    ],
)
def test_another_method_is_405_and_names_the_right_ones(
    alice_client: Client, begin: Begin, method: str, address: str, allowed: str
) -> None:
    response = alice_client.generic(method, address.format(id=begin()["id"]))
    assert refused(response, 405, "method_not_allowed")
    assert response["Allow"] == allowed
