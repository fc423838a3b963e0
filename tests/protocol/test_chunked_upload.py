"""The protocol of django-chunked-upload: /api/chunked-upload/ and /complete/ (E6)."""

import contextlib
import hashlib
from typing import Any
from unittest import mock
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from tests.support.bodies import flipped, payload, sha256
from tests.support.sessions import content_of, damage, staging_of
from tests.support.tasks import drop_tasks, run_tasks
from uploads.engine import rechecking
from uploads.engine.removing import remove
from uploads.errors import StorageFull
from uploads.models import FileSession, SessionStatus
from uploads.protocols import chunked_upload, waiting
from uploads.protocols.problems import status_of

from .conftest import Answer
from .test_problem_shape import CLASSES

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/api/chunked-upload/"
DATA = payload(700_001)
STEP = 300_000


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def post(client: Client, data: bytes, content_range: str = "", **fields: Any) -> Answer:
    """One piece, as that package's clients send it."""
    headers = {"Content-Range": content_range} if content_range else {}
    file = SimpleUploadedFile("seeds.txt", data, "text/plain")
    return client.post(URL, {"file": file, **fields}, headers=headers)


def piece(client: Client, start: int, end: int, upload_id: str = "", **fields: Any) -> Answer:
    """DATA from `start` up to `end`, with its range."""
    given = {"upload_id": upload_id, **fields} if upload_id else fields
    content_range = f"bytes {start}-{end - 1}/{len(DATA)}"
    return post(client, DATA[start:end], content_range, **given)


def send_all(client: Client) -> str:
    """Every piece of DATA; the upload's id."""
    upload_id = ""
    for start in range(0, len(DATA), STEP):
        answer = piece(client, start, min(start + STEP, len(DATA)), upload_id)
        assert answer.status_code == 200, answer.json()
        upload_id = answer.json()["upload_id"]
    return upload_id


def complete(client: Client, upload_id: str, digest: str = md5(DATA)) -> Answer:
    return client.post(f"{URL}complete/", {"upload_id": upload_id, "md5": digest})


def session_of(upload_id: str) -> FileSession:
    return FileSession.objects.get(pk=UUID(upload_id))


def refused(answer: Answer, status: int, detail: str, **members: Any) -> bool:
    body = answer.json()
    assert (answer.status_code, body["detail"]) == (status, detail)
    assert {name: body[name] for name in members} == members
    return True


def test_the_sequence_of_that_package_uploads_a_file(alice_client: Client) -> None:
    first = piece(alice_client, 0, STEP)
    assert first.status_code == 200
    body = first.json()
    assert len(body["upload_id"]) == 32
    assert body["offset"] == STEP
    assert body["expires"] > "2020"
    for start in (STEP, 2 * STEP):
        end = min(start + STEP, len(DATA))
        answer = piece(alice_client, start, end, body["upload_id"])
        assert (answer.status_code, answer.json()["offset"]) == (200, end)
    done = complete(alice_client, body["upload_id"])
    assert done.status_code == 200
    assert done.json()["sha256"] == sha256(DATA)
    assert (done.json()["filename"], done.json()["size"]) == ("seeds.txt", len(DATA))
    assert b"".join(alice_client.get(done.json()["file"]).streaming_content) == DATA  # type: ignore[attr-defined]


def test_an_offset_as_a_field_does_what_a_range_does(alice_client: Client) -> None:
    """Then nobody says how long the whole is, before it is complete."""
    first = post(alice_client, DATA[:STEP], offset=0, filename="named.txt")
    upload_id = first.json()["upload_id"]
    assert session_of(upload_id).size is None
    answer = post(alice_client, DATA[STEP:], offset=STEP, upload_id=upload_id)
    assert answer.json()["offset"] == len(DATA)
    done = complete(alice_client, upload_id)
    assert (done.status_code, done.json()["filename"]) == (200, "named.txt")
    assert content_of(session_of(upload_id)) == DATA


def test_a_file_that_fits_one_piece_needs_neither(alice_client: Client) -> None:
    """As jQuery File Upload sends what is no larger than a piece."""
    upload_id = post(alice_client, b"small").json()["upload_id"]
    assert complete(alice_client, upload_id, md5(b"small")).status_code == 200


def test_an_empty_file_completes(alice_client: Client) -> None:
    upload_id = post(alice_client, b"").json()["upload_id"]
    assert complete(alice_client, upload_id, md5(b"")).json()["size"] == 0


def test_a_total_that_comes_later_is_taken(alice_client: Client) -> None:
    upload_id = post(alice_client, DATA[:STEP], offset=0).json()["upload_id"]
    piece(alice_client, STEP, len(DATA), upload_id)
    assert session_of(upload_id).size == len(DATA)
    assert complete(alice_client, upload_id).status_code == 200


@pytest.mark.parametrize("start", [0, STEP - 1, STEP + 1])
def test_another_offset_is_refused_with_the_right_one(alice_client: Client, start: int) -> None:
    upload_id = piece(alice_client, 0, STEP).json()["upload_id"]
    answer = piece(alice_client, start, start + 10, upload_id)
    assert refused(answer, 400, "Offsets do not match", offset=STEP)
    assert session_of(upload_id).offset == STEP


def test_a_new_upload_begins_at_its_beginning(alice_client: Client) -> None:
    assert refused(piece(alice_client, 10, 20), 400, "Offsets do not match", offset=0)
    assert not FileSession.objects.exists()


def test_every_file_begins_an_upload_of_its_own(alice_client: Client) -> None:
    ids = {piece(alice_client, 0, STEP).json()["upload_id"] for _ in range(2)}
    assert len(ids) == 2


def test_a_wrong_md5_is_refused_and_the_upload_kept(alice_client: Client) -> None:
    upload_id = send_all(alice_client)
    answer = complete(alice_client, upload_id, "0" * 32)
    assert refused(answer, 400, "md5 checksum does not match")
    assert session_of(upload_id).status == SessionStatus.ACTIVE
    assert complete(alice_client, upload_id).status_code == 200


def test_a_wrong_md5_leaves_a_stream_open_for_what_is_still_to_come(alice_client: Client) -> None:
    upload_id = post(alice_client, DATA[:STEP], offset=0).json()["upload_id"]
    assert refused(complete(alice_client, upload_id), 400, "md5 checksum does not match")
    post(alice_client, DATA[STEP:], offset=STEP, upload_id=upload_id)
    assert complete(alice_client, upload_id).status_code == 200


def test_a_part_of_a_file_never_completes_whatever_its_md5(alice_client: Client) -> None:
    upload_id = piece(alice_client, 0, STEP).json()["upload_id"]
    answer = complete(alice_client, upload_id, md5(DATA[:STEP]))
    assert answer.status_code == 400
    assert (answer.json()["code"], answer.json()["offset"]) == ("chunks_missing", STEP)
    piece(alice_client, STEP, len(DATA), upload_id)
    assert complete(alice_client, upload_id).status_code == 200


def test_completing_twice_is_an_error(alice_client: Client) -> None:
    upload_id = send_all(alice_client)
    assert complete(alice_client, upload_id).status_code == 200
    again = 'Upload has already been marked as "complete"'
    assert refused(complete(alice_client, upload_id), 400, again)
    assert refused(piece(alice_client, 0, STEP, upload_id), 400, again)


@pytest.mark.parametrize("fields", [{}, {"upload_id": "a" * 32}, {"md5": "a" * 32}])
def test_completing_needs_both_fields(alice_client: Client, fields: dict[str, str]) -> None:
    answer = alice_client.post(f"{URL}complete/", fields)
    assert refused(answer, 400, "Both 'upload_id' and 'md5' are required")


def test_completing_takes_fields_in_either_encoding(alice_client: Client) -> None:
    upload_id = send_all(alice_client)
    body = f"upload_id={UUID(upload_id)}&md5={md5(DATA).upper()}"
    answer = alice_client.post(f"{URL}complete/", body, "application/x-www-form-urlencoded")
    assert answer.status_code == 200


def test_completing_takes_no_file_and_nothing_long(alice_client: Client) -> None:
    file = SimpleUploadedFile("a", b"a")
    form = {"upload_id": "a" * 32, "md5": "b", "file": file}
    assert alice_client.post(f"{URL}complete/", form).status_code == 400
    form["file"] = SimpleUploadedFile("a", bytes(17_000))
    assert alice_client.post(f"{URL}complete/", form).json()["code"] == "too_large"
    answer = alice_client.post(f"{URL}complete/", {}, "application/json")
    assert answer.json()["code"] == "unsupported_media_type"


@pytest.mark.parametrize(
    "content_range",
    ["bytes 0-9/700001", "bytes 0-300000/700001", "bytes 0-299999/299999", "bytes=0-1/2", "x"],
)
def test_a_range_that_is_not_this_files_is_refused(
    alice_client: Client, content_range: str
) -> None:
    answer = post(alice_client, DATA[:STEP], content_range)
    assert (answer.status_code, answer.json()["code"]) == (400, "range_mismatch")
    assert not FileSession.objects.exists()


@pytest.mark.parametrize("offset", ["-1", "1.5", "x", "9" * 40, "٣"])
def test_an_offset_that_is_no_number_is_refused(alice_client: Client, offset: str) -> None:
    answer = post(alice_client, b"a", offset=offset)
    assert (answer.status_code, answer.json()["field"]) == (400, "offset")


def test_another_total_than_at_first_is_refused(alice_client: Client) -> None:
    upload_id = piece(alice_client, 0, STEP).json()["upload_id"]
    content_range = f"bytes {STEP}-{STEP + 9}/{len(DATA) + 1}"
    answer = post(alice_client, DATA[STEP : STEP + 10], content_range, upload_id=upload_id)
    assert (answer.status_code, answer.json()["code"]) == (400, "length_mismatch")
    assert session_of(upload_id).offset == STEP


def test_a_file_over_the_limit_is_refused(alice_client: Client, settings: Settings) -> None:
    settings.UPLOADS = {**settings.UPLOADS, "MAX_FILE_SIZE": 1000}
    text = "Size of file exceeds the limit (1000 bytes)"
    assert refused(piece(alice_client, 0, 10), 400, text, limit=1000)
    assert refused(post(alice_client, bytes(1001)), 400, text)
    upload_id = post(alice_client, bytes(900), offset=0).json()["upload_id"]
    assert refused(post(alice_client, bytes(101), offset=900, upload_id=upload_id), 400, text)
    # So long that it is refused by its headers alone.
    assert refused(post(alice_client, bytes(70_000)), 400, text)


def test_a_form_without_its_file_is_refused(alice_client: Client) -> None:
    answer = alice_client.post(URL, {"upload_id": "", "other": "field"})
    assert refused(answer, 400, "No chunk file was submitted")


def test_a_file_in_another_field_or_a_second_one_is_refused(alice_client: Client) -> None:
    def file() -> SimpleUploadedFile:
        return SimpleUploadedFile("a", b"a")

    for form in ({"other": file()}, {"file": [file(), file()]}):
        answer = alice_client.post(URL, form)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


def test_a_name_that_cannot_be_used_is_refused(alice_client: Client) -> None:
    answer = post(alice_client, b"a", filename="../etc/passwd")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_filename")


def test_who_is_not_signed_in_is_told_so(client: Client) -> None:
    text = "Authentication credentials were not provided"
    assert refused(post(client, b"a"), 403, text)
    assert refused(complete(client, "a" * 32), 403, text)


def test_a_script_needs_only_its_token(client: Client, alice_token: str) -> None:
    file = SimpleUploadedFile("a.txt", b"by a script")
    headers = {"Authorization": f"Bearer {alice_token}"}
    upload_id = client.post(URL, {"file": file}, headers=headers).json()["upload_id"]
    form = {"upload_id": upload_id, "md5": md5(b"by a script")}
    assert client.post(f"{URL}complete/", form, headers=headers).status_code == 200


def test_a_page_needs_its_csrf_token_in_the_form_or_the_header(alice: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    answer = post(browser, b"a")
    assert (answer.status_code, answer.json()["code"]) == (403, "csrf_failed")
    assert not FileSession.objects.exists()
    token = browser.get("/").cookies["csrftoken"].value
    upload_id = post(browser, b"a", csrfmiddlewaretoken=token).json()["upload_id"]
    assert complete(browser, upload_id, md5(b"a")).status_code == 403
    form = {"upload_id": upload_id, "md5": md5(b"a"), "csrfmiddlewaretoken": token}
    assert browser.post(f"{URL}complete/", form).status_code == 200


def test_p9_another_users_upload_does_not_exist(alice_client: Client, bob_client: Client) -> None:
    upload_id = piece(alice_client, 0, STEP).json()["upload_id"]
    for unknown in (upload_id, uuid4().hex, "nonsense"):
        assert piece(bob_client, STEP, STEP + 10, unknown).status_code == 404
        assert complete(bob_client, unknown).status_code == 404
    assert session_of(upload_id).offset == STEP


def test_an_expired_upload_is_gone(alice_client: Client) -> None:
    upload_id = piece(alice_client, 0, STEP).json()["upload_id"]
    FileSession.objects.update(expires_at=timezone.now())
    assert refused(piece(alice_client, STEP, STEP + 10, upload_id), 410, "Upload has expired")
    assert refused(complete(alice_client, upload_id), 410, "Upload has expired")


def test_a_cancelled_upload_is_gone(alice_client: Client) -> None:
    upload_id = piece(alice_client, 0, STEP).json()["upload_id"]
    remove(session_of(upload_id))
    assert piece(alice_client, STEP, STEP + 10, upload_id).status_code == 410


def test_completing_waits_for_the_verifier_and_then_says_where_to_look(
    alice_client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.TASKS = {"default": {"BACKEND": "tests.support.tasks.HeldBackend"}}
    monkeypatch.setattr(waiting, "WAIT_SECONDS", 0.05)
    upload_id = send_all(alice_client)
    answer = complete(alice_client, upload_id)
    assert (answer.status_code, answer.json()["sha256"]) == (202, None)
    assert answer["Location"] == answer.json()["status_url"]
    assert answer["Retry-After"] == "1"
    run_tasks()
    assert alice_client.get(answer["Location"]).json()["state"] == "completed"


def test_p4_damage_found_at_completion_is_asked_for_again(
    alice_client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.TASKS = {"default": {"BACKEND": "tests.support.tasks.HeldBackend"}}
    upload_id = send_all(alice_client)

    # After the MD5 was compared, the disk damages what it holds.
    def damaged(session: FileSession) -> FileSession:
        damage(session, 5)
        run_tasks()
        return waiting.wait_for_verdict(session)

    with mock.patch.object(chunked_upload, "wait_for_verdict", damaged):
        answer = complete(alice_client, upload_id)
    assert (answer.status_code, answer.json()["offset"]) == (400, 0)
    assert piece(alice_client, 0, len(DATA), upload_id).status_code == 200
    monkeypatch.setattr(waiting, "WAIT_SECONDS", 0.0)
    assert complete(alice_client, upload_id).status_code == 202
    run_tasks()
    assert content_of(session_of(upload_id)) == DATA
    drop_tasks()


def test_a_form_that_is_cut_off_leaves_nothing(alice_client: Client) -> None:
    boundary = "b"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    body = head.encode() + DATA[:1000]
    answer = alice_client.post(URL, body, f"multipart/form-data; boundary={boundary}")
    assert answer.status_code == 400
    assert not FileSession.objects.exists()


def test_other_bytes_than_another_protocol_sent_ahead_are_refused(alice_client: Client) -> None:
    handshake = {"filename": "a", "size": len(DATA), "chunk_size": 262144, "resume_key": "k"}
    session = alice_client.post("/api/v1/uploads/handshake", handshake, "application/json").json()
    path = session["urls"]["chunk"].replace("{index}", "1")
    chunk = flipped(DATA[262144:524288])
    alice_client.put(path, chunk, "application/octet-stream")
    answer = piece(alice_client, 0, len(DATA), session["id"])
    assert (answer.status_code, answer.json()["code"]) == (400, "chunk_conflict")
    assert session_of(session["id"].replace("-", "")).offset == 524288


def test_the_names_that_browsers_make_of_paths_are_names(alice_client: Client) -> None:
    for given, name in (
        ("C:\\fakepath\\seeds.txt", "seeds.txt"),
        ("folder/seeds.txt", "seeds.txt"),
        (f"{'n' * 300}.txt", f"{'n' * 251}.txt"),
    ):
        file = form_with(given, DATA[:10], "binary")
        session = session_of(alice_client.post(URL, *file).json()["upload_id"])
        assert (session.filename, session.mime_type) == (name, "")


def test_the_name_of_a_later_piece_does_not_matter(alice_client: Client) -> None:
    upload_id = piece(alice_client, 0, STEP).json()["upload_id"]
    assert piece(alice_client, STEP, len(DATA), upload_id, filename="../x").status_code == 200


def form_with(filename: str, data: bytes, mime_type: str) -> tuple[bytes, str]:
    """A form as it is sent: Django's test client cleans names."""
    head = (
        f'--b\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n'
        f"Content-Type: {mime_type}\r\n\r\n"
    )
    return head.encode() + data + b"\r\n--b--\r\n", "multipart/form-data; boundary=b"


def test_the_last_slash_may_be_left_out(alice_client: Client) -> None:
    file = SimpleUploadedFile("a.txt", b"a")
    upload_id = alice_client.post(URL[:-1], {"file": file}).json()["upload_id"]
    form = {"upload_id": upload_id, "md5": md5(b"a")}
    assert alice_client.post(f"{URL}complete", form).status_code == 200
    assert alice_client.post(f"{URL}nothing").json()["code"] == "not_found"


@pytest.mark.parametrize("damage_it", ["missing", "empty", "other bytes"])
def test_p4_a_tail_that_a_disk_has_lost_is_asked_for_again(
    alice_client: Client, damage_it: str
) -> None:
    """Whatever is said of its MD5: the client was told that all of it is in."""
    upload_id = post(alice_client, DATA[:1000]).json()["upload_id"]
    [tail] = staging_of(session_of(upload_id)).glob("tail-*")
    if damage_it == "missing":
        tail.unlink()
    else:
        tail.write_bytes(b"" if damage_it == "empty" else flipped(DATA[:1000]))
    answer = complete(alice_client, upload_id, md5(DATA[:1000]))
    assert (answer.status_code, answer.json()["code"]) == (400, "chunks_missing")
    assert answer.json()["offset"] == 0
    # An empty file is not what was sent either.
    again = complete(alice_client, upload_id, md5(b""))
    assert (again.status_code, again.json()["code"]) == (400, "offset_mismatch")
    post(alice_client, DATA[:1000], upload_id=upload_id, offset=0)
    assert complete(alice_client, upload_id, md5(DATA[:1000])).status_code == 200


def test_p4_a_chunk_that_rots_before_completion_is_asked_for_again(alice_client: Client) -> None:
    upload_id = send_all(alice_client)
    damage(session_of(upload_id), 500)
    for _ in range(2):
        answer = complete(alice_client, upload_id)
        assert (answer.status_code, answer.json()["code"]) == (400, "chunks_missing")
        assert answer.json()["offset"] == 0
    piece(alice_client, 0, len(DATA), upload_id)
    assert complete(alice_client, upload_id).status_code == 200


def test_p4_damage_that_another_completion_has_found_is_no_wrong_md5(alice_client: Client) -> None:
    upload_id = send_all(alice_client)
    damage(session_of(upload_id), 5)

    def hashed_while_the_other_finds_it(session: FileSession) -> str | None:
        found = md5_of_stored(session)
        rechecking.drop_damaged(session)
        return found

    md5_of_stored = chunked_upload._md5
    with mock.patch.object(chunked_upload, "_md5", hashed_while_the_other_finds_it):
        answer = complete(alice_client, upload_id)
    assert (answer.status_code, answer.json()["offset"]) == (400, 0)
    assert "damaged" in answer.json()["detail"]


def test_a_first_piece_that_finds_no_room_leaves_nothing_open(
    alice_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunked_upload, "append", mock.Mock(side_effect=StorageFull("no room")))
    assert piece(alice_client, 0, STEP).status_code == 507
    assert not FileSession.objects.open().exists()


def test_md5s_are_computed_a_few_at_a_time(
    alice_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload_id = send_all(alice_client)
    with contextlib.ExitStack() as stack:
        for _ in range(chunked_upload.MAX_HASHING):
            stack.enter_context(chunked_upload._place_for_hashing())
        answer = complete(alice_client, upload_id)
        assert (answer.status_code, answer["Retry-After"]) == (503, "2")
    assert complete(alice_client, upload_id).status_code == 200


def test_who_finds_no_place_to_wait_is_told_where_to_look_at_once(
    alice_client: Client, settings: Settings
) -> None:
    settings.TASKS = {"default": {"BACKEND": "tests.support.tasks.HeldBackend"}}
    settings.UPLOADS = {**settings.UPLOADS, "MAX_WAITERS": 1}
    upload_id = send_all(alice_client)
    with waiting._places(1):
        assert complete(alice_client, upload_id).status_code == 202
    drop_tasks()


def test_reading_is_refused_with_what_is_understood(alice_client: Client) -> None:
    answer = alice_client.get(URL)
    assert (answer.status_code, answer["Allow"]) == (405, "POST")


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_class_is_in_this_protocols_own_table(kind: type) -> None:
    assert 400 <= status_of(kind, chunked_upload.STATUSES) < 600
