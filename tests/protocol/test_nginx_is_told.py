"""X-Accel-Redirect: to nginx alone, for what it would answer as we do. What it makes of that:
tests/server/test_nginx.py.
"""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from tests.support.bodies import SMALL_CHUNK, sha256
from uploads import conf
from uploads.models import StoredFile
from uploads.protocols.downloads import ACCEL, SENDFILE

from .conftest import CHUNKS, DATA, Answer, Begin, Put, refused

PREFIX = "/protected-uploads/"
NGINX = {SENDFILE: ACCEL}
ETAG = f'"{sha256(DATA)}"'


@pytest.fixture
def behind_nginx(settings: Settings, upload_root: Path) -> None:
    setattr(settings, conf.SETTING, {"ROOT": upload_root, "ACCEL_PREFIX": PREFIX})


def body(answer: Answer) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=0-9"}, {"If-None-Match": '"another"'}])
def test_nginx_is_told_the_path_by_hash_and_id(
    behind_nginx: None, alice_client: Client, completed: dict[str, Any], headers: dict[str, str]
) -> None:
    answer = alice_client.get(completed["urls"]["content"], headers={**NGINX, **headers})
    stored = StoredFile.objects.get()
    assert (answer.status_code, body(answer)) == (200, b"")
    assert answer[ACCEL] == f"{PREFIX}{stored.sha256}/{stored.pk}"
    assert answer["ETag"] == ETAG
    assert answer["Content-Disposition"] == 'attachment; filename="file.bin"'


def test_without_the_setting_no_client_gets_the_header_by_asking(
    alice_client: Client, completed: dict[str, Any]
) -> None:
    answer = alice_client.get(completed["urls"]["content"], headers=NGINX)
    assert ACCEL not in answer
    assert body(answer) == DATA


def test_with_the_setting_who_comes_without_nginx_gets_the_bytes(
    behind_nginx: None, alice_client: Client, completed: dict[str, Any]
) -> None:
    for said in ({}, {SENDFILE: ""}, {SENDFILE: "X-Sendfile"}):
        answer = alice_client.get(completed["urls"]["content"], headers=said)
        assert ACCEL not in answer
        assert body(answer) == DATA


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-Match": ETAG}, 200),
        ({"If-Unmodified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}, 200),
        ({"Range": "bytes=0-0,5-9"}, 200),
        ({"Range": "bytes=5-1"}, 200),
        ({"Range": "bytes=5-9", "If-Range": '"another"'}, 200),
        ({"Range": "bytes=5-9", "If-Match": ETAG}, 206),
        ({"Range": f"bytes=5-{'9' * 19}"}, 206),
        ({"If-None-Match": ETAG}, 304),
        ({"If-Match": '"another"'}, 412),
        ({"Range": f"bytes={len(DATA)}-"}, 416),
    ],
    ids=str,
)
def test_what_nginx_would_answer_otherwise_is_answered_here(
    behind_nginx: None,
    alice_client: Client,
    completed: dict[str, Any],
    headers: dict[str, str],
    status: int,
) -> None:
    answer = alice_client.get(completed["urls"]["content"], headers={**NGINX, **headers})
    assert answer.status_code == status
    assert ACCEL not in answer
    if status == 200:
        assert body(answer) == DATA


def test_head_and_every_refusal_are_answered_here(
    behind_nginx: None, alice_client: Client, bob_client: Client, completed: dict[str, Any]
) -> None:
    url = completed["urls"]["content"]
    head = alice_client.head(url, headers=NGINX)
    assert (head["Content-Length"], ACCEL in head) == (str(len(DATA)), False)
    assert refused(bob_client.get(url, headers=NGINX), 404, "session_not_found")
    assert refused(Client().get(url, headers=NGINX), 401, "not_authenticated")
    StoredFile.objects.update(state=StoredFile.State.DAMAGED)
    assert refused(alice_client.get(url, headers=NGINX), 409, "content_damaged")


@pytest.mark.parametrize("change", ["gone", "longer"])
def test_p1_what_is_not_there_as_it_was_is_not_left_to_nginx(
    behind_nginx: None,
    alice_client: Client,
    completed: dict[str, Any],
    upload_root: Path,
    change: str,
) -> None:
    [path] = [path for path in (upload_root / "content").rglob("*") if path.is_file()]
    if change == "gone":
        path.unlink()
    else:
        path.write_bytes(DATA + b"x")
    answer = alice_client.get(completed["urls"]["content"], headers=NGINX)
    assert refused(answer, 409, "content_damaged")
    assert ACCEL not in answer


def test_a_name_never_becomes_a_path_and_nginx_needs_no_place_to_wait(
    settings: Settings, upload_root: Path, alice_client: Client, begin: Begin, put: Put
) -> None:
    given = {"ROOT": upload_root, "ACCEL_PREFIX": PREFIX, "MAX_DOWNLOADS": 1}
    setattr(settings, conf.SETTING, given)
    session = begin(filename="\u00fc %2e%2e? #.html", mime_type="text/html")
    for index, chunk in enumerate(CHUNKS):
        put(session, index, chunk)
    url = session["urls"]["content"]
    waiting: Any = alice_client.get(url)
    assert next(iter(waiting.streaming_content)) == DATA[: 2 * SMALL_CHUNK][:65536]
    answer = alice_client.get(url, headers=NGINX)
    assert answer[ACCEL].removeprefix(PREFIX).replace("-", "").replace("/", "").isalnum()
    waiting.close()


@pytest.mark.parametrize("reads", [True, False])
def test_only_behind_nginx_may_the_group_read_content_and_never_staging(
    reads: bool, settings: Settings, upload_root: Path, begin: Begin, put: Put
) -> None:
    prefix = PREFIX if reads else ""
    setattr(settings, conf.SETTING, {"ROOT": upload_root, "ACCEL_PREFIX": prefix})
    session = begin()
    [folder] = (upload_root / "staging").iterdir()
    assert folder.stat().st_mode & 0o077 == 0
    for index, chunk in enumerate(CHUNKS):
        put(session, index, chunk)
    [path] = [path for path in (upload_root / "content").rglob("*") if path.is_file()]
    assert path.stat().st_mode & 0o777 == (0o640 if reads else 0o600)
