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


def draw(bitmap: Bitmap) -> ChunkMap:
    total = bitmap.total
    if total <= MAX_CELLS:
        step = _cell_step(bitmap)
        return ChunkMap(list(_cells(bitmap)), len(bitmap), total, step, step - _GAP)
    step = WIDTH / total
    return ChunkMap(list(_columns(bitmap)), len(bitmap), total, step, max(step, _NARROWEST))


def _cell_step(bitmap: Bitmap) -> float:
    return (WIDTH + _GAP) / max(1, bitmap.total)


def _cells(bitmap: Bitmap) -> Iterator[Bar]:
    """One cell a chunk. A file of 0 bytes has no chunk and is in, whole."""
    if not bitmap.total:
        yield Bar(0, WIDTH, "in")
        return
    step = _cell_step(bitmap)
    for start, end, present in bitmap.runs():
        for index in range(start, end):
            yield _bar(index * step, step - _GAP, "in" if present else "out")


def _columns(bitmap: Bitmap) -> Iterator[Bar]:
    edges = [i * bitmap.total // MAX_COLUMNS for i in range(MAX_COLUMNS + 1)]
    if bitmap.total < MAX_COLUMNS:
        edges = list(range(bitmap.total + 1))
    step = WIDTH / (len(edges) - 1)
    column = 0
    for fill, same in groupby(_fills(bitmap.runs(), edges)):
        width = sum(1 for _ in same)
        yield _bar(column * step, width * step, fill)
        column += width


def _fills(runs: Iterable[tuple[int, int, bool]], edges: list[int]) -> Iterator[Fill]:
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
        yield "in" if covered == right - left else "part" if covered else "out"


def _bar(x: float, width: float, fill: Fill) -> Bar:
    return Bar(round(x, 2), round(width, 2), fill)
