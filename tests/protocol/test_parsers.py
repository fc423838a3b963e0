"""Each parser of ours: what it writes it reads again, and any other text is refused as documented.

The long inputs are such that a parser which goes back over what it has read would take minutes.
"""

import base64
import json
import math
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote
from uuid import UUID

import pytest
from django.http import HttpRequest
from django.test import RequestFactory
from django.utils.http import content_disposition_header
from hypothesis import given
from hypothesis import strategies as st

from uploads.core.digests import ALGORITHMS, DIGEST_SIZE, Digest, parse_content_digest
from uploads.core.filenames import clean_filename, clean_folder
from uploads.core.plan import MAX_CHUNK_SIZE, MIN_CHUNK_SIZE
from uploads.core.ranges import ByteRange, Unsatisfiable, parse_range
from uploads.errors import InvalidRequest, LengthRequired, RangeMismatch, SessionNotFound
from uploads.protocols import declared, fields, request_ids
from uploads.protocols.bodies import content_length, decode_text, parse_object

#: What a header may have, as the server hands it on.
HEADER_TEXT = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=80)
#: Texts that come close: of the characters that the grammars are made of.
NEARLY = st.text(st.sampled_from('bytes =-/*0123456789,:;"\\sha-256blake3AZaz+?() \t'), max_size=60)
OFFSETS = st.integers(0, 10**18 - 1)
#: A head of 64 KiB is the largest that the server takes.
LONGEST = 64 * 1024
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4)
    ),
)


def request(**headers: str) -> HttpRequest:
    return RequestFactory().put("/", headers={k.replace("_", "-"): v for k, v in headers.items()})


# --------------------------------------------------------------------------- ranges and offsets


@given(OFFSETS, OFFSETS, st.none() | OFFSETS)
def test_a_content_range_that_is_written_is_read_again(
    first: int, last: int, total: int | None
) -> None:
    header = f"bytes {first}-{last}/{'*' if total is None else total}"
    assert declared.parse_content_range(header) == (ByteRange(first, last), total)


@given(HEADER_TEXT | NEARLY | NEARLY.map("bytes {}".format))
def test_p10_any_other_content_range_is_none(header: str) -> None:
    parsed = declared.parse_content_range(header)
    if parsed is None:
        return
    part, total = parsed
    assert 0 <= min(part.first, part.last) <= max(part.first, part.last) < 10**18
    assert re.sub(r"(?<!\d)0+(?=\d)", "", header.strip()) == part.content_range(
        "*" if total is None else total  # type: ignore[arg-type]
    )


@given(OFFSETS)
def test_an_offset_that_is_written_is_read_again(offset: int) -> None:
    assert declared.upload_offset(request(Upload_Offset=str(offset))) == offset
    assert content_length(request(Content_Length=str(offset))) == offset


@given(HEADER_TEXT | NEARLY | st.text(st.sampled_from("0123456789-+ _.\u00b2\u00b9"), max_size=30))
def test_p10_any_other_offset_or_length_is_refused(text: str) -> None:
    try:
        offset = declared.upload_offset(request(Upload_Offset=text))
    except RangeMismatch:
        assert not re.fullmatch("[0-9]{1,18}", text.strip())
    else:
        assert offset == (int(text) if text.strip() else None)
    try:
        length = content_length(request(Content_Length=text))
    except (InvalidRequest, LengthRequired):
        assert not re.fullmatch("[0-9]{1,18}", text)
    else:
        assert length == int(text)


# --------------------------------------------------------------------------- digests


def member(name: str, value: bytes) -> str:
    return f"{name}=:{base64.b64encode(value).decode()}:"


@given(
    st.dictionaries(
        st.sampled_from([*ALGORITHMS]), st.binary(min_size=DIGEST_SIZE, max_size=DIGEST_SIZE)
    ),
    st.dictionaries(st.sampled_from(["md5", "adler", "x-y", "*"]), st.binary(max_size=20)),
    st.randoms(use_true_random=False),
)
def test_digests_that_are_written_are_read_again_whatever_stands_beside_them(
    known: dict[str, bytes], others: dict[str, bytes], rng: Any
) -> None:
    members = [member(name, value) for name, value in [*known.items(), *others.items()]]
    rng.shuffle(members)
    expected = [Digest(name, known[name]) for name in ALGORITHMS if name in known]
    if members:
        assert parse_content_digest(" , ".join(members)) == expected


@given(HEADER_TEXT | NEARLY | NEARLY.map("sha-256=:{}:".format))
def test_p10_any_other_digest_is_refused(header: str) -> None:
    try:
        found = declared.digests(request(Content_Digest=header))
    except InvalidRequest:
        return
    assert all(digest.algorithm in ALGORITHMS for digest in found)
    assert all(len(digest.value) == DIGEST_SIZE for digest in found)


# --------------------------------------------------------------------------- long inputs


@pytest.mark.parametrize(
    "piece", ["a", "0", "=", ":", ",", '"', "\\", " ", "-", "a=", 'a="\\', ";a=b"]
)
def test_p10_no_long_input_takes_long(piece: str) -> None:
    text = (piece * LONGEST)[:LONGEST]
    for start in ("", "bytes=", "bytes ", "sha-256=:", 'a="', "a/b"):
        header = start + text
        declared.parse_content_range(header)
        request_ids.chosen(header)
        for parse in (
            lambda header: parse_range(header, 10),
            parse_content_digest,
            clean_filename,
            clean_folder,
            fields.parse_session_id,
            lambda header: fields.mime_type({"mime_type": header[:255]}),
            parse_object,
        ):
            read_or_refuse(parse, header)


def read_or_refuse(parse: Callable[[str], object], text: str) -> None:
    try:
        parse(text)
    except (ValueError, Unsatisfiable, InvalidRequest, SessionNotFound):
        return


# --------------------------------------------------------------------------- JSON and its fields


@given(st.dictionaries(st.text(max_size=20), JSON, max_size=6))
def test_json_that_is_written_is_read_again(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    try:
        read = parse_object(text)
    except InvalidRequest:
        # NaN and the infinities are Python's own.
        assert re.search("NaN|Infinity", text)
        return
    assert read == document


@given(
    st.binary(max_size=200)
    | st.text(max_size=100).map(lambda text: text.encode("utf-8", "replace"))
)
def test_p10_any_other_body_is_refused(body: bytes) -> None:
    try:
        assert isinstance(parse_object(decode_text(body)), dict)
    except InvalidRequest:
        return


@given(JSON)
def test_p10_a_field_is_what_it_is_to_be_or_is_refused(value: Any) -> None:
    given = {
        "x": value,
        "filename": value,
        "folder": value,
        "mime_type": value,
        "resume_key": value,
    }
    read = [
        (fields.filename, str),
        (fields.folder, str),
        (lambda data: fields.size(data, "x"), int),
        (lambda data: fields.index(data, "x"), int),
        (lambda data: fields.chunk_size(data, "x"), int | None),
        (lambda data: fields.sha256(data, "x"), str),
        (lambda data: fields.session_id(data, "x"), UUID),
        (fields.resume_key, str),
        (fields.mime_type, str),
    ]
    for parse, kind in read:
        try:
            assert isinstance(parse(given), kind)
        except (InvalidRequest, SessionNotFound):
            continue


@given(st.integers(-(2**70), 2**70) | st.floats())
def test_a_number_is_taken_within_its_bounds_only(value: float) -> None:
    is_whole = isinstance(value, int)
    for parse, least, most in (
        (fields.size, 0, 2**63 - 1),
        (fields.chunk_size, MIN_CHUNK_SIZE, MAX_CHUNK_SIZE),
    ):
        try:
            assert parse({"x": value}, "x") == value
            assert is_whole
            assert least <= value <= most
        except InvalidRequest:
            assert not is_whole or not least <= value <= most or math.isnan(value)


@given(st.uuids())
def test_an_id_that_is_written_is_read_again(upload_id: UUID) -> None:
    for text in (str(upload_id), upload_id.hex, str(upload_id).upper()):
        assert fields.parse_session_id(text) == upload_id


# --------------------------------------------------------------------------- what comes back


@given(HEADER_TEXT | st.text(max_size=150))
def test_a_request_id_is_taken_only_if_it_can_be_nothing_else(text: str) -> None:
    chosen = request_ids.chosen(text)
    assert re.fullmatch("[A-Za-z0-9._-]{1,128}", chosen)
    assert request_ids.chosen(chosen) == chosen
    assert chosen == text or not re.fullmatch("[A-Za-z0-9._-]{1,128}", text)


@given(st.text(max_size=100) | st.text(st.sampled_from("\"\\';=%*\u00e4\u65e5a. "), max_size=60))
def test_no_file_name_breaks_the_header_that_carries_it(raw: str) -> None:
    try:
        name = clean_filename(raw)
    except ValueError:
        return
    header = content_disposition_header(True, name)
    assert header.isascii()
    assert header.isprintable()
    encoded = re.search(r"filename\*=utf-8''(.*)", header)
    plain = re.search(r'filename="(.*)"', header)
    said = unquote(encoded[1]) if encoded else plain and re.sub(r"\\(.)", r"\1", plain[1])
    assert said == name
