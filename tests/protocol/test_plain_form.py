"""Files by a plain form: the same engine, the same promises, without a script in the browser."""

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from tests.support.bodies import SMALL_CHUNK, flipped, payload, sha256
from uploads.core.plan import MIB
from uploads.engine.receiving import receive_chunk
from uploads.errors import Unavailable
from uploads.models import FileSession, SessionStatus
from uploads.protocols import bodies
from uploads.storage.filesystem import FilesystemStore

from .conftest import CHUNKS, DATA, Answer, Begin, Put, refused

URL = "/uploads/send"
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
MULTIPART = "multipart/form-data; boundary=b"
CSRF = "a" * 32

Send = Callable[..., Answer]


def file(data: bytes = DATA, name: str = "tides.csv", kind: str = "text/csv") -> Any:
    return SimpleUploadedFile(name, data, kind)


def part(data: bytes, name: str = "tides.csv", field: str = "file") -> bytes:
    head = f'--b\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
    return head.encode() + data + b"\r\n"


def token_part(token: str) -> bytes:
    head = '--b\r\nContent-Disposition: form-data; name="csrfmiddlewaretoken"\r\n\r\n'
    return f"{head}{token}\r\n".encode()


def said(response: Answer) -> list[str]:
    """The messages that the next page shows, each with its level before it."""
    return [f"{m.level_tag}: {m.message}" for m in get_messages(response.wsgi_request)]


def complained(response: Answer, words: str) -> bool:
    """Whether a browser is led back to the dashboard, told this and that nothing was lost."""
    assert (response.status_code, response["Location"]) == (303, "/")
    [text] = said(response)
    assert text.startswith("error: ")
    assert words in text
    assert re.search("othing .*lost", text)
    return True


def content(client: Client, session: FileSession) -> bytes:
    response = client.get(f"/api/v1/uploads/{session.pk}/content")
    assert response.status_code == 200
    return response.getvalue()


def left_in(root: Path, *but: str) -> list[str]:
    """Every file in the store that is not below `but`."""
    found = [path.relative_to(root) for path in root.rglob("*") if path.is_file()]
    return [str(path) for path in found if path.parts[0] not in but]


@pytest.fixture(autouse=True)
def small_chunks(settings: Settings) -> None:
    settings.UPLOADS = {**settings.UPLOADS, "CHUNK_SIZE": SMALL_CHUNK}


@pytest.fixture
def send(
    alice_client: Client, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> Send:
    """Send a form, as a browser does unless `headers` say otherwise, and let verifiers run."""

    def post(body: Any, client: Client = alice_client, **given: Any) -> Answer:
        given = {"headers": HTML, **given}
        client.cookies.pop("messages", None)
        with django_capture_on_commit_callbacks(execute=True):
            if isinstance(body, bytes):
                return client.post(URL, body, MULTIPART, **given)
            return client.post(URL, body, **given)

    return post


@pytest.fixture
def strict(alice: User) -> Client:
    """Alice's browser, with its CSRF cookie, of which a token is asked."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    client.cookies["csrftoken"] = CSRF
    return client


def test_p1_a_file_from_a_form_is_verified_and_comes_back_byte_for_byte(
    alice_client: Client, send: Send, upload_root: Path
) -> None:
    response = send({"file": file()})
    assert (response.status_code, response["Location"]) == (303, "/")
    assert said(response) == ["success: “tides.csv” has arrived and is being verified."]
    session = FileSession.objects.get()
    assert (session.status, session.sha256) == (SessionStatus.COMPLETED, sha256(DATA))
    assert (session.filename, session.mime_type) == ("tides.csv", "text/csv")
    assert content(alice_client, session) == DATA
    assert left_in(upload_root, "content") == []


def test_a_script_is_answered_with_the_sessions(alice_token: str, send: Send) -> None:
    headers = {"Authorization": f"Bearer {alice_token}", "Accept": "*/*"}
    client = Client(enforce_csrf_checks=True)
    response = send({"file": file()}, client, headers=headers)
    assert response.status_code == 201
    [result] = response.json()["results"]
    assert (result["filename"], result["sha256"]) == ("tides.csv", sha256(DATA))
    assert (result["state"], result["missing"]) == ("assembling", [])
    assert client.get(result["urls"]["content"], headers=headers).getvalue() == DATA


def test_a_script_with_a_token_is_no_browser_whatever_it_accepts(
    alice_token: str, send: Send
) -> None:
    headers = {"Authorization": f"Bearer {alice_token}", **HTML}
    assert send({"file": file()}, Client(), headers=headers).status_code == 201


def test_all_files_of_a_form_arrive_each_as_it_is(alice_client: Client, send: Send) -> None:
    contents = {"a.bin": DATA, "empty.bin": b"", "b.bin": payload(SMALL_CHUNK, seed=7), "c": b"c"}
    response = send({"file": [file(data, name) for name, data in contents.items()]})
    assert len(said(response)) == len(contents)
    sessions = FileSession.objects.all()
    assert {s.filename: content(alice_client, s) for s in sessions} == contents


def test_nothing_of_a_body_passes_through_django_s_own_upload_handlers(send: Send) -> None:
    """C6: they would hold it in memory or in the system's folder for temporary files."""
    handlers = "django.core.files.uploadhandler"
    refuse = AssertionError("a default upload handler was asked")
    with (
        mock.patch(f"{handlers}.MemoryFileUploadHandler.new_file", side_effect=refuse),
        mock.patch(f"{handlers}.TemporaryFileUploadHandler.new_file", side_effect=refuse),
    ):
        assert send({"file": file(payload(3 * MIB))}).status_code == 303
    assert FileSession.objects.get().status == SessionStatus.COMPLETED


def test_known_content_is_not_stored_twice(send: Send, upload_root: Path) -> None:
    send({"file": file()})
    response = send({"file": file()})
    assert said(response) == ["success: “tides.csv” was here already, complete and verified."]
    assert len(left_in(upload_root)) == 1


def test_a_form_finishes_an_interrupted_upload_of_the_same_content(
    alice_client: Client, begin: Begin, put: Put, send: Send
) -> None:
    begun = begin()
    assert put(begun, 1, CHUNKS[1]).status_code == 200
    with mock.patch("uploads.engine.sending.receive_chunk", wraps=receive_chunk) as received:
        send({"file": file()})
    assert [call.args[1] for call in received.call_args_list] == [0, 2]
    session = FileSession.objects.get(pk=begun["id"])
    assert session.status == SessionStatus.COMPLETED
    assert content(alice_client, session) == DATA
    # That keeps its name, and the form's file has its own.
    named = FileSession.objects.get(filename="tides.csv")
    assert (named.status, named.stored_file) == (SessionStatus.COMPLETED, session.stored_file)


def test_two_equal_files_of_one_form_keep_both_names(alice_client: Client, send: Send) -> None:
    send({"file": [file(name="a.csv"), file(name="b.csv")]})
    entries = FileSession.objects.filter(status=SessionStatus.COMPLETED)
    assert sorted(entry.filename for entry in entries) == ["a.csv", "b.csv"]
    assert [content(alice_client, entry) for entry in entries] == [DATA, DATA]


def test_p9_the_same_content_of_another_user_is_not_found(
    alice_client: Client, bob_client: Client, send: Send
) -> None:
    send({"file": file()})
    response = send({"file": file()}, bob_client)
    assert said(response) == ["success: “tides.csv” has arrived and is being verified."]
    assert FileSession.objects.count() == 2
    theirs = FileSession.objects.get(owner__username="bob")
    assert alice_client.get(f"/api/v1/uploads/{theirs.pk}").status_code == 404


def test_a_file_field_left_empty_says_choose_a_file(send: Send) -> None:
    assert complained(send(part(b"", name="") + b"--b--\r\n"), "Choose a file first")
    assert complained(send({"other": "field"}), "Choose a file first")
    response = send({"other": "field"}, headers={})
    assert refused(response, 400, "no_file")
    assert response.json()["field"] == "file"


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "C:\\\\fakepath\\\\a.txt", "dir/a.txt", "..", "x" * 256, "a\tb"]
)
def test_a_name_that_is_none_refuses_the_whole_form(
    send: Send, upload_root: Path, name: str
) -> None:
    body = part(DATA) + part(b"abc", name) + b"--b--\r\n"
    assert complained(send(body), "a name that cannot be used")
    assert refused(send(body, headers={}), 400, "invalid_filename")
    assert not FileSession.objects.exists()
    assert left_in(upload_root) == []


def test_a_name_stays_as_it_was_sent(send: Send) -> None:
    """Django's own parser would make `<b>.txt` of it."""
    send(part(b"abc", "&lt;b&gt; ä.txt") + b"--b--\r\n")
    assert FileSession.objects.get().filename == "&lt;b&gt; ä.txt"


def test_a_file_in_another_field_is_refused(send: Send) -> None:
    response = send({"files": file()}, headers={})
    assert refused(response, 400, "invalid_request")
    assert response.json()["field"] == "file"
    assert not FileSession.objects.exists()


@pytest.mark.parametrize("behind", [100, SMALL_CHUNK + 1, len(DATA) + 200])
def test_p2_a_form_that_is_cut_opens_nothing(
    alice_client: Client, upload_root: Path, behind: int
) -> None:
    whole = part(DATA) + part(DATA, "second") + b"--b--\r\n"
    cut: dict[str, Any] = {
        "wsgi.input": io.BytesIO(whole[:behind]),
        "CONTENT_LENGTH": str(len(whole)),
    }
    response = alice_client.generic("POST", URL, b"x", MULTIPART, **cut)
    assert refused(response, 400, "length_mismatch")
    assert response.json()["actual"] == behind
    assert not FileSession.objects.exists()
    assert left_in(upload_root) == []


def test_p2_a_file_without_its_last_boundary_is_not_taken(send: Send) -> None:
    assert refused(send(part(DATA), headers={}), 400, "invalid_request")
    assert not FileSession.objects.exists()


@pytest.mark.parametrize(
    ("kind", "body", "status", "code"),
    [
        ("application/octet-stream", DATA, 415, "unsupported_media_type"),
        ("application/x-www-form-urlencoded", b"file=x", 415, "unsupported_media_type"),
        ("multipart/form-data", b"x", 400, "invalid_request"),
        (MULTIPART, b"nonsense", 400, "no_file"),
    ],
)
def test_p10_a_body_that_is_no_such_form_is_refused(
    alice_client: Client, kind: str, body: bytes, status: int, code: str
) -> None:
    assert refused(alice_client.post(URL, body, kind), status, code)


def test_p10_more_files_than_a_form_may_have_are_refused(
    send: Send, settings: Settings, upload_root: Path
) -> None:
    settings.DATA_UPLOAD_MAX_NUMBER_FILES = 2
    files = [file(name=f"{n}") for n in range(3)]
    assert complained(send({"file": files}), "could not be read")
    assert not FileSession.objects.exists()
    assert left_in(upload_root) == []


class _NeverRead(io.RawIOBase):
    """A body that only what drains it may read."""

    def read(self, size: int = -1, /) -> bytes:
        raise AssertionError("the body was read")


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What makes a request's body one that must not be read before it is refused."""
    monkeypatch.setattr("uploads.protocols.endpoint.drain_unread", lambda _: None)
    return {"wsgi.input": _NeverRead()}


def test_a_form_of_unknown_length_is_411_before_it_is_read(
    alice_client: Client, unread: dict[str, Any]
) -> None:
    response = alice_client.generic("POST", URL, b"x", MULTIPART, CONTENT_LENGTH="", **unread)
    assert refused(response, 411, "length_required")


def test_a_form_that_is_too_large_is_refused_before_it_is_read(
    alice_client: Client, settings: Settings, unread: dict[str, Any]
) -> None:
    settings.UPLOADS = {**settings.UPLOADS, "MAX_FILE_SIZE": MIB}
    given = {**unread, "CONTENT_LENGTH": str(2 * MIB)}
    response = alice_client.generic("POST", URL, b"x", MULTIPART, **given)
    assert refused(response, 413, "too_large")
    assert response.json()["limit"] == MIB
    again = alice_client.generic("POST", URL, b"x", MULTIPART, headers=HTML, **given)
    assert complained(again, "1.0\xa0MB")


def test_a_file_over_the_limit_within_a_form_that_is_not_is_refused(
    send: Send, settings: Settings
) -> None:
    settings.UPLOADS = {**settings.UPLOADS, "MAX_FILE_SIZE": 1000}
    assert refused(send({"file": file(bytes(1001))}, headers={}), 413, "too_large")
    assert complained(send({"file": file(bytes(1001))}), "“tides.csv”: This is too large")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("photo.png", "“photo.png”: The content of this file is not what its name"),
        ("setup.exe", "“setup.exe”: A file of this kind, or of this name, is not taken here."),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused_in_words(
    send: Send, name: str, words: str
) -> None:
    response = send({"file": file(name=name, kind="")})
    assert (response.status_code, response["Location"]) == (303, "/")
    [text] = said(response)
    assert text.startswith(f"error: {words}")
    assert not FileSession.objects.filter(status=SessionStatus.COMPLETED).exists()


def test_over_the_quota_a_form_is_refused_with_what_to_do(send: Send, settings: Settings) -> None:
    settings.UPLOADS = {**settings.UPLOADS, "QUOTA_BYTES": len(DATA)}
    send({"file": file()})
    answer = send({"file": [file(flipped(DATA), "more.csv")]})
    assert complained(answer, "You have no room left here: with this you would have more than you")


def test_without_room_a_form_is_refused_before_it_is_read(
    alice_client: Client, unread: dict[str, Any]
) -> None:
    given = {**unread, "CONTENT_LENGTH": str(2 * MIB)}
    with mock.patch.object(FilesystemStore, "free_bytes", return_value=3 * MIB):
        response = alice_client.generic("POST", URL, b"x", MULTIPART, **given)
        assert refused(response, 507, "storage_full")
        again = alice_client.generic("POST", URL, b"x", MULTIPART, headers=HTML, **given)
        assert complained(again, "no room left")


def test_room_that_others_take_meanwhile_ends_a_form_before_the_disk_is_full(
    send: Send, upload_root: Path
) -> None:
    size = 20 * MIB
    rooms = iter([3 * size, 3 * size, 0])
    with mock.patch.object(FilesystemStore, "free_bytes", side_effect=lambda: next(rooms)):
        assert complained(send({"file": file(bytes(size))}), "no room left")
    assert not FileSession.objects.exists()
    assert left_in(upload_root) == []


def test_a_refusal_within_a_form_keeps_the_files_before_it(send: Send, settings: Settings) -> None:
    settings.UPLOADS = {**settings.UPLOADS, "MAX_FILE_SIZE": 1000}
    files = [file(bytes(10), "one"), file(bytes(2000), "two"), file(b"3", "three")]
    response = send({"file": files})
    assert response.status_code == 303
    kept, complaint = said(response)
    assert kept == "success: “one” has arrived and is being verified."
    assert complaint.startswith("error: “two”: This is too large")
    assert [session.filename for session in FileSession.objects.all()] == ["one"]


def test_p5_a_form_waits_for_its_body_without_a_database(
    alice_client: Client, settings: Settings
) -> None:
    """And with one of the slots of readers, of which more requests are told to come back."""
    settings.UPLOADS = {**settings.UPLOADS, "MAX_READERS": 1}
    whole = part(DATA) + b"--b--\r\n"
    with mock.patch.object(bodies, "let_go_unless_few") as let_go:

        class Body(io.BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                let_go.assert_called()
                with pytest.raises(Unavailable), bodies.reader_slot():
                    raise AssertionError("the slot was free")
                return super().read(size)

        given: dict[str, Any] = {"wsgi.input": Body(whole), "CONTENT_LENGTH": str(len(whole))}
        response = alice_client.generic("POST", URL, b"x", MULTIPART, **given)
    assert response.status_code == 201
    with bodies.reader_slot():
        assert refused(alice_client.post(URL, whole, MULTIPART), 503, "unavailable")


@pytest.mark.parametrize("where", ["before", "behind"])
def test_a_browser_s_form_has_its_token_as_a_field(strict: Client, send: Send, where: str) -> None:
    parts = [token_part(CSRF), part(DATA)]
    body = b"".join(parts if where == "before" else reversed(parts)) + b"--b--\r\n"
    response = send(body, strict)
    assert said(response) == ["success: “tides.csv” has arrived and is being verified."]


def test_a_token_in_the_header_is_as_good(strict: Client, send: Send) -> None:
    response = send({"file": file()}, strict, headers={"X-CSRFToken": CSRF})
    assert response.status_code == 201


@pytest.mark.parametrize("token", [None, "", "b" * 32, "nonsense", "ä"])
def test_a_form_without_its_token_opens_nothing(
    strict: Client, send: Send, upload_root: Path, token: str | None
) -> None:
    body = (token_part(token) if token is not None else b"") + part(DATA) + b"--b--\r\n"
    assert refused(send(body, strict, headers={}), 403, "csrf_failed")
    assert complained(send(body, strict), "too old")
    assert not FileSession.objects.exists()
    assert left_in(upload_root) == []


@pytest.mark.parametrize(
    ("headers", "cookie"),
    [
        ({"Origin": "https://elsewhere.example"}, CSRF),
        ({"Origin": "null"}, CSRF),
        ({}, None),
        ({}, "malformed"),
    ],
    ids=["foreign origin", "hidden origin", "no cookie", "malformed cookie"],
)
def test_a_form_of_another_site_is_refused_before_it_is_read(
    strict: Client, unread: dict[str, Any], headers: dict[str, str], cookie: str | None
) -> None:
    if cookie:
        strict.cookies["csrftoken"] = cookie
    else:
        del strict.cookies["csrftoken"]
    given = {**unread, "CONTENT_LENGTH": "1000"}
    response = strict.generic("POST", URL, b"x", MULTIPART, headers=headers, **given)
    assert refused(response, 403, "csrf_failed")


def test_a_form_over_tls_needs_its_own_site_as_referer(
    strict: Client, unread: dict[str, Any]
) -> None:
    given = {**unread, "CONTENT_LENGTH": "1000", "secure": True}
    headers = {"Referer": "https://elsewhere.example/"}
    response = strict.generic("POST", URL, b"x", MULTIPART, headers=headers, **given)
    assert refused(response, 403, "csrf_failed")


def test_nobody_s_form_is_refused_before_it_is_read(unread: dict[str, Any], db: None) -> None:
    given = {**unread, "CONTENT_LENGTH": "1000"}
    for headers in ({}, {"Authorization": "Bearer nonsense"}):
        response = Client().generic("POST", URL, b"x", MULTIPART, headers=headers, **given)
        assert refused(response, 401, "not_authenticated")
    response = Client().generic("POST", URL, b"x", MULTIPART, headers=HTML, **given)
    assert (response.status_code, response["Location"]) == (303, "/sign-in/?next=/")
    [text] = said(response)
    assert text.startswith("error: You were signed out")


def test_other_methods_are_405_to_everybody(alice_client: Client) -> None:
    for headers in ({}, HTML):
        response = alice_client.get(URL, headers=headers)
        assert refused(response, 405, "method_not_allowed")
        assert response["Allow"] == "POST"


def test_an_upload_with_other_bytes_under_this_hash_is_said_to_be_so(
    alice_client: Client, begin: Begin, put: Put, send: Send
) -> None:
    """P1: the earlier client's chunk was wrong, so that upload fails; the form's own does not."""
    begun = begin()
    assert put(begun, 0, flipped(CHUNKS[0])).status_code == 200
    send({"file": file()})
    assert FileSession.objects.get(pk=begun["id"]).status == SessionStatus.FAILED
    session = FileSession.objects.get(status=SessionStatus.COMPLETED)
    assert content(alice_client, session) == DATA


def test_a_site_without_messages_takes_files_all_the_same(send: Send, settings: Settings) -> None:
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "messages" not in name]
    assert send({"file": file()}).status_code == 303
    assert FileSession.objects.get().status == SessionStatus.COMPLETED
