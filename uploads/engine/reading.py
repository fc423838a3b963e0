"""Reading what is stored, piece by piece."""

from collections.abc import Iterator

from uploads.storage import StagedFile, Tail


def pieces_of(
    file: StagedFile | Tail, offset: int, length: int, buffer: memoryview
) -> Iterator[memoryview]:
    """`length` bytes of `file` from `offset`, each piece in `buffer` until the next is asked for.

    Ends early where the file does.
    """
    end = offset + length
    while offset < end:
        count = file.read_into(offset, buffer[: end - offset])
        if not count:
            return
        yield buffer[:count]
        offset += count
