"""Declared digests: the Content-Digest header of RFC 9530 and hashes in hex."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.bodies import content_digest
from uploads.core.digests import Digest, parse_content_digest, parse_sha256_hex

SHA = base64.b64encode(b"s" * 32).decode()
BLAKE = base64.b64encode(b"b" * 32).decode()
SHA_DIGEST = Digest("sha-256", b"s" * 32)
BLAKE_DIGEST = Digest("blake3", b"b" * 32)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f"sha-256=:{SHA}:", [SHA_DIGEST]),
        (f"blake3=:{BLAKE}:", [BLAKE_DIGEST]),
        (f"blake3=:{BLAKE}:, sha-256=:{SHA}:", [SHA_DIGEST, BLAKE_DIGEST]),
        (f"sha-256=:{SHA}:,blake3=:{BLAKE}:", [SHA_DIGEST, BLAKE_DIGEST]),
        (f"  sha-256=:{SHA}:  ", [SHA_DIGEST]),
        # RFC 9530, section 2: algorithms that we don't know are ignored.
        (f"md5=:abcd:, sha-256=:{SHA}:", [SHA_DIGEST]),
        ("md5=:1B2M2Y8AsgTpgAmY7PhCfg==:", []),
        ("unixsum=30637", []),
        ("crc32c", []),
        # A comma inside a quoted string separates nothing.
        ('x="a,b"', []),
        (f'x="a, b=c", sha-256=:{SHA}:', [SHA_DIGEST]),
        (f'x="sha-256=:{BLAKE}:, y", sha-256=:{SHA}:', [SHA_DIGEST]),
        (f'x="a\\"b,", sha-256=:{SHA}:, y="c,d"', [SHA_DIGEST]),
        # RFC 8941, section 3.2: the last of two members of one name counts.
        (f"sha-256=:{BLAKE}:, sha-256=:{SHA}:", [SHA_DIGEST]),
    ],
)
def test_digests_that_are_understood(header: str, expected: list[Digest]) -> None:
    assert parse_content_digest(header) == expected


@pytest.mark.parametrize(
    "header",
    [
        f"sha-256={SHA}",
        f"sha-256=:{SHA}",
        f"sha-256={SHA}:",
        "sha-256",
        "sha-256=",
        "sha-256=:",
        "sha-256=::",
        "sha-256=:not base64:",
        f"sha-256=:{SHA[:-1]}:",
        "sha-256=:c2hvcnQ=:",
        f"sha-256=:{SHA}{SHA}:",
        f"sha-256=:{SHA}:,",
        f", sha-256=:{SHA}:",
        f"blake3=:{BLAKE}:, sha-256=:x:",
        f"=:{SHA}:",
        "%%%",
        "",
        " ",
        f'sha-256=":{SHA}:"',
        'x="a,b',
        'x="a"b',
    ],
)
def test_a_malformed_header_is_refused_not_ignored(header: str) -> None:
    with pytest.raises(ValueError, match=r"[dD]igest"):
        parse_content_digest(header)


@given(st.binary(max_size=200), st.sampled_from(["sha-256", "blake3"]))
def test_what_a_client_computes_is_what_a_hasher_computes(data: bytes, algorithm: str) -> None:
    [digest] = parse_content_digest(content_digest(data, algorithm))
    hasher = digest.new_hasher()
    hasher.update(data)
    assert hasher.digest() == digest.value


@given(st.text(max_size=60))
def test_no_text_makes_the_parser_fail_otherwise_than_by_refusing(header: str) -> None:
    try:
        parsed = parse_content_digest(header)
    except ValueError:
        return
    assert all(len(digest.value) == 32 for digest in parsed)


@pytest.mark.parametrize("text", ["A" * 64, " " + "a" * 64 + "\n", "aA" * 32])
def test_a_sha256_is_taken_in_any_case_and_kept_in_lower_case(text: str) -> None:
    assert parse_sha256_hex(text) == "a" * 64


@pytest.mark.parametrize("text", ["", "a" * 63, "a" * 65, "g" * 64, "٣" * 64, "a" * 63 + "\x00"])
def test_anything_but_64_hex_digits_is_no_sha256(text: str) -> None:
    with pytest.raises(ValueError, match="64 hexadecimal"):
        parse_sha256_hex(text)
