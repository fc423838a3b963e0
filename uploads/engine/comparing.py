"""By which chunks a client can tell whether its file is the one that an upload was begun with."""

from dataclasses import dataclass

from uploads.models import FileChunk, FileSession

#: Chunks that are named. At the default size that is 40 MiB to read, a moment on any disk.
MOST = 8


@dataclass(frozen=True, slots=True)
class ReceivedChunk:
    """Where it lies in the file, in bytes, and the BLAKE3 of what came."""

    index: int
    offset: int
    length: int
    fingerprint: bytes


def chunks_to_compare(session: FileSession) -> list[ReceivedChunk]:
    """The first and the last chunk that is in, and of those between some in even steps; at most
    `MOST`, in their order, the same ones until another comes in.

    From the database alone: nothing that was stored is read. Empty where no chunk has come: none is
    in, or the upload was complete at its handshake.
    """
    plan = session.plan
    runs = [(start, end) for start, end, present in session.bitmap.runs() if present]
    chosen = [_nth(runs, number) for number in _spread(sum(end - start for start, end in runs))]
    rows = FileChunk.objects.filter(session=session, index__in=chosen).order_by("index")
    return [
        ReceivedChunk(
            row.index, plan.offset(row.index), plan.length(row.index), bytes(row.fingerprint)
        )
        for row in rows
    ]


def _spread(count: int) -> list[int]:
    """Up to `MOST` of the numbers below `count`: 0, `count - 1` and some between."""
    if count <= MOST:
        return list(range(count))
    return [number * (count - 1) // (MOST - 1) for number in range(MOST)]


def _nth(runs: list[tuple[int, int]], number: int) -> int:
    """The index of the chunk that comes after `number` others."""
    for start, end in runs:
        if number < end - start:
            return start + number
        number -= end - start
    raise IndexError(number)
