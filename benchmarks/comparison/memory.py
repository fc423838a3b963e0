"""The server's memory while eight large files come in at once."""

from concurrent.futures import ThreadPoolExecutor

from benchmarks.large_file import Watch

from . import room
from .figures import GIB
from .holdfast import NONE, Holdfast, running_holdfast
from .payload import Payload
from .verdicts import Row, at_most, measured

WHAT = "server memory above idle, 8 uploads of 2 GiB at once"
UPLOADS, SIZE = 8, 2 * GIB
MOST_MIB = 96.0


def above_idle() -> Row:
    """RssAnon of all its processes at its highest, sampled, above what a warm server has.

    The server is one of its own that has taken in one file before. Each upload has three chunks in
    flight, declares nothing, and is verified within what is watched.
    """
    bound = at_most("RssAnon", 0, MOST_MIB, "MiB", 0)

    def work() -> Row:
        room.require(UPLOADS * SIZE, WHAT)
        with running_holdfast() as holdfast:
            watch = Watch(holdfast.server.pid)
            with watch.sampling(), ThreadPoolExecutor(UPLOADS) as pool:
                list(pool.map(lambda _: _send(holdfast), range(UPLOADS)))
        growth = (watch.peak_kib - watch.start_kib) / 1024
        note = f"{watch.start_kib / 1024:.0f} MiB idle, {watch.peak_kib / 1024:.0f} MiB at most"
        return Row(WHAT, (at_most(bound.label, growth, MOST_MIB, "MiB", 0),), note)

    return measured(WHAT, [bound], work)


def _send(holdfast: Holdfast) -> None:
    holdfast.send_native(Payload(SIZE), NONE)
