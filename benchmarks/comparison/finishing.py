"""From the first byte, and from the last, to the verified file."""

from functools import partial
from pathlib import Path
from statistics import median

from . import room
from .figures import GIB, MIB
from .holdfast import Holdfast
from .limits import openssl_seconds
from .loads import Pace
from .payload import Payload
from .rounds import alternating
from .verdicts import Condition, NotHere, Row, at_most, measured, unmeasured

VERIFIED_ROW = "first byte to verified, 1 GiB, BLAKE3 chunks"
LAST_BYTE_ROW = "last byte to completed, 1 GiB and 8 GiB alike"
#: Of what openssl hashes in a second: slower than the hash also where sender, server and hash share
#: two processors. What becomes of faster ones is told beside the row.
PACE = 0.3
MOST_MS = 200.0


def verified(holdfast: Holdfast, folder: Path, rounds: int) -> Row:
    """Seconds of the upload until an answer says `completed`, by those of `openssl dgst` alone."""
    bound = at_most("upload : openssl dgst -sha256", 0, 1.25)

    def work() -> Row:
        payload = Payload(GIB)
        _prepare(payload)
        ours: list[float] = []
        hashing: list[float] = []
        turns = (
            (ours, partial(_seconds, holdfast, payload)),
            (hashing, partial(openssl_seconds, payload, folder)),
        )
        for number in range(rounds):
            for seen, turn in alternating(turns, number):
                seen.append(turn())
        note = f"{median(ours):.2f} s, openssl {median(hashing):.2f} s"
        ratio = at_most(bound.label, median(ours) / median(hashing), bound.bound)
        return Row(VERIFIED_ROW, (ratio,), note)

    return measured(VERIFIED_ROW, [bound], work)


def _seconds(holdfast: Holdfast, payload: Payload) -> float:
    return holdfast.send_and_verify(payload).seconds


def last_byte(holdfast: Holdfast, folder: Path, rounds: int) -> Row:
    """Milliseconds from the last byte that was sent to the first answer that says `completed`.

    What openssl hashes in a second is measured first, and `PACE` of it is sent in a second. 1 GiB
    is sent as fast as it is taken, too.
    """
    sizes = {"1 GiB": (GIB, rounds), "8 GiB": (8 * GIB, min(rounds, 3))}
    bounds = [at_most(label, 0, MOST_MS, "ms", 0) for label in sizes]

    def work() -> Row:
        sample = Payload(GIB)
        pace = PACE * GIB / min(openssl_seconds(sample, folder) for _ in range(2))
        conditions = [
            _condition(holdfast, label, size, count, pace) for label, (size, count) in sizes.items()
        ]
        unpaced = _after_last_byte(holdfast, sample, rounds, None)
        note = (
            f"sent at {pace / MIB:,.0f} MiB/s, {PACE:.0%} of what openssl hashes; 1 GiB as fast as "
            f"it is taken: {unpaced:.0f} ms"
        )
        return Row(LAST_BYTE_ROW, tuple(conditions), note)

    return measured(LAST_BYTE_ROW, bounds, work)


def _condition(holdfast: Holdfast, label: str, size: int, rounds: int, pace: float) -> Condition:
    try:
        room.require(size, f"the file of {label}")
    except NotHere as reason:
        return unmeasured(at_most(label, 0, MOST_MS, "ms", 0), str(reason))
    seen = _after_last_byte(holdfast, Payload(size), rounds, pace)
    return at_most(label, seen, MOST_MS, "ms", 0)


def _after_last_byte(
    holdfast: Holdfast, payload: Payload, rounds: int, pace: float | None
) -> float:
    """In milliseconds."""
    _prepare(payload)
    sent = [holdfast.send_and_verify(payload, pace=Pace(pace)) for _ in range(rounds)]
    return median(each.after_last_byte for each in sent) * 1000


def _prepare(payload: Payload) -> None:
    """What takes time and is not to be timed."""
    assert payload.sha256
    assert payload.blake3_of_chunks
