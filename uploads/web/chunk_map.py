"""The map of a file's chunks, as bars of an SVG: which are in, and which are missing.

Cost and size follow the runs of the bitmap and the columns of the picture, never the number of
chunks: 10,000 chunks give no more bars than 200 columns can show.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Literal

from uploads.core.bitmap import Bitmap

#: Units of the picture's width; style sheets stretch it to the width of the row.
WIDTH = 1000
HEIGHT = 10
#: Up to this many chunks each is a cell of its own, with a gap to the next.
MAX_CELLS = 64
#: Beyond, chunks share columns: about as many as a narrow row has pixels to tell apart.
MAX_COLUMNS = 200
_GAP = 4
#: The narrowest mark of a single chunk that can be seen among thousands.
_NARROWEST = 5

Fill = Literal["in", "part", "out"]


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle over the full height. `x` and `width` in units, rounded for the template."""

    x: float
    width: float
    fill: Fill


@dataclass(frozen=True, slots=True)
class ChunkMap:
    bars: list[Bar]
    received: int
    total: int
    #: Of a single chunk: its left edge is `index * step`, and it is `mark` wide. By these a page
    #: marks the chunks that are on their way.
    step: float
    mark: float
    width: int = WIDTH
    height: int = HEIGHT


def draw(bitmap: Bitmap, begun: int | None = None) -> ChunkMap:
    """`begun`: the missing chunk of which a stream has brought a part already."""
    total = bitmap.total
    if total <= MAX_CELLS:
        step = _cell_step(bitmap)
        return ChunkMap(list(_cells(bitmap, begun)), len(bitmap), total, step, step - _GAP)
    step = WIDTH / total
    bars = list(_columns(bitmap, begun))
    return ChunkMap(bars, len(bitmap), total, step, max(step, _NARROWEST))


def _cell_step(bitmap: Bitmap) -> float:
    return (WIDTH + _GAP) / max(1, bitmap.total)


def _cells(bitmap: Bitmap, begun: int | None) -> Iterator[Bar]:
    """One cell a chunk. A file of 0 bytes has no chunk and is in, whole."""
    if not bitmap.total:
        yield Bar(0, WIDTH, "in")
        return
    step = _cell_step(bitmap)
    for start, end, present in bitmap.runs():
        for index in range(start, end):
            fill: Fill = "in" if present else "part" if index == begun else "out"
            yield _bar(index * step, step - _GAP, fill)


def _columns(bitmap: Bitmap, begun: int | None) -> Iterator[Bar]:
    edges = [i * bitmap.total // MAX_COLUMNS for i in range(MAX_COLUMNS + 1)]
    if bitmap.total < MAX_COLUMNS:
        edges = list(range(bitmap.total + 1))
    step = WIDTH / (len(edges) - 1)
    column = 0
    for fill, same in groupby(_fills(bitmap.runs(), edges, begun)):
        width = sum(1 for _ in same)
        yield _bar(column * step, width * step, fill)
        column += width


def _fills(
    runs: Iterable[tuple[int, int, bool]], edges: list[int], begun: int | None
) -> Iterator[Fill]:
    """The fill of each column, in one walk over columns and present runs together."""
    present = ((start, end) for start, end, there in runs if there)
    start, end = next(present, (0, 0))
    for left, right in pairwise(edges):
        covered = 0
        while end:
            covered += max(0, min(end, right) - max(start, left))
            if end > right:
                break  # The run reaches into the next column.
            start, end = next(present, (0, 0))
        is_begun = begun is not None and left <= begun < right
        yield "in" if covered == right - left else "part" if covered or is_begun else "out"


def _bar(x: float, width: float, fill: Fill) -> Bar:
    return Bar(round(x, 2), round(width, 2), fill)
