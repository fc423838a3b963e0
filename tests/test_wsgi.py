"""config.wsgi: a Content-Type that Django can't make sense of is that of unknown bytes (P10)."""

import io
import json
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

# Each request ends its connection, as on a server.
pytestmark = pytest.mark.django_db(transaction=True)

FORM = "application/x-www-form-urlencoded"


def post(path: str, content_type: str, body: bytes, **environ: str) -> tuple[int, bytes]:
    """Status and body of the answer; neither Django's test client nor a server is between."""
    request: dict[str, Any] = {}
    setup_testing_defaults(request)
    request |= {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "CONTENT_TYPE": content_type,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        **environ,
    }
    statuses = []

    def start_response(status: str, headers: list[tuple[str, str]]) -> None:
        statuses.append(int(status.split(maxsplit=1)[0]))

    # Not before there is a folder of static files: it is looked at once.
    from config.wsgi import application

    answer = b"".join(application(request, start_response))
    [status] = statuses
    return status, answer


UNKNOWN = [
    "{}; x*=bogus''x",
    "{}; charset=rot13",
    "{}; charset=hex",
    "{}; charset=bogus",
    "{}; charset*=utf-8''rot13",
    '{}; charset="zip"',
    "{}; charset=\xff",
    "{}; x*=utf-8''%ff; charset=undefined",
]


@pytest.mark.parametrize("kind", UNKNOWN)
def test_p10_a_malformed_content_type_is_refused_not_an_error(alice_token: str, kind: str) -> None:
    status, body = post(
        "/api/v1/uploads/handshake",
        kind.format("application/json"),
        b'{"filename": "f", "size": 10}',
        HTTP_AUTHORIZATION=f"Bearer {alice_token}",
    )
    assert (status, json.loads(body)["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("kind", UNKNOWN)
@pytest.mark.parametrize("form", [FORM, "multipart/form-data; boundary=b"])
def test_p10_a_malformed_content_type_of_django_s_own_forms_is_no_error(
    kind: str, form: str
) -> None:
    assert post("/sign-in/", kind.format(form), b"username=a")[0] < 500


@pytest.mark.parametrize(
    "kind",
    ["application/json", "application/json; charset=UTF-8", 'application/json;charset="utf-8"'],
)
def test_a_sound_content_type_passes(alice_token: str, kind: str) -> None:
    status, body = post(
        "/api/v1/uploads/handshake",
        kind,
        b'{"filename": "f", "size": 10}',
        HTTP_AUTHORIZATION=f"Bearer {alice_token}",
    )
    assert (status, json.loads(body)["status"]) == (201, "created")
