"""POST: creation, creation with upload, and deferred length (tus 1.0, section "Creation")."""

import base64
import re
from collections.abc import Callable

import pytest
from pytest_django import Settings

from tests.support.bodies import sha256
from tests.support.sessions import content_of
from uploads import conf
from uploads.models import FileSession

from .conftest import BODY, Ask, V, fits, row

Create = Callable[..., str]


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_an_upload_is_created_at_an_absolute_address(ask: Ask) -> None:
    answer = ask("POST /files/", V | {"Upload-Length": "100"})
    assert fits(answer, 201, Upload_Offset="0", Cache_Control="no-store")
    assert re.fullmatch(r"http://testserver/files/[0-9a-f-]{36}", answer["Location"])
    assert answer.content == b""
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT", answer["Upload-Expires"])


def test_the_slash_may_be_left_out(ask: Ask) -> None:
    answer = ask("POST /files", V | {"Upload-Length": "100"})
    assert fits(answer, 201)
    assert answer["Location"].startswith("http://testserver/files/")


def test_each_creation_begins_an_upload_of_its_own(create: Create) -> None:
    assert create(100) != create(100)


def test_a_file_of_no_bytes_is_complete_at_once(ask: Ask, create: Create) -> None:
    path = create(0)
    assert fits(ask(f"HEAD {path}"), 200, Upload_Offset="0", Upload_Length="0")
    assert (row(path).status, content_of(row(path))) == ("completed", b"")


def test_what_is_too_large_is_413(ask: Ask, settings: Settings) -> None:
    settings.UPLOADS = conf.given(MAX_FILE_SIZE=1000)
    assert fits(ask("POST /files/", V | {"Upload-Length": "1001"}), 413, Location=None)
    assert fits(ask("POST /files/", V | {"Upload-Length": "1000"}), 201)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Upload-Length": "10", "Upload-Defer-Length": "1"},
        {"Upload-Defer-Length": "2"},
        {"Upload-Defer-Length": "0"},
        {"Upload-Length": ""},
        {"Upload-Length": "-1"},
        {"Upload-Length": "+1"},
        {"Upload-Length": "1.0"},
        {"Upload-Length": "1e3"},
        {"Upload-Length": "ten"},
        {"Upload-Length": "٣"},
        {"Upload-Length": "9" * 19},
        {"Upload-Length": "10", "Upload-Metadata": ","},
        {"Upload-Length": "10", "Upload-Metadata": "a YQ==,a YQ=="},
        {"Upload-Length": "10", "Upload-Metadata": "filename not-base64"},
        {"Upload-Length": "10", "Upload-Metadata": "filename /w=="},
        {"Upload-Length": "10", "Upload-Metadata": f"filename {b64('..')}"},
        {"Upload-Length": "10", "Upload-Metadata": f"sha256 {b64('abc')}"},
        {"Upload-Length": "10", "Upload-Metadata": "x" * 5000},
        {"Upload-Length": "10", "Upload-Concat": "whole"},
        {"Upload-Length": "10", "Upload-Checksum": "sha512 YQ=="},
    ],
)
def test_p10_what_is_malformed_is_400_and_creates_nothing(
    ask: Ask, headers: dict[str, str]
) -> None:
    answer = ask("POST /files/", V | headers)
    assert fits(answer, 400, Location=None)
    assert answer["Content-Type"] == "application/problem+json"
    assert not FileSession.objects.exists()


@pytest.mark.parametrize(
    ("metadata", "filename", "mime_type"),
    [
        (f"filename {b64('a.txt')},filetype {b64('text/plain')}", "a.txt", "text/plain"),
        (f"name {b64('b.png')},type {b64('image/png')}", "b.png", "image/png"),
        (f"name {b64('no')},filename {b64('yes')}", "yes", ""),
        (f"filename,name {b64('fallen back')}", "fallen back", ""),
        (f"filename {b64('Übung 1.pdf')}", "Übung 1.pdf", ""),
        (f"filetype {b64('no type')},is_draft", "unnamed", ""),
        ("", "unnamed", ""),
    ],
)
def test_metadata_is_understood_and_given_back(
    ask: Ask, create: Create, metadata: str, filename: str, mime_type: str
) -> None:
    path = create(10, Upload_Metadata=metadata)
    assert (row(path).filename, row(path).mime_type) == (filename, mime_type)
    assert fits(ask(f"HEAD {path}"), 200, Upload_Metadata=metadata or None)


def test_a_declared_sha256_is_what_the_file_must_have(create: Create, patch: Ask) -> None:
    path = create(5, Upload_Metadata=f"sha256 {b64(sha256(b'hello'))}")
    assert fits(patch(path, 0, b"hello"), 204, Upload_Offset="5")
    assert row(path).status == "completed"


def test_another_sha256_than_declared_fails_the_upload(
    ask: Ask, create: Create, patch: Ask
) -> None:
    path = create(5, Upload_Metadata=f"sha256 {b64(sha256(b'hello'))}")
    patch(path, 0, b"HELLO")
    assert row(path).status == "failed"
    assert fits(ask(f"HEAD {path}"), 410, Upload_Offset=None)


def test_a_file_that_is_here_already_is_not_sent_again(
    create: Create, ask: Ask, patch: Ask
) -> None:
    """Who declares the hash is told by the offset that there is nothing to send."""
    declared = {"Upload_Metadata": f"filename {b64('f')},sha256 {b64(sha256(b'hello'))}"}
    path = create(5, **declared)
    patch(path, 0, b"hello")
    said = V | {"Upload-Length": "5", "Upload-Metadata": declared["Upload_Metadata"]}
    assert fits(ask("POST /files/", said), 201, Upload_Offset="5")


# Creation with upload.


def test_the_first_bytes_may_come_along(ask: Ask) -> None:
    said = V | {"Upload-Length": "10", "Content-Type": BODY}
    answer = ask("POST /files/", said, b"hello")
    assert fits(answer, 201, Upload_Offset="5")
    path = answer["Location"].removeprefix("http://testserver")
    assert fits(ask(f"HEAD {path}"), 200, Upload_Offset="5", Upload_Length="10")


def test_all_bytes_may_come_along(ask: Ask) -> None:
    answer = ask("POST /files/", V | {"Upload-Length": "5", "Content-Type": BODY}, b"hello")
    assert fits(answer, 201, Upload_Offset="5", Upload_Expires=answer.get("Upload-Expires"))
    path = answer["Location"].removeprefix("http://testserver")
    assert (row(path).status, content_of(row(path))) == ("completed", b"hello")


def test_bytes_that_come_along_have_the_type_of_bytes(ask: Ask) -> None:
    said = V | {"Upload-Length": "5", "Content-Type": "text/plain"}
    assert fits(ask("POST /files/", said, b"hello"), 415, Location=None)
    assert not FileSession.objects.exists()


def test_more_bytes_than_the_file_has_are_refused(ask: Ask) -> None:
    said = V | {"Upload-Length": "4", "Content-Type": BODY}
    assert fits(ask("POST /files/", said, b"hello"), 400)
    assert [session.status for session in FileSession.objects.all()] == ["cancelled"]


# Deferred length.


def test_the_length_may_come_later_and_is_fixed_then(ask: Ask, create: Create, patch: Ask) -> None:
    path = create(None)
    assert fits(ask(f"HEAD {path}"), 200, Upload_Defer_Length="1", Upload_Length=None)
    assert fits(patch(path, 0, b"hel"), 204, Upload_Offset="3")
    assert fits(ask(f"HEAD {path}"), 200, Upload_Offset="3", Upload_Defer_Length="1")
    assert fits(patch(path, 3, b"l", Upload_Length="5"), 204, Upload_Offset="4")
    assert fits(ask(f"HEAD {path}"), 200, Upload_Length="5", Upload_Defer_Length=None)
    assert fits(patch(path, 4, b"o", Upload_Length="6"), 400)
    assert fits(patch(path, 4, b"o", Upload_Length="5"), 204, Upload_Offset="5")
    assert (row(path).status, content_of(row(path))) == ("completed", b"hello")


def test_the_length_may_come_after_the_last_byte(create: Create, patch: Ask) -> None:
    path = create(None)
    patch(path, 0, b"hello")
    assert row(path).status == "active"
    assert fits(patch(path, 5, b"", Upload_Length="5"), 204, Upload_Offset="5")
    assert (row(path).status, content_of(row(path))) == ("completed", b"hello")


def test_a_deferred_length_of_nothing_completes(create: Create, patch: Ask) -> None:
    path = create(None)
    assert fits(patch(path, 0, b"", Upload_Length="0"), 204, Upload_Offset="0")
    assert row(path).status == "completed"


@pytest.mark.parametrize("length", ["4", "x", "-1"])
def test_a_length_that_cannot_be_leaves_it_deferred(
    ask: Ask, create: Create, patch: Ask, length: str
) -> None:
    path = create(None)
    assert fits(patch(path, 0, b"hello", Upload_Length=length), 400)
    assert fits(ask(f"HEAD {path}"), 200, Upload_Offset="0", Upload_Defer_Length="1")
