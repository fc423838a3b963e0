"""Streams of known length: never more than was declared, in small reads."""

import io

from hypothesis import given
from hypothesis import strategies as st

from uploads.core.bodies import READ_SIZE, drain, pieces


class Recorded(io.BytesIO):
    """Notes the size of every read."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.asked: list[int] = []

    def read(self, size: int | None = -1, /) -> bytes:
        self.asked.append(size or 0)
        return super().read(size)


@given(st.integers(0, 3 * READ_SIZE), st.integers(0, 3 * READ_SIZE))
def test_pieces_give_at_most_the_declared_length(available: int, length: int) -> None:
    data = bytes(available)
    source = Recorded(data)
    assert b"".join(pieces(source, length)) == data[:length]
    assert source.tell() == min(available, length)


def test_no_read_is_larger_than_the_cache_can_take() -> None:
    source = Recorded(bytes(5 * READ_SIZE))
    assert len(list(pieces(source, 5 * READ_SIZE))) == 5
    assert max(source.asked) == READ_SIZE


def test_a_source_that_ends_early_ends_the_pieces() -> None:
    assert list(pieces(io.BytesIO(b"abc"), 10)) == [b"abc"]


def test_draining_stops_at_its_limit() -> None:
    source = io.BytesIO(bytes(1000))
    drain(source, 400)
    assert source.tell() == 400
