"""The bitmap of received chunks, against a plain set of integers."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uploads.core.bitmap import Bitmap

totals = st.integers(1, 700)


@st.composite
def models(draw: st.DrawFn) -> tuple[int, set[int]]:
    total = draw(totals)
    return total, draw(st.sets(st.integers(0, total - 1)))


def bitmap_of(total: int, indices: set[int]) -> Bitmap:
    bitmap = Bitmap(b"", total)
    for index in indices:
        bitmap.add(index)
    return bitmap


@given(models())
def test_a_bitmap_is_a_set_of_indices(model: tuple[int, set[int]]) -> None:
    total, indices = model
    bitmap = bitmap_of(total, indices)
    assert len(bitmap) == len(indices)
    assert {i for i in range(total) if i in bitmap} == indices
    assert bitmap.missing() == sorted(set(range(total)) - indices)


@given(models(), st.data())
def test_discarding_undoes_adding(model: tuple[int, set[int]], data: st.DataObject) -> None:
    total, indices = model
    gone = data.draw(st.sets(st.integers(0, total - 1)))
    bitmap = bitmap_of(total, indices)
    for index in gone:
        bitmap.discard(index)
    assert bitmap.missing() == sorted(set(range(total)) - (indices - gone))


@given(models())
def test_it_survives_being_stored_as_bytes(model: tuple[int, set[int]]) -> None:
    total, indices = model
    stored = bitmap_of(total, indices).to_bytes()
    assert len(stored) == (total + 7) // 8
    assert Bitmap(stored, total).missing() == sorted(set(range(total)) - indices)


@given(models())
def test_runs_tile_the_chunks_and_alternate(model: tuple[int, set[int]]) -> None:
    total, indices = model
    runs = list(bitmap_of(total, indices).runs())
    assert [start for start, _, _ in runs] == [0, *(end for _, end, _ in runs[:-1])]
    assert runs[-1][1] == total
    assert all(a[2] != b[2] for a, b in itertools.pairwise(runs))
    assert {i for start, end, present in runs if present for i in range(start, end)} == indices


def test_the_bytes_are_lowest_bit_first() -> None:
    assert bitmap_of(10, {0, 9}).to_bytes() == b"\x01\x02"


@given(totals)
def test_a_full_bitmap_misses_nothing(total: int) -> None:
    full = bitmap_of(total, set(range(total)))
    assert full.missing() == []
    assert len(full) == total


def test_ten_thousand_chunks_take_1250_bytes() -> None:
    assert len(bitmap_of(10_000, set(range(10_000))).to_bytes()) == 1250


def test_a_bitmap_of_nothing_has_no_runs() -> None:
    assert list(Bitmap(b"", 0).runs()) == []
    assert Bitmap(b"", 0).missing() == []


@pytest.mark.parametrize("index", [-1, 3, 10_000])
def test_an_index_out_of_bounds_is_an_error(index: int) -> None:
    bitmap = Bitmap(b"", 3)
    with pytest.raises(IndexError):
        bitmap.add(index)
    with pytest.raises(IndexError):
        bitmap.discard(index)


def test_bits_beyond_the_last_chunk_are_refused() -> None:
    with pytest.raises(ValueError, match="3 chunks"):
        Bitmap(b"\x08", 3)


def test_short_data_reads_as_zeros() -> None:
    assert Bitmap(b"\x01", 20).missing() == list(range(1, 20))


@pytest.mark.parametrize("total", [0, 1, 7, 8, 9, 10_000])
def test_a_full_bitmap_has_every_chunk_and_nothing_above(total: int) -> None:
    bitmap = Bitmap.full(total)
    assert (len(bitmap), bitmap.missing()) == (total, [])
    assert Bitmap(bitmap.to_bytes(), total).missing() == []
