"""Upload-Checksum (tus 1.0, section "Checksum")."""

import base64
import hashlib
import zlib
from collections.abc import Callable

import pytest
from blake3 import blake3

from tests.support.sessions import content_of

from .conftest import BODY, Ask, V, fits, row

Create = Callable[..., str]
HELLO = b"hello"
VALUES = {
    "sha1": hashlib.sha1(HELLO).digest(),
    "md5": hashlib.md5(HELLO).digest(),
    "sha256": hashlib.sha256(HELLO).digest(),
    "crc32": zlib.crc32(HELLO).to_bytes(4, "big"),
    "blake3": blake3(HELLO).digest(),
}


def said(algorithm: str, value: bytes | None = None) -> dict[str, str]:
    encoded = base64.b64encode(VALUES[algorithm] if value is None else value).decode()
    return {"Upload_Checksum": f"{algorithm} {encoded}"}


each_algorithm = pytest.mark.parametrize("algorithm", list(VALUES))


@each_algorithm
def test_a_body_that_is_right_is_taken(create: Create, patch: Ask, algorithm: str) -> None:
    path = create(10)
    assert fits(patch(path, 0, HELLO, **said(algorithm)), 204, Upload_Offset="5")
    assert fits(patch(path, 5, HELLO, **said(algorithm)), 204, Upload_Offset="10")
    assert content_of(row(path)) == HELLO * 2


def test_the_example_of_the_specification(create: Create, patch: Ask) -> None:
    path = create(11)
    checksum = {"Upload_Checksum": "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0="}
    assert fits(patch(path, 0, b"hello world", **checksum), 204, Upload_Offset="11")


@each_algorithm
def test_a_body_that_is_wrong_is_460_and_leaves_the_offset(
    ask: Ask, create: Create, patch: Ask, algorithm: str
) -> None:
    path = create(10)
    assert fits(patch(path, 0, b"hellO", **said(algorithm)), 460, Upload_Offset=None)
    assert fits(ask(f"HEAD {path}"), 200, Upload_Offset="0")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "sha512 YQ==",
        "SHA1 qvTGHdzF6KLavt4PO0gs2a6pQ00=",
        "sha1",
        "sha1 ",
        "sha1 YQ==",
        "sha1 not-base64",
        "sha1=qvTGHdzF6KLavt4PO0gs2a6pQ00=",
        "sha1  qvTGHdzF6KLavt4PO0gs2a6pQ00=",
        "crc32 AAAAAAA=",
    ],
)
def test_a_checksum_that_cannot_be_checked_is_400_and_leaves_the_offset(
    ask: Ask, create: Create, patch: Ask, header: str
) -> None:
    path = create(10)
    assert fits(patch(path, 0, HELLO, Upload_Checksum=header), 400)
    assert fits(ask(f"HEAD {path}"), 200, Upload_Offset="0")


@pytest.mark.parametrize("length", [0, 3])
def test_of_an_interrupted_body_with_a_checksum_nothing_is_kept(
    ask: Ask, create: Create, length: int
) -> None:
    path = create(10)
    given = V | {"Content-Type": BODY, "Upload-Offset": "0"}
    given["Upload-Checksum"] = said("sha1")["Upload_Checksum"]
    assert fits(ask(f"PATCH {path}", given, HELLO[:length], declared=5), 400)
    assert fits(ask(f"HEAD {path}"), 200, Upload_Offset="0")
    # Without a length an end looks like an end, and the checksum tells.
    assert fits(ask(f"PATCH {path}", given, HELLO[:length], declared=None), 460)
    assert fits(ask(f"HEAD {path}"), 200, Upload_Offset="0")
    assert fits(ask(f"PATCH {path}", given, HELLO, declared=None), 204, Upload_Offset="5")


def test_a_creation_with_upload_is_checked_as_well(ask: Ask) -> None:
    given = V | {"Content-Type": BODY, "Upload-Length": "5"}
    right = given | {"Upload-Checksum": said("sha256")["Upload_Checksum"]}
    wrong = given | {"Upload-Checksum": said("sha256", b"x" * 32)["Upload_Checksum"]}
    assert fits(ask("POST /files/", wrong, HELLO), 460)
    assert fits(ask("POST /files/", right, HELLO), 201, Upload_Offset="5")


def test_a_wrong_body_does_not_settle_the_length(ask: Ask, create: Create, patch: Ask) -> None:
    path = create(None)
    wrong = said("sha1", b"x" * 20)
    assert fits(patch(path, 0, HELLO, Upload_Length="5", **wrong), 460)
    assert fits(ask(f"HEAD {path}"), 200, Upload_Defer_Length="1")
    assert fits(patch(path, 0, HELLO, Upload_Length="5", **said("sha1")), 204)
    assert row(path).status == "completed"
