"""The JSON protocol: /api/v1/upload/init, chunk, complete, cancel, status (B)."""

import base64
import io
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from tests.support.bodies import SMALL_CHUNK, cut, flipped, payload, sha256
from tests.support.sessions import damage, snapshot
from tests.support.signatures import content_for
from tests.support.tasks import drop_tasks, run_tasks
from uploads.core.plan import MAX_CHUNKS, MIB
from uploads.errors import Unavailable
from uploads.models import FileSession
from uploads.protocols import bodies, json_api, waiting
from uploads.storage.filesystem import FilesystemStore

from .conftest import Answer, refused

URL = "/api/v1/upload"
#: Five chunks, the last of them shorter.
DATA = content_for("film.mp4", 4 * SMALL_CHUNK + 1000, seed=5)
CHUNKS = cut(DATA, SMALL_CHUNK)
#: The first of them as it is sent.
WHOLE = base64.b64encode(CHUNKS[0]).decode()
GOOD = {"filename": "film.mp4", "total_size": 10}
CSRF = "a" * 32

Init = Callable[..., dict[str, Any]]
Send = Callable[..., Answer]


@pytest.fixture
def post(
    alice_client: Client, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> Send:
    """POST to an address of this protocol, and let the verifier run if that was the last chunk.

    A `str` goes as it is: a body that is not what a program would make.
    """

    def send(name: str, body: Any, client: Client = alice_client, **given: Any) -> Answer:
        text = body if isinstance(body, str | bytes) else json.dumps(body)
        with django_capture_on_commit_callbacks(execute=True):
            return client.post(f"{URL}/{name}", text, "application/json", **given)

    return send


@pytest.fixture
def init(post: Send) -> Init:
    """Begin DATA; the answer."""

    def begin(**given: Any) -> dict[str, Any]:
        fields = {
            "filename": "film.mp4",
            "total_size": len(DATA),
            "mime_type": "video/mp4",
            "file_hash": sha256(DATA),
            "chunk_size": SMALL_CHUNK,
            **given,
        }
        body: dict[str, Any] = post("init", fields).json()
        return body

    return begin


def fields_of(upload_id: str, index: int, data: bytes | None = None) -> dict[str, Any]:
    chunk = CHUNKS[index] if data is None else data
    return {
        "upload_id": upload_id,
        "chunk_index": index,
        "chunk_data": base64.b64encode(chunk).decode(),
        "checksum": sha256(chunk),
    }


@pytest.fixture
def put(post: Send) -> Send:
    """Send a chunk, as it should be but for what is `changed`."""

    def send(upload: dict[str, Any], index: int, data: bytes | None = None, **changed: Any) -> Any:
        return post("chunk", {**fields_of(upload["upload_id"], index, data), **changed})

    return send


@pytest.fixture
def completed(init: Init, put: Send) -> dict[str, Any]:
    upload = init()
    for index in range(5):
        assert put(upload, index).status_code == 200
    return upload


def session_of(upload: dict[str, Any]) -> FileSession:
    return FileSession.objects.get(pk=upload["upload_id"])


def status_of(client: Client, upload: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = client.get(f"{URL}/status/{upload['upload_id']}").json()
    return body


def nothing_came(upload: dict[str, Any], root: Path) -> bool:
    """Whether the upload is as it was begun, and nothing lies about."""
    session = session_of(upload)
    assert (session.status, session.received_count) == ("active", 0)
    files = [path.name for path in root.rglob("*") if path.is_file()]
    return files == ["data"]


# The way of a file


def test_b3_init_answers_exactly_these_fields(init: Init) -> None:
    upload = init()
    assert upload == {
        "upload_id": str(FileSession.objects.get().pk),
        "status": "active",
        "filename": "film.mp4",
        "total_size": len(DATA),
        "mime_type": "video/mp4",
        "file_hash": sha256(DATA),
        "chunk_size": SMALL_CHUNK,
        "total_chunks": 5,
        "expires_at": session_of(upload).expires_at.isoformat(),
        "progress": {"received_chunks": 0, "missing_chunks": [0, 1, 2, 3, 4], "percentage": 0.0},
        "file_path": None,
    }


def test_b3_a_chunk_is_answered_with_exactly_these_fields(init: Init, put: Send) -> None:
    upload = init()
    response = put(upload, 1)
    assert response.status_code == 200
    assert response.json() == {
        "upload_id": upload["upload_id"],
        "chunk_index": 1,
        "duplicate": False,
        "status": "active",
        "progress": {
            "received_chunks": 1,
            "missing_chunks": [0, 2, 3, 4],
            "percentage": SMALL_CHUNK * 1000 // len(DATA) / 10,
        },
    }


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (0, 2, 1, 4, 3)])
def test_b10_a_file_comes_back_byte_for_byte_in_whatever_order_it_was_sent(
    alice_client: Client, init: Init, put: Send, post: Send, order: tuple[int, ...]
) -> None:
    upload = init()
    for index in order:
        assert put(upload, index).status_code == 200
    response = post("complete", {"upload_id": upload["upload_id"]})
    assert response.status_code == 200
    path = f"/api/v1/uploads/{upload['upload_id']}/content"
    assert response.json() == {
        "upload_id": upload["upload_id"],
        "status": "completed",
        "filename": "film.mp4",
        "total_size": len(DATA),
        "file_hash": sha256(DATA),
        "file_path": path,
    }
    assert alice_client.get(path).getvalue() == DATA


def test_b10_progress_grows_with_every_chunk_until_all_is_there(
    alice_client: Client, init: Init, put: Send
) -> None:
    upload = init()
    seen = [status_of(alice_client, upload)]
    for index in range(5):
        progress = put(upload, index).json()["progress"]
        seen.append(status_of(alice_client, upload))
        assert progress["received_chunks"] == seen[-1]["progress"]["received_chunks"] == index + 1
    assert [body["progress"]["missing_chunks"] for body in seen] == [
        list(range(index, 5)) for index in range(6)
    ]
    percentages = [body["progress"]["percentage"] for body in seen]
    assert percentages == sorted(set(percentages))
    assert (percentages[0], percentages[-1]) == (0.0, 100.0)
    assert (seen[-1]["status"], seen[-1]["expires_at"]) == ("completed", None)
    assert seen[-1]["file_path"] == f"/api/v1/uploads/{upload['upload_id']}/content"


def test_init_finds_again_what_was_begun_and_what_is_complete(
    init: Init, put: Send, post: Send
) -> None:
    begun = init()
    put(begun, 3)
    fields = {**GOOD, "total_size": len(DATA), "file_hash": sha256(DATA)}
    again = post("init", fields)
    assert (again.status_code, again.json()["upload_id"]) == (200, begun["upload_id"])
    assert again.json()["progress"]["missing_chunks"] == [0, 1, 2, 4]
    for index in (0, 1, 2, 4):
        put(begun, index)
    known = post("init", fields)
    assert (known.status_code, known.json()["status"]) == (200, "completed")
    assert known.json()["progress"] == {
        "received_chunks": 5,
        "missing_chunks": [],
        "percentage": 100.0,
    }


def test_an_empty_file_is_complete_at_once(post: Send) -> None:
    response = post("init", {**GOOD, "total_size": 0})
    body = response.json()
    assert (response.status_code, body["status"], body["total_chunks"]) == (201, "completed", 0)
    assert post("complete", {"upload_id": body["upload_id"]}).json()["total_size"] == 0


def test_an_upload_goes_on_in_another_protocol(alice_client: Client, init: Init, put: Send) -> None:
    upload = init()
    put(upload, 0)
    native = alice_client.get(f"/api/v1/uploads/{upload['upload_id']}").json()
    assert native["missing"] == [1, 2, 3, 4]
    path = native["urls"]["chunk"].replace("{index}", "1")
    assert alice_client.put(path, CHUNKS[1], "application/octet-stream").status_code == 200
    assert put(upload, 1).json()["duplicate"] is True


def test_an_id_without_dashes_is_the_same_upload(
    alice_client: Client, init: Init, put: Send
) -> None:
    upload = init()
    plain = UUID(upload["upload_id"]).hex
    assert put({"upload_id": plain.upper()}, 0).json()["upload_id"] == upload["upload_id"]
    assert alice_client.get(f"{URL}/status/{plain}").json()["upload_id"] == upload["upload_id"]


# A chunk that is refused changes nothing


def test_b10_p2_a_corrupted_chunk_is_refused_and_the_right_one_taken(
    init: Init, put: Send, upload_root: Path
) -> None:
    upload = init()
    before = snapshot(session_of(upload))
    wrong = put(upload, 1, flipped(CHUNKS[1]), checksum=sha256(CHUNKS[1]))
    assert refused(wrong, 422, "digest_mismatch")
    assert wrong.json()["expected"] == sha256(CHUNKS[1])
    assert snapshot(session_of(upload)) == before
    assert nothing_came(upload, upload_root)
    assert put(upload, 1).status_code == 200


def test_b10_p6_a_repeated_chunk_is_harmless_and_other_bytes_are_a_conflict(
    init: Init, put: Send
) -> None:
    upload = init()
    put(upload, 2)
    before = snapshot(session_of(upload))
    again = put(upload, 2)
    assert (again.status_code, again.json()["duplicate"]) == (200, True)
    assert refused(put(upload, 2, flipped(CHUNKS[2])), 409, "chunk_conflict")
    assert snapshot(session_of(upload)) == before


def test_p6_the_last_answer_can_be_asked_for_again(completed: dict[str, Any], put: Send) -> None:
    response = put(completed, 4)
    assert response.json()["duplicate"] is True
    assert response.json()["status"] == "completed"


@pytest.mark.parametrize(
    "text",
    [
        None,
        5,
        ["AAAA"],
        "AAA",
        "=" + WHOLE[1:],
        WHOLE[:-4] + "A===",
        "\ud800AAA",
        "äAAA",
        WHOLE.rstrip("="),
        base64.urlsafe_b64encode(CHUNKS[0]).decode(),
        base64.encodebytes(CHUNKS[0]).decode(),
        "*" + WHOLE[1:],
        # Two short pieces, of the right length together.
        "AA==" + WHOLE[4:],
    ],
    ids=lambda text: repr(text)[:20],
)
def test_what_is_no_base64_is_400_and_named(
    init: Init, put: Send, upload_root: Path, text: object
) -> None:
    upload = init()
    response = put(upload, 0, chunk_data=text)
    assert refused(response, 400, "invalid_request")
    assert response.json()["field"] == "chunk_data"
    assert nothing_came(upload, upload_root)


def test_padding_that_only_makes_the_length_right_is_no_base64(init: Init, put: Send) -> None:
    """Python's decoder drops it: the chunk would be another one than its text says."""
    upload = init(total_size=7, file_hash=None)
    response = put(upload, 0, b"", chunk_data="AAAAAAAA====", checksum=sha256(bytes(6)))
    assert refused(response, 400, "invalid_request")


@pytest.mark.parametrize("data", [b"", CHUNKS[0][:-1], CHUNKS[0] + b"x", CHUNKS[4]])
def test_a_wrong_length_is_400_before_anything_is_decoded(
    init: Init, put: Send, upload_root: Path, data: bytes
) -> None:
    upload = init()
    with mock.patch.object(json_api, "binascii") as decoder:
        response = put(upload, 0, data)
    assert refused(response, 400, "length_mismatch")
    assert decoder.mock_calls == []
    assert (response.json()["expected"], response.json()["actual"]) == (SMALL_CHUNK, len(data))
    assert nothing_came(upload, upload_root)


@pytest.mark.parametrize("index", [5, 10_000, 2**63 - 1])
def test_an_index_out_of_bounds_is_404(init: Init, put: Send, index: int) -> None:
    response = put(init(), 0, chunk_index=index)
    assert refused(response, 404, "chunk_not_found")
    assert response.json()["total_chunks"] == 5


@pytest.mark.parametrize("index", [-1, True, None, "0", 0.0, 1.5, [0], 2**63, 10**30])
def test_an_index_that_is_no_whole_number_is_400(init: Init, put: Send, index: object) -> None:
    response = put(init(), 0, chunk_index=index)
    assert refused(response, 400, "invalid_request")
    assert response.json()["field"] == "chunk_index"


@pytest.mark.parametrize("checksum", [None, "", "x", 5, "a" * 63, "\ud800" * 64, [], "ä" * 64])
def test_a_chunk_without_its_checksum_is_400(
    init: Init, put: Send, upload_root: Path, checksum: object
) -> None:
    upload = init()
    response = put(upload, 0, checksum=checksum)
    assert refused(response, 400, "invalid_request")
    assert response.json()["field"] == "checksum"
    assert nothing_came(upload, upload_root)


def test_a_checksum_in_capitals_is_the_same(init: Init, put: Send) -> None:
    assert put(init(), 0, checksum=sha256(CHUNKS[0]).upper()).status_code == 200


def test_fields_that_are_not_known_are_left_alone(init: Init, put: Send) -> None:
    assert put(init(), 0, filename="Größe 🎬.mp4", attempt=1, tags=["a"]).status_code == 200


@pytest.mark.parametrize("wide", ["é", "🎬", "\\u00e9", "\\ud83c"])
def test_p8_a_large_body_that_python_would_make_twice_or_four_times_as_large_is_refused(
    init: Init, post: Send, wide: str
) -> None:
    body = json.dumps(fields_of(init()["upload_id"], 0))
    padded = f'{{"note": "{wide}{"n" * MIB}", {body[1:]}'
    answer = post("chunk", padded)
    assert refused(answer, 400, "invalid_request")
    assert "ASCII" in answer.json()["detail"]
    assert post("chunk", padded.replace(wide, "\\u0041")).status_code == 200


def test_slashes_may_be_escaped(init: Init, post: Send) -> None:
    """As PHP's json_encode does."""
    body = json.dumps(fields_of(init()["upload_id"], 0)).replace("/", "\\/")
    assert post("chunk", body).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "nonsense",
        "[]",
        "null",
        '"text"',
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"chunk_index": NaN}',
        '{"chunk_index": -Infinity}',
        '{"chunk_index": ' + "9" * 5000 + "}",
        '{"chunk_index": 0, "chunk_index": 1}',
        '{"a": {"b": 1, "b": 2}}',
        b'{"upload_id": "\xff\xfe"}',
        '{"upload_id": "x"}'.encode("utf-16"),
        b"\x00" * 100,
        "{}",
        '{"upload_id": 5}',
        '{"upload_id": null}',
        '{"a": [' + "0," * 1000 + "0]}",
        '{"a": [' + "{}," * 100_000 + "{}]}",
    ],
    ids=lambda body: repr(body[:30]),
)
def test_p10_a_malformed_body_is_400(
    post: Send, body: bytes | str, init: Init, upload_root: Path
) -> None:
    upload = init()
    assert refused(post("chunk", body), 400, "invalid_request")
    assert nothing_came(upload, upload_root)


@pytest.mark.parametrize("name", ["init", "chunk", "complete", "cancel"])
def test_p10_a_key_that_comes_twice_is_400_everywhere(post: Send, name: str) -> None:
    body = '{"upload_id": "a", "upload_id": "b"}'
    response = post(name, body)
    assert refused(response, 400, "invalid_request")
    assert "twice" in response.json()["detail"]


def test_p8_a_body_of_many_small_values_is_refused_before_they_are_made(
    post: Send, db: None
) -> None:
    """Of `{},` each three bytes would become sixty."""
    with mock.patch.object(json_api, "parse_object", side_effect=AssertionError("it was parsed")):
        response = post("chunk", '{"a": [' + "{}," * (MIB // 3) + "{}]}")
    assert refused(response, 400, "invalid_request")


# Bodies and memory


class _NeverRead(io.RawIOBase):
    """A body that only what drains it may read."""

    def read(self, size: int = -1, /) -> bytes:
        raise AssertionError("the body was read")


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What makes a request's body one that must not be read before it is refused."""
    monkeypatch.setattr("uploads.protocols.endpoint.drain_unread", lambda _: None)
    return {"wsgi.input": _NeverRead()}


def test_p8_the_bound_is_base64_of_8_mib_and_a_little() -> None:
    longest = base64.b64encode(bytes(json_api.MAX_CHUNK_BYTES))
    assert len(longest) == json_api.MAX_BASE64_BYTES == 11_184_812
    assert json_api.MAX_CHUNK_BODY_BYTES == 11_184_812 + MIB


def test_p8_a_body_over_the_bound_is_refused_unread(
    alice_client: Client, unread: dict[str, Any]
) -> None:
    unread["CONTENT_LENGTH"] = str(json_api.MAX_CHUNK_BODY_BYTES + 1)
    response = alice_client.generic("POST", f"{URL}/chunk", b"x", "application/json", **unread)
    assert refused(response, 413, "too_large")
    assert response.json()["limit"] == json_api.MAX_CHUNK_BODY_BYTES


def test_p8_a_body_without_a_length_is_refused_unread(
    alice_client: Client, unread: dict[str, Any]
) -> None:
    unread["CONTENT_LENGTH"] = ""
    response = alice_client.generic("POST", f"{URL}/chunk", b"x", "application/json", **unread)
    assert refused(response, 411, "length_required")


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", "", "x"])
def test_a_body_that_is_not_said_to_be_json_is_refused_unread(
    alice_client: Client, unread: dict[str, Any], kind: str
) -> None:
    for name in ("init", "chunk", "complete", "cancel"):
        response = alice_client.generic("POST", f"{URL}/{name}", b"x", kind, **unread)
        assert refused(response, 415, "unsupported_media_type")


def test_without_room_a_chunk_is_refused_unread(
    alice_client: Client, unread: dict[str, Any]
) -> None:
    unread["CONTENT_LENGTH"] = str(2 * MIB)
    with mock.patch.object(FilesystemStore, "free_bytes", return_value=3 * MIB):
        response = alice_client.generic("POST", f"{URL}/chunk", b"x", "application/json", **unread)
    assert refused(response, 507, "storage_full")


@pytest.mark.parametrize("end", [0, 1, 100_000, -1])
def test_p2_a_body_that_is_cut_changes_nothing(
    alice_client: Client, init: Init, upload_root: Path, end: int
) -> None:
    upload = init()
    whole = json.dumps(fields_of(upload["upload_id"], 0)).encode()
    given: dict[str, Any] = {
        "wsgi.input": io.BytesIO(whole[:end]),
        "CONTENT_LENGTH": str(len(whole)),
    }
    response = alice_client.generic("POST", f"{URL}/chunk", b"x", "application/json", **given)
    assert refused(response, 400, "length_mismatch")
    assert response.json()["actual"] == len(whole[:end])
    assert nothing_came(upload, upload_root)


def test_p5_p8_a_body_is_awaited_in_small_pieces_and_holds_nothing_that_others_need(
    alice_client: Client, init: Init, settings: Settings
) -> None:
    """No database, neither of the two places for decoding; only one of the slots of readers."""
    settings.UPLOADS = {**settings.UPLOADS, "MAX_READERS": 1}
    whole = json.dumps(fields_of(init()["upload_id"], 0)).encode()
    places = json_api._decoding
    with mock.patch.object(bodies, "let_go_unless_few") as let_go:

        class Body(io.BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                assert size is not None
                assert 0 <= size <= 64 * 1024
                let_go.assert_called()
                taken = [places.acquire(blocking=False) for _ in range(json_api.MAX_DECODING)]
                for _ in taken:
                    places.release()
                assert all(taken)
                with pytest.raises(Unavailable), bodies.reader_slot():
                    raise AssertionError("the slot was free")
                return super().read(size)

        given: dict[str, Any] = {"wsgi.input": Body(whole), "CONTENT_LENGTH": str(len(whole))}
        response = alice_client.generic("POST", f"{URL}/chunk", b"x", "application/json", **given)
    assert response.status_code == 200


def test_p8_more_chunks_than_two_wait_for_those_in_memory(init: Init, put: Send) -> None:
    """And a refusal gives its place back."""
    upload = init()
    with mock.patch.object(json_api, "_decoding") as places:
        assert put(upload, 0).status_code == 200
        assert refused(put(upload, 1, chunk_data="*"), 400, "invalid_request")
    assert places.__enter__.call_count == places.__exit__.call_count == 2
    for _ in range(json_api.MAX_DECODING + 1):
        assert refused(put(upload, 1, chunk_data="*"), 400, "invalid_request")
    assert put(upload, 1).status_code == 200


def test_the_largest_chunk_fits(post: Send) -> None:
    data = payload(8 * MIB + 1, seed=8)
    given = {"file_hash": sha256(data), "chunk_size": 8 * MIB, "total_size": len(data)}
    upload = post("init", {**GOOD, **given}).json()
    for index, part in enumerate(cut(data, 8 * MIB)):
        response = post("chunk", fields_of(upload["upload_id"], index, part))
        assert (response.status_code, response.json()["duplicate"]) == (200, False)
    assert response.json()["status"] == "assembling"
    assert post("complete", {"upload_id": upload["upload_id"]}).status_code == 200


def test_a_file_whose_chunks_would_outgrow_json_is_refused_and_told_where_to_go(post: Send) -> None:
    largest = MAX_CHUNKS * 8 * MIB
    response = post("init", {**GOOD, "total_size": largest + 1})
    assert refused(response, 413, "too_large")
    assert response.json()["limit"] == largest
    assert "/uploads/sessions" in response.json()["detail"]
    assert not FileSession.objects.exists()
    with mock.patch("uploads.engine.opening.check_room"):
        upload = post("init", {**GOOD, "total_size": largest}).json()
    assert (upload["chunk_size"], upload["total_chunks"]) == (8 * MIB, MAX_CHUNKS)


def test_what_the_server_takes_by_no_protocol_is_not_sent_elsewhere(
    post: Send, settings: Settings
) -> None:
    settings.UPLOADS = {**settings.UPLOADS, "MAX_FILE_SIZE": 1000}
    response = post("init", {**GOOD, "total_size": 2**62})
    assert refused(response, 413, "too_large")
    assert response.json()["limit"] == 1000


def test_chunks_are_not_larger_than_json_carries_where_the_site_s_are(
    post: Send, settings: Settings
) -> None:
    settings.UPLOADS = {**settings.UPLOADS, "CHUNK_SIZE": 16 * MIB}
    assert post("init", GOOD).json()["chunk_size"] == 8 * MIB


def test_an_upload_of_larger_chunks_goes_on_where_they_fit(alice_client: Client, put: Send) -> None:
    given = {"filename": "f", "size": 20 * MIB, "chunk_size": 16 * MIB}
    native = alice_client.post("/api/v1/uploads/handshake", given, "application/json").json()
    response = put({"upload_id": native["id"]}, 0)
    assert refused(response, 413, "too_large")
    assert native["urls"]["chunk"] in response.json()["detail"]


# The form of fields


@pytest.mark.parametrize(
    "wrong",
    [
        {"total_size": -1},
        {"total_size": True},
        {"total_size": "10"},
        {"total_size": 10.0},
        {"total_size": None},
        {"total_size": 10**30},
        {"chunk_size": SMALL_CHUNK - 1},
        {"chunk_size": 8 * MIB + 1},
        {"file_hash": "xyz"},
        {"file_hash": 5},
        {"resume_key": "\ud800"},
        {"mime_type": "text"},
        {"mime_type": "text/plain\r\nX-Evil: 1"},
    ],
    ids=str,
)
def test_a_field_of_the_wrong_form_is_named(post: Send, db: None, wrong: dict[str, Any]) -> None:
    response = post("init", {**GOOD, **wrong})
    assert refused(response, 400, "invalid_request")
    assert response.json()["field"] == next(iter(wrong))
    assert not FileSession.objects.exists()


@pytest.mark.parametrize(
    "name", ["", "..", "../../etc/passwd", "a/b", "a\\b", "nul\x00", "\ud800", "x\u202etxt.exe"]
)
def test_b5_b10_a_bad_file_name_is_refused(post: Send, name: str) -> None:
    response = post("init", {**GOOD, "filename": name})
    assert refused(response, 400, "invalid_filename")
    assert response.json()["field"] == "filename"
    assert not FileSession.objects.exists()


def test_a_bad_folder_is_refused_and_a_good_one_kept(post: Send) -> None:
    assert refused(post("init", {**GOOD, "folder": "a/../b"}), 400, "invalid_filename")
    assert post("init", {**GOOD, "folder": "photos/2026/"}).status_code == 201
    assert FileSession.objects.get().folder == "photos/2026"


def test_fields_that_may_be_null_or_absent(post: Send) -> None:
    optional = dict.fromkeys(["file_hash", "resume_key", "mime_type", "chunk_size", "folder"])
    for given in (GOOD, {**GOOD, **optional}):
        response = post("init", given)
        assert response.status_code == 201
        assert (response.json()["file_hash"], response.json()["mime_type"]) == (None, None)


def test_an_empty_file_with_a_hash_of_other_bytes_is_422(post: Send) -> None:
    response = post("init", {**GOOD, "total_size": 0, "file_hash": "a" * 64})
    assert refused(response, 422, "digest_mismatch")


# Complete


@pytest.fixture
def held(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Verifiers that run when a test says so, and requests that don't wait for them."""
    settings.TASKS = {"default": {"BACKEND": "tests.support.tasks.HeldBackend"}}
    monkeypatch.setattr(waiting, "WAIT_SECONDS", 0.0)
    drop_tasks()


def _send_all(init: Init, put: Send, **given: Any) -> dict[str, Any]:
    upload = init(**given)
    for index in range(5):
        assert put(upload, index).status_code == 200
    return upload


def test_b10_complete_names_the_chunks_that_are_missing(init: Init, put: Send, post: Send) -> None:
    upload = init()
    for index in (1, 3):
        put(upload, index)
    response = post("complete", {"upload_id": upload["upload_id"]})
    assert refused(response, 409, "chunks_missing")
    assert response.json()["missing_chunks"] == [0, 2, 4]
    assert "missing" not in response.json()
    assert "missing_chunks" in response.json()["detail"]


@pytest.mark.usefixtures("held")
def test_complete_says_where_to_ask_when_verifying_takes_long(
    alice_client: Client, init: Init, put: Send, post: Send
) -> None:
    upload = _send_all(init, put)
    url = f"{URL}/status/{upload['upload_id']}"
    response = post("complete", {"upload_id": upload["upload_id"]})
    assert (response.status_code, response["Location"], response["Retry-After"]) == (202, url, "1")
    assert response.json() == {
        "upload_id": upload["upload_id"],
        "status": "assembling",
        "filename": "film.mp4",
        "total_size": len(DATA),
        "file_hash": sha256(DATA),
        "file_path": None,
        "status_url": url,
    }
    run_tasks()
    done = alice_client.get(url).json()
    assert (done["status"], done["file_hash"]) == ("completed", sha256(DATA))
    assert post("complete", {"upload_id": upload["upload_id"]}).json()["file_path"]


@pytest.mark.usefixtures("held")
def test_complete_waits_for_the_verifier(
    init: Init, put: Send, post: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = _send_all(init, put)
    monkeypatch.setattr(waiting, "WAIT_SECONDS", 30.0)
    # It ends between two looks of the request that waits.
    with mock.patch.object(waiting, "let_go_of_databases", side_effect=run_tasks) as looks:
        response = post("complete", {"upload_id": upload["upload_id"]})
    assert looks.called
    assert (response.status_code, response.json()["status"]) == (200, "completed")


@pytest.mark.django_db(transaction=True)
def test_complete_declares_the_hash_and_can_be_repeated(init: Init, put: Send, post: Send) -> None:
    upload = _send_all(init, put, file_hash=None)
    body = {"upload_id": upload["upload_id"], "file_hash": sha256(DATA)}
    for _ in range(2):
        response = post("complete", body)
        assert (response.status_code, response.json()["file_hash"]) == (200, sha256(DATA))
    other = post("complete", {**body, "file_hash": "f" * 64})
    assert refused(other, 409, "hash_conflict")
    assert refused(post("complete", {**body, "file_hash": "x"}), 400, "invalid_request")


@pytest.mark.django_db(transaction=True)
def test_complete_without_any_hash_tells_the_one_that_was_computed(
    init: Init, put: Send, post: Send
) -> None:
    upload = _send_all(init, put, file_hash=None)
    response = post("complete", {"upload_id": upload["upload_id"]})
    assert (response.status_code, response.json()["file_hash"]) == (200, sha256(DATA))


def test_p1_a_file_of_another_hash_fails_and_says_so(
    alice_client: Client, init: Init, put: Send, post: Send
) -> None:
    upload = _send_all(init, put, file_hash="f" * 64)
    response = post("complete", {"upload_id": upload["upload_id"]})
    assert refused(response, 409, "session_failed")
    body = status_of(alice_client, upload)
    assert (body["status"], body["file_path"]) == ("failed", None)
    assert body["error"]
    assert refused(post("cancel", {"upload_id": upload["upload_id"]}), 409, "session_failed")


@pytest.mark.usefixtures("held")
def test_p4_what_was_damaged_on_the_disk_is_to_be_sent_once_more(
    init: Init, put: Send, post: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = _send_all(init, put)
    damage(session_of(upload), 2 * SMALL_CHUNK)
    monkeypatch.setattr(waiting, "WAIT_SECONDS", 30.0)
    with mock.patch.object(waiting, "let_go_of_databases", side_effect=run_tasks):
        response = post("complete", {"upload_id": upload["upload_id"]})
        assert refused(response, 409, "chunks_missing")
        assert response.json()["missing_chunks"] == [2]
        assert "damaged" in response.json()["detail"]
        assert put(upload, 2).json()["duplicate"] is False
        assert post("complete", {"upload_id": upload["upload_id"]}).status_code == 200


# Cancel, and sessions that have ended


def test_b10_cancel_ends_an_upload_and_removes_its_data(
    alice_client: Client, init: Init, put: Send, post: Send, upload_root: Path
) -> None:
    upload = init()
    put(upload, 0)
    body = {"upload_id": upload["upload_id"]}
    response = post("cancel", body)
    assert response.status_code == 200
    assert response.json() == {"upload_id": upload["upload_id"], "status": "cancelled"}
    assert [path for path in upload_root.rglob("*") if path.is_file()] == []
    for answer in (
        post("cancel", body),
        post("complete", body),
        put(upload, 1),
        alice_client.get(f"{URL}/status/{upload['upload_id']}"),
    ):
        assert refused(answer, 410, "session_cancelled")
    assert init()["upload_id"] != upload["upload_id"]


def test_what_is_complete_is_not_cancelled(
    alice_client: Client, completed: dict[str, Any], post: Send
) -> None:
    response = post("cancel", {"upload_id": completed["upload_id"]})
    assert refused(response, 409, "wrong_state")
    assert f"DELETE /api/v1/uploads/{completed['upload_id']}" in response.json()["detail"]
    assert status_of(alice_client, completed)["status"] == "completed"


def test_b10_an_expired_session_is_gone(
    alice_client: Client, init: Init, put: Send, post: Send
) -> None:
    upload = init()
    FileSession.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    for answer in (
        put(upload, 0),
        post("complete", {"upload_id": upload["upload_id"]}),
        post("cancel", {"upload_id": upload["upload_id"]}),
        alice_client.get(f"{URL}/status/{upload['upload_id']}"),
    ):
        assert refused(answer, 410, "session_expired")
    again = init()
    assert again["upload_id"] != upload["upload_id"]
    assert put(again, 0).status_code == 200


def test_a_failed_session_takes_no_chunk(init: Init, put: Send) -> None:
    upload = init()
    FileSession.objects.update(status="failed", error="Because.")
    assert refused(put(upload, 0), 409, "session_failed")


def test_what_is_unknown_of_a_stream_is_null(alice_client: Client, init: Init) -> None:
    upload = init()
    FileSession.objects.update(size=None, sha256="")
    body = status_of(alice_client, upload)
    assert (body["total_size"], body["total_chunks"]) == (None, None)
    assert body["progress"] == {"received_chunks": 0, "missing_chunks": None, "percentage": 0.0}


def test_a_chunk_of_a_stream_of_unknown_size_is_taken(init: Init, put: Send) -> None:
    upload = init()
    FileSession.objects.update(size=None, sha256="")
    response = put(upload, 1)
    assert response.status_code == 200
    assert response.json()["progress"]["missing_chunks"] is None


# Who may


@pytest.mark.parametrize("upload_id", ["x", "", "\ud800", f"{{{UUID(int=1)}}}", "0" * 31, "_" * 32])
def test_an_id_that_is_none_is_404(post: Send, db: None, upload_id: str) -> None:
    assert refused(post("chunk", fields_of(upload_id, 0)), 404, "session_not_found")
    for name in ("complete", "cancel"):
        assert refused(post(name, {"upload_id": upload_id}), 404, "session_not_found")


@pytest.mark.parametrize("path", ["status/x", "status/0000", f"status/{UUID(int=1)}", "status/%00"])
def test_a_status_of_nothing_is_404(alice_client: Client, path: str) -> None:
    assert refused(alice_client.get(f"{URL}/{path}"), 404, "session_not_found")


@pytest.mark.parametrize("path", ["", "/", "/status", "/status/", "/init/", "/nothing"])
def test_an_unknown_address_is_404_in_the_same_shape(alice_client: Client, path: str) -> None:
    assert refused(alice_client.get(URL + path), 404, "not_found")


def test_b10_p9_another_user_s_upload_looks_like_none_at_all(
    alice_client: Client, bob_client: Client, init: Init, put: Send, post: Send
) -> None:
    upload = init()
    put(upload, 0)
    for name in ("chunk", "complete", "cancel"):
        answers = []
        for upload_id in (upload["upload_id"], str(uuid4())):
            body = fields_of(upload_id, 1) if name == "chunk" else {"upload_id": upload_id}
            answers.append(post(name, body, bob_client))
            assert refused(answers[-1], 404, "session_not_found")
        assert answers[0].json() == answers[1].json()
    theirs = bob_client.get(f"{URL}/status/{upload['upload_id']}")
    assert refused(theirs, 404, "session_not_found")
    body = status_of(alice_client, upload)
    assert (body["status"], body["progress"]["received_chunks"]) == ("active", 1)


def test_p9_the_same_content_of_another_user_is_not_found(
    bob_client: Client, completed: dict[str, Any], post: Send
) -> None:
    fields = {**GOOD, "total_size": len(DATA), "file_hash": sha256(DATA)}
    response = post("init", fields, bob_client)
    assert (response.status_code, response.json()["status"]) == (201, "active")


@pytest.mark.parametrize("name", ["init", "chunk", "complete", "cancel"])
def test_b6_nobody_s_request_is_refused_unread(unread: dict[str, Any], db: None, name: str) -> None:
    for headers in ({}, {"Authorization": "Bearer nonsense"}):
        response = Client().generic(
            "POST", f"{URL}/{name}", b"x", "application/json", headers=headers, **unread
        )
        assert refused(response, 401, "not_authenticated")


def test_b6_nobody_sees_a_status(init: Init) -> None:
    response = Client().get(f"{URL}/status/{init()['upload_id']}")
    assert refused(response, 401, "not_authenticated")


@pytest.mark.parametrize("name", ["init", "chunk", "complete", "cancel"])
def test_b6_a_cookie_needs_its_csrf_token_and_a_personal_token_none(
    alice: User, alice_token: str, post: Send, name: str
) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    assert refused(post(name, {}, client), 403, "csrf_failed")
    client.cookies["csrftoken"] = CSRF
    assert refused(post(name, {}, client, headers={"X-CSRFToken": "b" * 32}), 403, "csrf_failed")
    right = post(name, {}, client, headers={"X-CSRFToken": CSRF})
    assert refused(right, 400, "invalid_request")
    script = Client(enforce_csrf_checks=True)
    headers = {"Authorization": f"Bearer {alice_token}"}
    assert refused(post(name, {}, script, headers=headers), 400, "invalid_request")


METHODS = {
    "init": ["POST"],
    "chunk": ["POST"],
    "complete": ["POST"],
    "cancel": ["POST"],
    f"status/{UUID(int=1)}": ["GET", "HEAD"],
}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_are_405_and_name_the_right_ones(
    alice_client: Client, name: str, method: str
) -> None:
    response = alice_client.generic(method, f"{URL}/{name}", b"{}", "application/json")
    if method in METHODS[name]:
        assert response.status_code in {400, 404}
    else:
        assert response.status_code == 405
        assert response["Allow"] == ", ".join(METHODS[name])


def test_a_status_has_no_body_for_head(alice_client: Client, init: Init) -> None:
    response = alice_client.head(f"{URL}/status/{init()['upload_id']}")
    assert (response.status_code, response.content) == (200, b"")
    assert response["Cache-Control"] == "no-store"
