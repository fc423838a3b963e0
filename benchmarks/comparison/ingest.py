"""Rows that are ratios of how fast a file is taken in, here and elsewhere in the same rounds."""

from collections.abc import Callable, Mapping

from .contestants import Field
from .figures import GIB, Spread
from .rounds import rates
from .verdicts import Condition, Row, at_least, measured, unmeasured

Rates = Mapping[str, Spread]

SHA256_ROW = "native ingest, SHA-256 declared"
OPEN_ROW = "native ingest, BLAKE3 or none declared"
TUS_ROW = "tus, one PATCH of 1 GiB"
CHUNKED_ROW = "django-chunked-upload, upload and completion"


def declared_sha256(field: Field, seen: Rates) -> Row:
    return _row(SHA256_ROW, [_ratio(field, seen, "native-sha256", "bare-hash", 0.8)])


def declared_blake3_or_none(field: Field, seen: Rates) -> Row:
    """The slower of the two counts."""
    ours = min(("native-blake3", "native-none"), key=lambda key: seen[key].median)
    conditions = [
        _ratio(field, seen, ours, "tus-server-one", 1.6),
        _ratio(field, seen, ours, "bare-write", 0.55),
    ]
    return _row(OPEN_ROW, conditions, f"the slower of the two: {_DECLARED[ours]} declared")


def one_patch(field: Field, rounds: int, say: Callable[[str], None]) -> Row:
    bound = at_least("tus : @tus/server", 0, 1.3)

    def work() -> Row:
        pair = field.require("tus-one", "tus-server-one")
        seen = rates(pair, GIB, rounds, say)
        return _row(TUS_ROW, [_ratio(field, seen, "tus-one", "tus-server-one", 1.3)])

    return measured(TUS_ROW, [bound], work)


def chunked_upload(field: Field, seen: Rates) -> Row:
    """Both through the same protocol, and by the way we would have it sent."""
    conditions = [
        _ratio(field, seen, key, "django-chunked-upload", 3)
        for key in ("native-verified", "chunked-upload")
    ]
    note = (
        "from the first byte to the verified file; native verifies SHA-256, the forms MD5 and "
        "SHA-256, django-chunked-upload MD5"
    )
    return _row(CHUNKED_ROW, conditions, note)


def _ratio(field: Field, seen: Rates, ours: str, theirs: str, bound: float) -> Condition:
    """How many times as fast `ours` is, by the medians."""
    label = f"{_SHORT[ours]} : {_SHORT[theirs]}"
    if theirs in field.absent:
        return unmeasured(at_least(label, 0, bound), field.absent[theirs])
    return at_least(label, seen[ours].median / seen[theirs].median, bound)


def _row(what: str, conditions: list[Condition], note: str = "") -> Row:
    return Row(what, tuple(conditions), note)


_DECLARED = {"native-blake3": "BLAKE3", "native-none": "nothing"}
#: As a condition calls them.
_SHORT = {
    "native-sha256": "native",
    "native-blake3": "native",
    "native-none": "native",
    "native-verified": "native, verified",
    "chunked-upload": "its own protocol here",
    "tus-one": "tus",
    "bare-hash": "bare app, hash and write",
    "bare-write": "bare app, write only",
    "tus-server-one": "@tus/server",
    "django-chunked-upload": "django-chunked-upload",
}
