"""What is in of an upload that is not complete, read in its order."""

from collections.abc import Iterator

from uploads.core.bodies import READ_SIZE
from uploads.engine.reading import pieces_of
from uploads.models import FileSession
from uploads.storage import StagingMissing, get_store


class NotAllThere(Exception):
    """The upload has ended or gone on since it was read, or a disk has lost some of it."""


def received_pieces(session: FileSession) -> Iterator[memoryview]:
    """The bytes up to `session.offset`, its tail included; each piece is overwritten by the next.

    They are not verified. Raises NotAllThere.
    """
    buffer = memoryview(bytearray(READ_SIZE))
    store = get_store()
    count = 0
    try:
        with store.open(session.pk) as data:
            for piece in pieces_of(data, 0, session.offset - session.tail_length, buffer):
                count += len(piece)
                yield piece
        if session.tail_length:
            with store.open_tail(session.pk, session.tail_name) as tail:
                for piece in pieces_of(tail, 0, session.tail_length, buffer):
                    count += len(piece)
                    yield piece
    except StagingMissing as error:
        raise NotAllThere from error
    if count < session.offset:
        raise NotAllThere
