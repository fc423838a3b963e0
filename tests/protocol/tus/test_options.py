"""OPTIONS: what the server can (tus 1.0, section "OPTIONS"), and versions."""

import pytest
from django.test import Client
from pytest_django import Settings

from uploads import conf

from .conftest import Ask, V, fits


def test_options_tells_version_extensions_size_and_algorithms(ask: Ask) -> None:
    answer = ask("OPTIONS /files/", {}, client=Client())
    assert fits(
        answer,
        204,
        Tus_Version="1.0.0",
        Tus_Extension="creation,creation-with-upload,creation-defer-length,expiration,checksum,"
        "termination,concatenation,concatenation-unfinished",
        Tus_Max_Size="1099511627776",
        Tus_Checksum_Algorithm="sha1,md5,sha256,crc32,blake3",
    )
    assert answer.content == b""


def test_options_tells_the_size_that_is_set(ask: Ask, settings: Settings) -> None:
    settings.UPLOADS = conf.given(MAX_FILE_SIZE=1000)
    assert fits(ask("OPTIONS /files/", {}), 204, Tus_Max_Size="1000")


@pytest.mark.parametrize(
    "path",
    ["/files", "/files/", "/files/00000000-0000-0000-0000-000000000000", "/files/x", "/files/x/y"],
)
def test_options_needs_no_version_and_nobody_signed_in(ask: Ask, path: str) -> None:
    assert fits(ask(f"OPTIONS {path}", {}, client=Client()), 204, Tus_Version="1.0.0")
    assert fits(ask(f"OPTIONS {path}", {"Tus-Resumable": "7"}, client=Client()), 204)


@pytest.mark.parametrize("version", [None, "", "0.2.2", "1.0", "1.0.1", "2.0.0", "1.0.0, 1.0.0"])
@pytest.mark.parametrize("method", ["POST", "HEAD", "PATCH", "DELETE"])
def test_another_version_is_412_and_nothing_is_processed(
    ask: Ask, create: Ask, method: str, version: str | None
) -> None:
    path = "/files/" if method == "POST" else create(10)
    said = {} if version is None else {"Tus-Resumable": version}
    answer = ask(f"{method} {path}", said | {"Upload-Length": "10"})
    assert fits(answer, 412, Tus_Version="1.0.0", Upload_Offset=None, Location=None)
    if method != "POST":
        assert fits(ask(f"HEAD {path}"), 200, Upload_Offset="0")


def test_who_is_not_signed_in_is_401_with_the_version(ask: Ask) -> None:
    answer = ask("POST /files/", V | {"Upload-Length": "10"}, client=Client())
    assert fits(answer, 401, WWW_Authenticate='Bearer realm="uploads"')


def test_a_token_is_enough(ask: Ask, alice_token: str) -> None:
    bearer = V | {"Authorization": f"Bearer {alice_token}", "Upload-Length": "10"}
    answer = ask("POST /files/", bearer, client=Client())
    assert answer.status_code == 201


def test_a_cookie_needs_its_csrf_token(ask: Ask, alice_client: Client) -> None:
    alice_client.handler.enforce_csrf_checks = True
    said = V | {"Upload-Length": "10"}
    assert fits(ask("POST /files/", said), 403)
    alice_client.cookies["csrftoken"] = "a" * 32
    assert fits(ask("POST /files/", said | {"X-CSRFToken": "a" * 32}), 201)


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "PATCH", "DELETE"])
def test_other_methods_are_405_with_those_that_there_are(ask: Ask, method: str) -> None:
    assert fits(ask(f"{method} /files/"), 405, Allow="POST, OPTIONS")


def test_an_upload_takes_no_post(ask: Ask, create: Ask) -> None:
    assert fits(ask(f"POST {create(10)}"), 405, Allow="HEAD, PATCH, DELETE, OPTIONS")


def test_the_method_that_is_meant_wins(ask: Ask, create: Ask) -> None:
    path = create(5)
    meant = V | {"X-HTTP-Method-Override": "PATCH", "Upload-Offset": "0"}
    meant["Content-Type"] = "application/offset+octet-stream"
    assert fits(ask(f"POST {path}", meant, b"hello"), 204, Upload_Offset="5")
    assert fits(ask(f"GET {path}", V | {"X-HTTP-Method-Override": "HEAD"}), 200, Upload_Offset="5")
    assert fits(ask(f"POST {path}", V | {"X-HTTP-Method-Override": "delete"}), 204)
    assert fits(ask(f"PATCH {path}", {"X-HTTP-Method-Override": "OPTIONS"}), 204)


@pytest.mark.parametrize("path", ["/files/x", "/files/00000000-0000-0000-0000-00000000000g"])
@pytest.mark.parametrize("method", ["HEAD", "PATCH", "DELETE"])
def test_an_address_that_is_none_is_404(ask: Ask, path: str, method: str) -> None:
    assert fits(ask(f"{method} {path}"), 404)
