"""E1, E4, E6, E7: the addresses to which the edit page of a collection sends its file."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import AbstractBaseUser, User
from django.http import HttpRequest
from django.test import Client
from django.urls import path
from django.utils import timezone
from pytest_django import Settings

from examples.topic_collections.models import TopicCollection
from uploads.engine.admitting import Admission
from uploads.models import FileSession
from uploads.protocols.chunked_upload import bound

from .conftest import NEW, complete_url, edit_url, md5, send_piece, upload_url

DATA = NEW.encode() * 1000
HALF = len(DATA) // 2


def code(answer: Any, status: int = 400) -> str:
    assert answer.status_code == status, answer.content
    return str(answer.json()["code"])


def test_e6_pieces_and_their_md5_make_an_upload_for_this_form(
    alice_client: Client, collection: TopicCollection
) -> None:
    url = upload_url(collection)
    rest = f"bytes {HALF}-{len(DATA) - 1}/{len(DATA)}"
    first = send_piece(alice_client, url, DATA[:HALF], offset=0)
    assert first.json()["offset"] == HALF
    upload_id = first.json()["upload_id"]
    second = send_piece(alice_client, url, DATA[HALF:], upload_id=upload_id, content_range=rest)
    assert second.json()["offset"] == len(DATA)
    fields = {"upload_id": upload_id, "md5": md5(DATA)}
    assert alice_client.post(complete_url(collection), fields).status_code == 200
    session = FileSession.objects.get(pk=upload_id)
    assert session.scope.endswith(f"|topic_collections.topiccollection:{collection.pk}")
    assert "|custom_seeds_upload_id|" in session.scope


def test_e6_both_readings_of_the_address_of_the_end_work(
    alice_client: Client, collection: TopicCollection
) -> None:
    upload_id = send_piece(alice_client, upload_url(collection), DATA).json()["upload_id"]
    fields = {"upload_id": upload_id, "md5": md5(DATA)}
    answer = alice_client.post(f"{upload_url(collection)}/complete", fields)
    assert answer.status_code == 200


def test_e6_a_wrong_md5_completes_nothing(
    alice_client: Client, collection: TopicCollection
) -> None:
    upload_id = send_piece(alice_client, upload_url(collection), DATA).json()["upload_id"]
    fields = {"upload_id": upload_id, "md5": md5(b"other")}
    assert code(alice_client.post(complete_url(collection), fields)) == "digest_mismatch"


def test_e6_a_refused_offset_is_told_where_the_upload_goes_on(
    alice_client: Client, collection: TopicCollection
) -> None:
    url = upload_url(collection)
    upload_id = send_piece(alice_client, url, DATA[:HALF], offset=0).json()["upload_id"]
    answer = send_piece(alice_client, url, DATA[HALF:], upload_id=upload_id, offset=HALF + 1)
    assert code(answer) == "offset_mismatch"
    assert answer.json()["offset"] == HALF


def test_p9_another_users_collection_takes_nothing(
    bob_client: Client, collection: TopicCollection
) -> None:
    assert code(send_piece(bob_client, upload_url(collection), DATA), 404) == "not_found"
    fields = {"upload_id": "0" * 32, "md5": md5(DATA)}
    assert code(bob_client.post(complete_url(collection), fields), 404) == "not_found"
    assert not FileSession.objects.exists()


def test_who_is_not_signed_in_sends_nothing(collection: TopicCollection) -> None:
    assert code(send_piece(Client(), upload_url(collection), DATA), 403) == "not_authenticated"


def test_a_form_without_its_csrf_token_sends_nothing(
    alice: User, collection: TopicCollection
) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    assert code(send_piece(client, upload_url(collection), DATA), 403) == "csrf_failed"
    assert not FileSession.objects.exists()


def test_e3_an_upload_for_another_collection_is_not_found_at_this_ones_addresses(
    alice: User, alice_client: Client, collection: TopicCollection
) -> None:
    other = TopicCollection.objects.create(title="Other", curator=alice)
    answer = send_piece(alice_client, upload_url(other), DATA[:HALF], offset=0)
    upload_id = answer.json()["upload_id"]
    url = upload_url(collection)
    answer = send_piece(alice_client, url, DATA[HALF:], upload_id=upload_id, offset=HALF)
    assert code(answer, 404) == "session_not_found"
    fields = {"upload_id": upload_id, "md5": md5(DATA[:HALF])}
    assert code(alice_client.post(complete_url(collection), fields), 404) == "session_not_found"
    assert FileSession.objects.get(pk=upload_id).offset == HALF


def test_e3_an_upload_for_nothing_in_particular_is_not_found_at_them(
    alice_client: Client, collection: TopicCollection
) -> None:
    general = "/api/chunked-upload/"
    upload_id = send_piece(alice_client, general, DATA[:HALF], offset=0).json()["upload_id"]
    url = upload_url(collection)
    answer = send_piece(alice_client, url, DATA[HALF:], upload_id=upload_id, offset=HALF)
    assert code(answer, 404) == "session_not_found"


def test_an_upload_of_the_form_goes_on_over_any_other_protocol(
    alice_client: Client, collection: TopicCollection
) -> None:
    url = upload_url(collection)
    upload_id = send_piece(alice_client, url, DATA[:HALF], offset=0).json()["upload_id"]
    general = "/api/chunked-upload/"
    answer = send_piece(alice_client, general, DATA[HALF:], upload_id=upload_id, offset=HALF)
    assert answer.json()["offset"] == len(DATA)


@pytest.mark.parametrize(
    "given",
    [
        {"name": "seeds.csv"},
        {"name": "seeds.txt.exe"},
        {"kind": "text/html"},
        {"kind": "image/png"},
    ],
)
def test_e4_only_texts_are_taken(
    alice_client: Client, collection: TopicCollection, given: dict[str, str]
) -> None:
    answer = send_piece(alice_client, upload_url(collection), DATA, **given)
    assert code(answer) == "type_not_allowed"
    assert not FileSession.objects.exists()


@pytest.mark.parametrize(
    "given", [{"kind": "application/octet-stream"}, {"kind": ""}, {"name": "SEEDS.TXT"}]
)
def test_e4_what_browsers_make_of_texts_is_taken(
    alice_client: Client, collection: TopicCollection, given: dict[str, str]
) -> None:
    answer = send_piece(alice_client, upload_url(collection), DATA, **given)
    assert answer.status_code == 200


def test_e4_more_bytes_than_allowed_are_refused_however_they_come(
    alice_client: Client, collection: TopicCollection, settings: Settings
) -> None:
    settings.CHUNKED_UPLOAD_MAX_BYTES = HALF + 1
    url = upload_url(collection)
    # Said before, at once, and as more and more.
    declared = f"bytes 0-9/{HALF + 2}"
    assert code(send_piece(alice_client, url, DATA[:10], content_range=declared)) == "too_large"
    assert code(send_piece(alice_client, url, DATA[: HALF + 2])) == "too_large"
    upload_id = send_piece(alice_client, url, DATA[:HALF], offset=0).json()["upload_id"]
    assert not FileSession.objects.exclude(pk=upload_id).exists()
    answer = send_piece(alice_client, url, b"xx", upload_id=upload_id, offset=HALF)
    assert code(answer) == "too_large"
    answer = send_piece(alice_client, url, b"x", upload_id=upload_id, offset=HALF)
    assert answer.json()["offset"] == HALF + 1


def test_e4_the_limit_is_that_of_the_issue_unless_the_environment_says_otherwise(
    settings: Settings,
) -> None:
    assert settings.CHUNKED_UPLOAD_MAX_BYTES == 524_288_000
    assert timedelta(seconds=86_400) == settings.CHUNKED_UPLOAD_EXPIRATION_DELTA
    assert settings.DATA_UPLOAD_MAX_MEMORY_SIZE == 10 * 1024 * 1024


def test_e7_large_bodies_come_in_at_upload_addresses_only(
    alice_client: Client, collection: TopicCollection, settings: Settings
) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    assert send_piece(alice_client, upload_url(collection), b"x" * 2000).status_code == 200
    answer = alice_client.post("/collections/", {"title": "x" * 2000})
    assert answer.status_code == 400
    # The edit page may have a file, without JavaScript; its fields are as small as all are.
    answer = alice_client.post(edit_url(collection), {"title": "x" * 2000})
    assert answer.status_code == 400


def _admit(request: HttpRequest, user: AbstractBaseUser) -> Admission:
    return Admission("a form")


_brief = bound(_admit, lifetime=timedelta(hours=1))
urlpatterns = [path("brief", _brief.upload), path("brief/complete", _brief.complete)]


@pytest.mark.urls(__name__)
def test_e7_an_upload_goes_on_for_its_lifetime_only(alice_client: Client) -> None:
    body = send_piece(alice_client, "/brief", DATA[:HALF], offset=0).json()
    session = FileSession.objects.get(pk=body["upload_id"])
    assert body["expires"] == (session.created_at + timedelta(hours=1)).isoformat()
    assert session.expires_at > session.created_at + timedelta(hours=2)
    FileSession.objects.update(created_at=timezone.now() - timedelta(hours=1, seconds=1))
    rest = {"offset": HALF, "upload_id": body["upload_id"]}
    assert code(send_piece(alice_client, "/brief", DATA[HALF:], **rest), 410) == "session_expired"
    end = {"md5": md5(DATA[:HALF]), "upload_id": body["upload_id"]}
    assert code(alice_client.post("/brief/complete", end), 410) == "session_expired"
