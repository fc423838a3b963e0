"""The picture of a file's chunks: true for few, bounded for many."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uploads.core.bitmap import Bitmap
from uploads.core.plan import MAX_CHUNKS
from uploads.web.chunk_map import MAX_CELLS, MAX_COLUMNS, WIDTH, Bar, draw


def bitmap(total: int, *present: int) -> Bitmap:
    found = Bitmap(b"", total)
    for index in present:
        found.add(index)
    return found


def fills(bars: list[Bar]) -> list[str]:
    return [bar.fill for bar in bars]


def test_each_of_a_few_chunks_is_its_own_cell() -> None:
    drawn = draw(bitmap(3, 1))
    assert fills(drawn.bars) == ["out", "in", "out"]
    assert (drawn.received, drawn.total) == (1, 3)


def test_cells_fill_the_width_with_gaps_between_them() -> None:
    bars = draw(bitmap(MAX_CELLS)).bars
    assert bars[0].x == 0
    assert bars[-1].x + bars[-1].width == pytest.approx(WIDTH, abs=0.1)
    assert all(left.x + left.width < right.x for left, right in pairwise(bars))


def test_a_file_of_no_bytes_is_drawn_as_received() -> None:
    assert draw(bitmap(0)).bars == [Bar(0, WIDTH, "in")]


def test_one_chunk_takes_the_whole_width() -> None:
    assert draw(bitmap(1)).bars == [Bar(0, WIDTH, "out")]


def test_equal_neighbours_of_many_chunks_merge_into_one_bar() -> None:
    assert draw(bitmap(MAX_CHUNKS, *range(MAX_CHUNKS))).bars == [Bar(0, WIDTH, "in")]
    assert fills(draw(bitmap(MAX_CHUNKS, *range(5000))).bars) == ["in", "out"]


def test_a_single_chunk_among_thousands_is_not_lost_in_the_picture() -> None:
    assert fills(draw(bitmap(MAX_CHUNKS, 7000)).bars) == ["out", "part", "out"]


def test_a_single_missing_chunk_among_thousands_is_not_painted_over() -> None:
    nearly = bitmap(MAX_CHUNKS, *range(MAX_CHUNKS))
    nearly.discard(7000)
    assert fills(draw(nearly).bars) == ["in", "part", "in"]


def test_the_chunk_that_a_stream_has_begun_is_partly_there_among_few_and_among_many() -> None:
    assert fills(draw(bitmap(3, 0), begun=1).bars) == ["in", "part", "out"]
    assert fills(draw(bitmap(1), begun=0).bars) == ["part"]
    drawn = draw(bitmap(MAX_CHUNKS, *range(5000)), begun=5000)
    assert fills(drawn.bars) == ["in", "part", "out"]
    assert (drawn.received, drawn.total) == (5000, MAX_CHUNKS)


@pytest.mark.parametrize("total", [MAX_CELLS + 1, MAX_COLUMNS - 1, MAX_COLUMNS, MAX_COLUMNS + 1])
def test_every_second_chunk_never_makes_more_bars_than_columns(total: int) -> None:
    assert 1 <= len(draw(bitmap(total, *range(0, total, 2))).bars) <= MAX_COLUMNS


@given(st.integers(1, 700).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1)))))
def test_bars_cover_the_width_and_say_what_their_columns_hold(case: tuple[int, set[int]]) -> None:
    total, present = case
    bars = draw(bitmap(total, *present)).bars
    assert bars[-1].x + bars[-1].width == pytest.approx(WIDTH, abs=0.1)
    if total > MAX_CELLS:
        assert fills_by_column(bars, min(total, MAX_COLUMNS)) == expected_fills(total, present)


def fills_by_column(bars: list[Bar], columns: int) -> list[str]:
    return [bar.fill for bar in bars for _ in range(round(bar.width * columns / WIDTH))]


def expected_fills(total: int, present: set[int]) -> list[str]:
    """The same by looking at every chunk."""
    columns = min(total, MAX_COLUMNS)
    found = []
    for i in range(columns):
        chunks = range(i * total // columns, (i + 1) * total // columns)
        there = sum(chunk in present for chunk in chunks)
        found.append("in" if there == len(chunks) else "part" if there else "out")
    return found
