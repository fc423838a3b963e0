"""The site's settings for a server that waits only seconds for a client that has stalled.

As many as the file `impatient` in its data says. Without one it ends nobody's connection: what else
a test does may take its time.
"""

from config.settings import *  # noqa: F403
from config.settings import DATA_DIR

from uploads import connections

connections.LOOK_SECONDS = 0.5
_end_idle = connections.end_idle


def _end_idle_if_impatient(port: int, seconds: float) -> int:
    try:
        patience = float((DATA_DIR / "impatient").read_text() or "inf")
    except FileNotFoundError:
        patience = float("inf")
    return _end_idle(port, min(seconds, patience))


connections.end_idle = _end_idle_if_impatient
