"""What the site logs of bad requests: enough to see them, too little to fill a disk."""

import io
import logging
from collections.abc import Iterator

import pytest
from django.test import Client


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What goes to the console of `django.security`."""
    handlers = logging.getLogger("django.security").handlers
    [handler] = [handler for handler in handlers if handler.name == "provoked"]
    assert isinstance(handler, logging.StreamHandler)
    text = io.StringIO()
    before = handler.setStream(text)
    yield text
    handler.setStream(before)


@pytest.mark.parametrize(
    ("query", "host", "said"),
    [
        ("", "evil.example", "Invalid HTTP_HOST header"),
        ("?" + "&".join(["a"] * 2000), "localhost", "DATA_UPLOAD_MAX_NUMBER_FIELDS"),
    ],
    ids=["an unknown host", "too many fields"],
)
def test_a_request_that_a_client_alone_has_made_bad_is_one_line_of_the_log(
    alice_client: Client, logged: io.StringIO, query: str, host: str, said: str
) -> None:
    response = alice_client.get(f"/{query}", headers={"Host": host})
    assert response.status_code == 400
    assert said in logged.getvalue()
    assert "Traceback" not in logged.getvalue()
