"""The chunk plan: chunks tile the file, and there are never too many of them."""

from hypothesis import given
from hypothesis import strategies as st

from uploads.core.plan import (
    CHUNK_SIZE_STEP,
    MAX_CHUNK_SIZE,
    MAX_CHUNKS,
    MIB,
    MIN_CHUNK_SIZE,
    ChunkPlan,
    grown_chunk_size,
)

#: Sizes and chunk sizes that give at most some hundred chunks.
plans = st.integers(1, 5000).flatmap(
    lambda chunk: st.builds(ChunkPlan, st.integers(0, chunk * 300), st.just(chunk))
)


@given(plans)
def test_chunks_tile_the_file_without_gap_or_overlap(plan: ChunkPlan) -> None:
    position = 0
    for index in range(plan.total):
        assert plan.offset(index) == position
        assert 1 <= plan.length(index) <= plan.chunk_size
        position += plan.length(index)
    assert position == plan.size


@given(plans)
def test_only_the_last_chunk_may_be_short(plan: ChunkPlan) -> None:
    assert all(plan.length(i) == plan.chunk_size for i in range(plan.total - 1))


@given(plans)
def test_has_knows_exactly_the_chunks_of_the_plan(plan: ChunkPlan) -> None:
    assert [i for i in range(-2, plan.total + 2) if plan.has(i)] == list(range(plan.total))


@given(plans.filter(lambda plan: plan.total > 0), st.data())
def test_bytes_in_agrees_with_adding_up_the_chunks(plan: ChunkPlan, data: st.DataObject) -> None:
    chosen = data.draw(st.sets(st.integers(0, plan.total - 1)))
    with_last = plan.total - 1 in chosen
    expected = sum(plan.length(i) for i in chosen)
    assert plan.bytes_in(len(chosen), with_last=with_last) == expected


def test_an_empty_file_has_no_chunks() -> None:
    plan = ChunkPlan(0, MIB)
    assert plan.total == 0
    assert not plan.has(0)


def test_fifteen_mebibytes_are_three_chunks_of_five() -> None:
    plan = ChunkPlan(15 * MIB, 5 * MIB)
    assert [plan.length(i) for i in range(plan.total)] == [5 * MIB] * 3


@given(st.integers(0, 2**63 - 1), st.integers(MIN_CHUNK_SIZE, MAX_CHUNK_SIZE))
def test_no_file_ever_has_more_than_ten_thousand_chunks(size: int, wanted: int) -> None:
    chunk_size = grown_chunk_size(size, wanted)
    assert ChunkPlan(size, chunk_size).total <= MAX_CHUNKS == 10_000
    assert chunk_size >= wanted


@given(st.integers(0, 2**63 - 1), st.integers(MIN_CHUNK_SIZE, MAX_CHUNK_SIZE))
def test_a_chunk_size_grows_only_where_it_must_and_by_one_step_at_most(
    size: int, wanted: int
) -> None:
    chunk_size = grown_chunk_size(size, wanted)
    if chunk_size != wanted:
        assert chunk_size % CHUNK_SIZE_STEP == 0
        assert ChunkPlan(size, wanted).total > MAX_CHUNKS
        smaller = max(wanted, chunk_size - CHUNK_SIZE_STEP)
        assert ChunkPlan(size, smaller).total > MAX_CHUNKS


def test_the_default_holds_up_to_its_ten_thousandth_chunk() -> None:
    assert grown_chunk_size(50_000 * MIB, 5 * MIB) == 5 * MIB
    assert grown_chunk_size(50_000 * MIB + 1, 5 * MIB) == 5 * MIB + CHUNK_SIZE_STEP
