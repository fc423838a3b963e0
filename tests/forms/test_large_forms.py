"""Forms that are larger than forms are: taken where a view says so, of those who are signed in."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import Settings

from tests.support.bodies import payload, sha256
from uploads.core.plan import MIB
from uploads.protocols import bodies

DATA = payload(3 * MIB)


@pytest.fixture(autouse=True)
def pages(settings: Settings) -> None:
    settings.ROOT_URLCONF = "tests.forms.urls"
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * MIB


def post(client: Client, address: str) -> Any:
    return client.post(address, {"report-file": SimpleUploadedFile("a.bin", DATA)})


def test_a_plain_file_of_any_size_is_taken_by_a_form_with_the_field(alice_client: Client) -> None:
    answer = post(alice_client, "/large/")
    assert answer.content.decode() == sha256(DATA)


def test_of_who_is_not_signed_in_no_large_form_is_read(client: Client) -> None:
    assert post(client, "/large/").status_code == 400


def test_other_forms_stay_small(alice_client: Client) -> None:
    assert post(alice_client, "/small/").status_code == 400


def test_p5_large_forms_have_their_sender_s_share_and_wait_beside_the_small_ones(
    alice_client: Client, settings: Settings
) -> None:
    settings.UPLOADS = {**settings.UPLOADS, "MAX_READERS": 1}
    # As a server has it: what a middleware raises is a page.
    alice_client.raise_request_exception = False
    with bodies.reader_slot():
        assert post(alice_client, "/large/").status_code == 503
        assert alice_client.post("/small/", {"a": "b"}).status_code == 200
    assert post(alice_client, "/large/").status_code == 200


def test_a_project_without_a_limit_has_none(alice_client: Client, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = None
    assert post(alice_client, "/small/").status_code == 200


def test_files_beyond_the_server_s_limit_are_not_read(
    alice_client: Client, settings: Settings
) -> None:
    settings.UPLOADS = {**settings.UPLOADS, "MAX_FILE_SIZE": MIB // 2}
    assert post(alice_client, "/large/").status_code == 400


@pytest.mark.parametrize("length", ["abc", "-1", "1e9", "9" * 5000])
def test_p10_a_length_that_is_none_is_no_error_of_the_server(
    alice_client: Client, length: str
) -> None:
    assert alice_client.post("/small/", {"a": "b"}, CONTENT_LENGTH=length).status_code < 500
