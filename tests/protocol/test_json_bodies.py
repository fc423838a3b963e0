"""P10: no JSON body, however malformed, makes anything but a clear refusal."""

import pytest
from django.test import Client

from .conftest import refused

URL = "/api/v1/uploads/handshake"
START = b'{"filename": "f", "size": '


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nonsense",
        b"[]",
        b"5",
        b'"text"',
        b"null",
        b"[" * 20_000,
        b'{"a":' * 8_000,
        START + b"NaN}",
        START + b"Infinity}",
        START + b"-Infinity}",
        START + b"1e999}",
        START + b"9" * 5_000 + b"}",
        b'{"filename": "\xff\xfe", "size": 1}',
        b"\xef\xbb\xbf" + START + b"1}",
        '{"filename": "f", "size": 1}'.encode("utf-16"),
        b"\x00" * 100,
        b'{"filename": "\x00", "size": 1}',
        b"{}",
    ],
    ids=lambda body: repr(body[:30]),
)
def test_a_malformed_body_is_400(alice_client: Client, body: bytes) -> None:
    response = alice_client.post(URL, body, "application/json")
    assert refused(response, 400, "invalid_request")


def test_a_body_over_its_bound_is_413(alice_client: Client) -> None:
    response = alice_client.post(URL, b" " * (64 * 1024 + 1), "application/json")
    assert refused(response, 413, "too_large")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "x"])
def test_another_content_type_is_415(alice_client: Client, kind: str) -> None:
    response = alice_client.post(URL, START + b"1}", kind)
    assert refused(response, 415, "unsupported_media_type")


def test_a_body_that_ends_early_is_400(alice_client: Client) -> None:
    response = alice_client.post(URL, START + b"1}", "application/json", CONTENT_LENGTH="28")
    assert response.status_code == 201
    response = alice_client.post(URL, b"", "application/json", CONTENT_LENGTH="x")
    assert refused(response, 400, "invalid_request")


def test_a_body_without_length_is_411(alice_client: Client) -> None:
    response = alice_client.post(
        URL, b"", "application/json", headers={"Transfer-Encoding": "chunked"}
    )
    assert refused(response, 411, "length_required")


def test_no_body_is_an_empty_object(alice_client: Client) -> None:
    response = alice_client.post(URL, b"", "application/json")
    assert refused(response, 400, "invalid_request")
    assert response.json()["field"] == "filename"
