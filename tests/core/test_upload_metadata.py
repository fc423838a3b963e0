"""Upload-Metadata, the header by which tus clients say what a file is called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uploads.core.upload_metadata import (
    MAX_LENGTH,
    format_upload_metadata,
    parse_upload_metadata,
)

KEYS = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=","),
    min_size=1,
    max_size=20,
)
PAIRS = st.dictionaries(KEYS, st.binary(max_size=100), max_size=12)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", {}),
        ("  ", {}),
        # The example of the specification.
        (
            "filename d29ybGRfZG9taW5hdGlvbl9wbGFuLnBkZg==,is_confidential",
            {"filename": b"world_domination_plan.pdf", "is_confidential": b""},
        ),
        ("name YQ==", {"name": b"a"}),
        ("name ", {"name": b""}),
        ("name", {"name": b""}),
        ("a YQ==, b Yg==", {"a": b"a", "b": b"b"}),
        ("a YQ== ,b", {"a": b"a", "b": b""}),
        ("b Yg==,a YQ==", {"b": b"b", "a": b"a"}),
        # Keys differ where their case does, and any sign but a space and a comma is one of a key.
        ("Name,name", {"Name": b"", "name": b""}),
        ("a=b;c YQ==", {"a=b;c": b"a"}),
        # Bytes are bytes: what they mean is for the reader to say.
        ("x /wA=", {"x": b"\xff\x00"}),
    ],
)
def test_pairs_that_are_understood(header: str, expected: dict[str, bytes]) -> None:
    found = parse_upload_metadata(header)
    assert found == expected
    assert list(found) == list(expected)


@pytest.mark.parametrize(
    "header",
    [
        ",",
        "a YQ==,",
        ",a YQ==",
        "a YQ==,,b Yg==",
        "a YQ==,a Yg==",
        "a,a",
        "a YQ",
        "a YQ=",
        "a Y",
        "a YQ==YQ==",
        "a  YQ==",
        "a YQ== b",
        "a =",
        "a ====",
        "a -_-_",
        "a not base64",
        "a YQ\u00fc=",
        "n\u00e4me YQ==",
        "a\tYQ==",
        "a\x00 YQ==",
        "a\nb YQ==",
        "a\x7f YQ==",
    ],
)
def test_what_is_malformed_is_refused(header: str) -> None:
    with pytest.raises(ValueError, match=r"^a (key|value) "):
        parse_upload_metadata(header)


def test_a_header_of_any_length_costs_nothing() -> None:
    assert parse_upload_metadata("a" * MAX_LENGTH) == {"a" * MAX_LENGTH: b""}
    with pytest.raises(ValueError, match=f"^it may have {MAX_LENGTH} characters$"):
        parse_upload_metadata("a" * (MAX_LENGTH + 1))


@given(PAIRS)
def test_what_is_written_is_read_again(pairs: dict[str, bytes]) -> None:
    found = parse_upload_metadata(format_upload_metadata(pairs))
    assert found == pairs
    assert list(found) == list(pairs)


@pytest.mark.parametrize("key", ["", "a b", "a,b", "\u00fc", "a\n", " ", "a "])
def test_keys_that_cannot_be_written_are_refused(key: str) -> None:
    with pytest.raises(ValueError, match=r"^a key is "):
        format_upload_metadata({key: b"value"})


def test_what_would_be_too_long_is_not_written() -> None:
    with pytest.raises(ValueError, match=r"^it may have "):
        format_upload_metadata({"a": b"x" * MAX_LENGTH})


@given(st.text(max_size=60) | st.text("ab= ,YQ", max_size=30))
def test_hostile_text_is_understood_or_refused(header: str) -> None:
    try:
        found = parse_upload_metadata(header)
    except ValueError:
        return
    assert parse_upload_metadata(format_upload_metadata(found)) == found
