"""A run: the servers side by side, and then each row of what is to be reached."""

import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from . import asking, browsing, cleaning, finishing, ingest, memory, room
from .assembling import assembled
from .contestants import Contestant, Field
from .figures import MIB, Spread
from .holdfast import Holdfast
from .machine import machine, versions
from .rounds import rates
from .tables import Entry, entries
from .verdicts import Row

Say = Callable[[str], None]

#: Rows that come of the rates of the servers; `servers` is their table alone.
OF_RATES = ("servers", "sha256", "blake3", "chunked-upload")
#: What `ROWS=` may name, in the order of the table.
NAMES = (
    "servers",
    "sha256",
    "blake3",
    "tus",
    "verified",
    "last-byte",
    "chunked-upload",
    "memory",
    "handshake",
    "chunk",
    "cleanup",
    "browser",
)


@dataclass(frozen=True)
class Options:
    """The defaults are those of `make bench`, and what is published has them."""

    rounds: int = 5
    size: int = 256 * MIB
    names: tuple[str, ...] = NAMES

    @property
    def is_whole(self) -> bool:
        return self == Options(rounds=max(self.rounds, Options.rounds))


@dataclass
class Result:
    rounds: int
    size: int
    when: str
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    contestants: list[Contestant] = field(default_factory=list)
    rates: dict[str, Spread] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    #: Names of rows of which nothing came, for a reason that nobody expects.
    broken: list[str] = field(default_factory=list)

    @property
    def entries(self) -> list[Entry]:
        return entries(self.contestants, self.rates, self.absent)


def run(options: Options, say: Say) -> Result:
    """Raises NotHere where nothing can be measured; everything made for it is gone afterwards."""
    when = time.strftime("%Y-%m-%d", time.gmtime())
    result = Result(options.rounds, options.size, when, machine(), versions())
    with _scratch() as folder, assembled(folder) as (field, holdfast):
        result.absent = field.absent
        if set(options.names) & set(OF_RATES):
            say("servers")
            result.contestants = list(field.contestants.values())
            result.rates = rates(result.contestants, options.size, options.rounds, say)
        works = _works(field, holdfast, folder, result, say)
        for name in options.names:
            if name in works:
                say(name)
                result.rows.append(_row(name, works[name], result, say))
    return result


def _row(name: str, work: Callable[[], Row], result: Result, say: Say) -> Row:
    """The other rows are measured all the same when one breaks: a run takes long."""
    try:
        return work()
    except Exception as error:  # whatever a server, a browser or a tool may come up with
        result.broken.append(name)
        say(traceback.format_exc())
        return Row(name, (), f"broke off: {type(error).__name__}, see what was said above")


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder in memory, where every server's data goes too."""
    place, before = room.scratch_place(), tempfile.tempdir
    tempfile.tempdir = str(place)
    try:
        with tempfile.TemporaryDirectory(prefix="holdfast-comparison-") as name:
            yield Path(name)
    finally:
        tempfile.tempdir = before


def _works(
    field: Field, holdfast: Holdfast, folder: Path, result: Result, say: Say
) -> dict[str, Callable[[], Row]]:
    rounds, seen = result.rounds, result.rates
    return {
        "sha256": partial(ingest.declared_sha256, field, seen),
        "blake3": partial(ingest.declared_blake3_or_none, field, seen),
        "tus": partial(ingest.one_patch, field, rounds, say),
        "verified": partial(finishing.verified, holdfast, folder, rounds),
        "last-byte": partial(finishing.last_byte, holdfast, folder, rounds),
        "chunked-upload": partial(ingest.chunked_upload, field, seen),
        "memory": memory.above_idle,
        "handshake": partial(asking.handshakes, holdfast),
        "chunk": partial(asking.chunk_cost, holdfast, folder),
        "cleanup": partial(cleaning.cleanup, folder),
        "browser": partial(browsing.in_chromium, folder, rounds),
    }
