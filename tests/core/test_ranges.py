"""`Range` as RFC 9110, section 14, has it: one range, the whole, or no byte at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uploads.core.ranges import ByteRange, Unsatisfiable, parse_range

SIZE = 1000
HUGE = "9" * 5000


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-999", 0, 999),
        ("bytes=999-999", 999, 999),
        ("bytes=10-19", 10, 19),
        ("bytes=10-", 10, 999),
        ("bytes=0-", 0, 999),
        ("bytes=999-", 999, 999),
        ("bytes=-1", 999, 999),
        ("bytes=-1000", 0, 999),
        ("bytes=-1001", 0, 999),
        ("bytes=990-1000", 990, 999),
        (f"bytes=990-{HUGE}", 990, 999),
        (f"bytes=-{HUGE}", 0, 999),
        ("bytes=" + "0" * 5000 + "7-8", 7, 8),
        ("BYTES=1-2", 1, 2),
        (" bytes= 1-2\t", 1, 2),
        ("bytes=, 1-2 ,,", 1, 2),
    ],
)
def test_one_range_is_those_bytes(header: str, first: int, last: int) -> None:
    assert parse_range(header, SIZE) == ByteRange(first, last)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=1",
        "bytes=a-b",
        "bytes=1-b",
        "bytes=2-1",
        "bytes=+1-2",
        "bytes=1_0-20",
        "bytes=1-2-3",
        "bytes=--1",
        "bytes=1 - 2",
        "bytes =1-2",
        "bytes:1-2",
        "bytes=0x1-0x2",
        "bytes=1.0-2.0",
        "bytes=\u0661-\u0662",
        "bytes=\u00b2-\u00b3",
        "bytes=1-2\n",
        "seconds=1-2",
        "kilobytes=1-2",
        "bytes=0-1,2-3",
        "bytes=0-0, -1",
        "bytes=" + ",".join(["0-"] * 1000),
    ],
)
def test_what_is_not_one_range_of_bytes_is_the_whole(header: str) -> None:
    assert parse_range(header, SIZE) is None


@pytest.mark.parametrize(
    "header",
    ["bytes=1000-", "bytes=1000-2000", "bytes=-0", "bytes=-000", f"bytes={HUGE}-", "bytes=1000-,"],
)
def test_a_range_without_a_byte_is_unsatisfiable(header: str) -> None:
    with pytest.raises(Unsatisfiable):
        parse_range(header, SIZE)


def test_an_empty_file_has_no_first_byte_but_can_be_asked_for_its_last_ones() -> None:
    for header in ("bytes=0-", "bytes=0-0", "bytes=-0"):
        with pytest.raises(Unsatisfiable):
            parse_range(header, 0)
    assert parse_range("bytes=-5", 0) is None


@given(size=st.integers(0, 30), first=st.integers(0, 40), last=st.integers(0, 40))
def test_any_range_is_the_slice_that_it_names(size: int, first: int, last: int) -> None:
    data = bytes(range(size))
    try:
        part = parse_range(f"bytes={first}-{last}", size)
    except Unsatisfiable:
        assert data[first:] == b""
        return
    if part is None:
        assert last < first
        return
    served = data[part.first : part.last + 1]
    assert served == data[first : last + 1] != b""
    assert part.length == len(served)
    assert part.content_range(size) == f"bytes {first}-{first + len(served) - 1}/{size}"


@given(st.text(st.characters(max_codepoint=255), max_size=40), st.integers(0, 5))
def test_p10_no_header_is_an_error(text: str, size: int) -> None:
    for header in (text, f"bytes={text}"):
        try:
            part = parse_range(header, size)
        except Unsatisfiable:
            continue
        assert part is None or 0 <= part.first <= part.last < size
