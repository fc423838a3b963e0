"""Pages that say what went wrong, to whoever has sent whatever form (P10)."""

from typing import Any

import pytest
from django.http import HttpRequest
from django.test import Client

#: A part of a form with a head that no parser takes.
NO_FORM = (
    b"--b\r\nContent-Disposition: form-data; name=a\r\nX: "
    + b"a" * 70_000
    + b"\r\n\r\n1\r\n--b--\r\n"
)


def post(path: str, **given: Any) -> Any:
    """A form of who has some CSRF cookie, which costs nothing to make up."""
    client = Client(enforce_csrf_checks=True)
    client.cookies["csrftoken"] = "c" * 32
    return client.post(path, NO_FORM, "multipart/form-data; boundary=b", **given)


@pytest.mark.parametrize("path", ["/nothing/here/", "/collections/inte~rnal/3/", "/static/x"])
def test_p10_an_address_that_is_none_is_missing_whatever_is_sent_there(db: None, path: str) -> None:
    response = post(path)
    assert response.status_code == 404
    assert "There is nothing here" in response.text


@pytest.mark.parametrize(
    ("path", "host", "status"), [("/nothing/", "localhost", 404), ("/", "evil.example", 400)]
)
def test_p8_a_form_to_nowhere_is_not_taken_in(
    db: None, monkeypatch: pytest.MonkeyPatch, path: str, host: str, status: int
) -> None:
    """Its files would be put on the disk, of anybody and of any size."""

    def refuse(self: HttpRequest) -> None:
        raise AssertionError("the form was read")

    monkeypatch.setattr(HttpRequest, "_load_post_and_files", refuse)
    response = post(path, headers={"Host": host})
    assert response.status_code == status
    assert "Holdfast</title>" in response.text
