"""PATCH: bytes at an offset (tus 1.0, section "PATCH")."""

from collections.abc import Callable
from unittest import mock
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.utils.http import parse_http_date
from pytest_django import Settings

from tests.support.bodies import payload
from tests.support.sessions import begin, content_of, fresh, send
from tests.support.tasks import run_tasks
from uploads import conf
from uploads.engine import appending
from uploads.engine.opening import Offer, open_session
from uploads.errors import StorageFull, StorageUnavailable
from uploads.models import Role
from uploads.protocols import bodies, fairness

from .conftest import BODY, Ask, V, fits, row

Create = Callable[..., str]
DATA = payload(250)


def test_bytes_come_in_where_the_upload_is(ask: Ask, create: Create, patch: Ask) -> None:
    path = create(10)
    assert fits(patch(path, 0, b"hello"), 204, Upload_Offset="5")
    answer = patch(path, 5, b"world")
    assert fits(answer, 204, Upload_Offset="10")
    assert answer.content == b""
    assert (row(path).status, content_of(row(path))) == ("completed", b"helloworld")


def test_each_answer_tells_when_the_upload_expires(ask: Ask, create: Create, patch: Ask) -> None:
    path = create(10)
    answer = patch(path, 0, b"hello")
    assert parse_http_date(answer["Upload-Expires"]) == int(row(path).expires_at.timestamp())
    assert ask(f"HEAD {path}")["Upload-Expires"] == answer["Upload-Expires"]


def test_nothing_more_is_no_error(create: Create, patch: Ask) -> None:
    path = create(5)
    assert fits(patch(path, 0, b""), 204, Upload_Offset="0")
    patch(path, 0, b"hello")
    assert fits(patch(path, 5, b""), 204, Upload_Offset="5")


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/octet-stream", "multipart/form-data"]
)
def test_another_type_of_body_is_415(ask: Ask, create: Create, kind: str) -> None:
    path = create(5)
    said = V | {"Upload-Offset": "0"} | ({"Content-Type": kind} if kind else {})
    assert fits(ask(f"PATCH {path}", said, b"hello"), 415)
    assert fits(ask(f"HEAD {path}"), 200, Upload_Offset="0")


@pytest.mark.parametrize("offset", [1, 2, 4, 5, 10, 999_999_999_999_999_999])
def test_another_offset_is_409_and_changes_nothing(
    ask: Ask, create: Create, patch: Ask, offset: int
) -> None:
    path = create(10)
    patch(path, 0, b"hel")
    assert fits(patch(path, offset, b"l"), 409, Upload_Offset=None)
    assert fits(ask(f"HEAD {path}"), 200, Upload_Offset="3")


def test_another_offset_of_a_complete_upload_is_409(create: Create, patch: Ask) -> None:
    path = create(5)
    patch(path, 0, b"hello")
    assert fits(patch(path, 0, b"hello"), 409)
    assert fits(patch(path, 5, b"more"), 409)


@pytest.mark.parametrize("offset", ["", "-1", "+1", "1.0", "x", "٣", "9" * 19])
def test_p10_a_malformed_offset_is_400(create: Create, patch: Ask, offset: str) -> None:
    assert fits(patch(create(10), offset, b"x"), 400)


def test_an_offset_is_needed(ask: Ask, create: Create) -> None:
    assert fits(ask(f"PATCH {create(10)}", V | {"Content-Type": BODY}, b"x"), 400)


def test_more_bytes_than_the_file_has_are_400_and_change_nothing(
    ask: Ask, create: Create, patch: Ask
) -> None:
    path = create(4)
    assert fits(patch(path, 0, b"hello"), 400)
    assert fits(ask(f"HEAD {path}"), 200, Upload_Offset="0")


def test_an_unknown_upload_is_404(patch: Ask) -> None:
    assert fits(patch(f"/files/{uuid4()}", 0, b"x"), 404)


def test_what_came_before_a_cut_is_kept_to_the_byte(ask: Ask, create: Create) -> None:
    path = create(10)
    said = V | {"Content-Type": BODY, "Upload-Offset": "0"}
    assert fits(ask(f"PATCH {path}", said, b"hel", declared=10), 400)
    assert fits(ask(f"HEAD {path}"), 200, Upload_Offset="3")
    assert fits(ask(f"PATCH {path}", said | {"Upload-Offset": "3"}, b"loworld"), 204)
    assert content_of(row(path)) == b"helloworld"


def test_a_browsers_patch_without_a_body_says_nothing_of_its_length(
    ask: Ask, create: Create, patch: Ask
) -> None:
    path = create(None)
    patch(path, 0, b"hello")
    said = V | {"Content-Type": BODY, "Upload-Offset": "5", "Upload-Length": "5"}
    assert fits(ask(f"PATCH {path}", said, declared=""), 204, Upload_Offset="5")
    assert row(path).status == "completed"


# Bodies without a length.


def test_a_body_without_length_is_taken(ask: Ask, create: Create) -> None:
    path = create(10)
    said = V | {"Content-Type": BODY, "Upload-Offset": "0"}
    assert fits(ask(f"PATCH {path}", said, b"hello", declared=None), 204, Upload_Offset="5")
    said["Upload-Offset"] = "5"
    assert fits(ask(f"PATCH {path}", said, b"world", declared=None), 204, Upload_Offset="10")
    assert content_of(row(path)) == b"helloworld"


def test_a_body_without_length_for_an_upload_without(ask: Ask, create: Create) -> None:
    path = create(None)
    said = V | {"Content-Type": BODY, "Upload-Offset": "0"}
    assert fits(ask(f"PATCH {path}", said, b"hello", declared=None), 204, Upload_Offset="5")


def test_of_a_body_that_goes_on_what_there_is_room_for_is_kept(ask: Ask, create: Create) -> None:
    path = create(5)
    said = V | {"Content-Type": BODY, "Upload-Offset": "0"}
    assert fits(ask(f"PATCH {path}", said, b"hello world", declared=None), 413)
    assert fits(ask(f"HEAD {path}"), 200, Upload_Offset="5")


def test_a_creation_may_have_a_body_without_length(ask: Ask) -> None:
    said = V | {"Content-Type": BODY, "Upload-Length": "10"}
    assert fits(ask("POST /files/", said, b"hello", declared=None), 201, Upload_Offset="5")


# What will pass.


def test_no_place_for_a_body_is_423(create: Create, patch: Ask, settings: Settings) -> None:
    settings.UPLOADS = conf.given(MAX_READERS=1)
    path = create(10)
    with bodies.reader_slot():
        answer = patch(path, 0, b"x")
    assert fits(answer, 423, Retry_After="2")


def test_too_many_requests_of_one_person_are_423_and_never_429(
    create: Create, patch: Ask, settings: Settings
) -> None:
    """tus-js-client never sends a PATCH again that was answered by 429."""
    settings.UPLOADS = conf.given(MAX_BYTES_PER_USER=4)
    path = create(100)
    with mock.patch.object(fairness, "_shares", {row(path).owner_id: fairness._Share(1, 0, 1)}):
        assert fits(patch(path, 0, b"hello"), 423, Retry_After="1")


@pytest.mark.parametrize(
    ("error", "status"), [(StorageUnavailable("away"), 423), (StorageFull("full"), 507)]
)
def test_a_disk_that_refuses_loses_nothing(
    ask: Ask, create: Create, patch: Ask, error: Exception, status: int
) -> None:
    path = create(10)
    patch(path, 0, b"hel")
    with mock.patch.object(appending, "incoming_chunk", side_effect=error):
        assert fits(patch(path, 3, b"lo"), status)
    assert fits(patch(path, 3, b"lo"), 204, Upload_Offset="5")


# Other protocols.


def test_an_upload_begun_in_the_browser_is_gone_on_with(ask: Ask, patch: Ask, alice: User) -> None:
    session = begin(alice, DATA)
    send(session, 0, DATA[:100])
    path = f"/files/{session.pk}"
    assert fits(ask(f"HEAD {path}"), 200, Upload_Offset="100", Upload_Length="250")
    assert fits(patch(path, 100, DATA[100:]), 204, Upload_Offset="250")
    run_tasks()
    assert content_of(fresh(session)) == DATA


def test_the_last_byte_completes_what_another_protocol_began_without_a_hash(
    patch: Ask, alice: User
) -> None:
    session = begin(alice, DATA, sha256="")
    assert fits(patch(f"/files/{session.pk}", 0, DATA), 204, Upload_Offset="250")
    assert content_of(fresh(session)) == DATA


def test_chunks_that_came_in_ahead_are_passed_over(patch: Ask, alice: User) -> None:
    """PATCH goes by its offset and its bytes; the answer tells where to go on."""
    session = begin(alice, DATA)
    send(session, 1, DATA[100:200])
    path = f"/files/{session.pk}"
    assert fits(patch(path, 0, DATA[:100]), 204, Upload_Offset="200")
    assert fits(patch(path, 200, DATA[200:]), 204, Upload_Offset="250")
    assert content_of(fresh(session)) == DATA


def test_chunks_that_came_in_ahead_with_other_bytes_are_409(patch: Ask, alice: User) -> None:
    session = begin(alice, DATA)
    send(session, 1, b"y" * 100)
    assert fits(patch(f"/files/{session.pk}", 0, DATA), 409)


def test_a_stream_completes_whoever_sends_its_last_chunk(alice: User) -> None:
    offer = Offer("f", 150, chunk_size=100, role=Role.STREAM)
    session = open_session(alice, offer)[1]
    send(session, 1, b"b" * 50)
    assert fresh(session).status == "active"
    send(session, 0, b"a" * 100)
    assert fresh(session).status == "assembling"
